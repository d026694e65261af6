"""A tiny module for the tests of the host."""

import qt
import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)


class HostTiny(ScriptedLoadableModule):
    def __init__(self, parent):
        super().__init__(parent)
        self.parent.title = _("Host Tiny")
        self.parent.categories = ["Testing.Host"]
        self.parent.contributors = ["nobody"]


@parameterNodeWrapper
class HostTinyParameters:
    steps: int = 3


class HostTinyWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        super().setup()
        self.logic = HostTinyLogic()
        self.button = qt.QPushButton(_("Run"))
        self.button.clicked.connect(self.onRun)
        self.layout.addWidget(self.button)
        self.runs = 0
        calls().append("setup")

    def onRun(self):
        self.runs += 1
        if self.runs == 2:
            raise RuntimeError("the second run fails")

    def enter(self):
        calls().append("enter")

    def exit(self):
        calls().append("exit")

    def cleanup(self):
        calls().append("cleanup")


class HostTinyLogic(ScriptedLoadableModuleLogic):
    def getParameterNode(self):
        return HostTinyParameters(super().getParameterNode())


class HostTinyTest(ScriptedLoadableModuleTest):
    def runTest(self):
        calls().append(f"test {slicer.app.testingEnabled()}")


def calls():
    """The list survives reloading: it hangs on slicer.modules' instance of the module."""
    instance = slicer.modules.HostTinyInstance
    if not hasattr(instance, "calls"):
        instance.calls = []
    return instance.calls
