"""Scripted modules: loading, showing, reloading, settings, dialogs."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import slicer

from host import problems

FOLDER = Path(__file__).parent / "modules"


@pytest.fixture
def tiny(application):
    module = slicer.app.moduleManager().module("HostTiny") or application.loadModule(FOLDER / "HostTiny.py")
    slicer.modules.HostTinyInstance.calls = []
    return module


def calls():
    return slicer.modules.HostTinyInstance.calls


def test_a_loaded_module_is_where_scripts_look_for_it(application, tiny):
    assert slicer.modules.hosttiny is tiny
    assert slicer.moduleNames.HostTiny == "HostTiny"
    assert slicer.util.getModule("HostTiny") is tiny
    assert slicer.util.modulePath("HostTiny") == str(FOLDER / "HostTiny.py")
    assert (tiny.title, tiny.categories, tiny.name) == ("Host Tiny", ("Testing.Host",), "HostTiny")
    assert str(FOLDER) in sys.path
    assert isinstance(tiny, slicer.qSlicerScriptedLoadableModule)


def test_showing_creates_the_panel_once_and_enters_it(application, tiny):
    panel = application.showModule("HostTiny")
    assert calls()[-1] == "enter"
    assert panel.isVisible()
    assert panel.isEntered
    assert slicer.modules.HostTinyWidget is panel.self()
    assert slicer.util.getModuleWidget("HostTiny") is panel.self()
    assert slicer.util.getModuleLogic("HostTiny") is panel.self().logic
    slicer.util.selectModule("Data")
    assert slicer.util.selectedModule() == "Data"
    assert calls()[-1] == "exit"
    assert not panel.isVisible()
    slicer.util.selectModule("HostTiny")
    assert application.panel("HostTiny") is panel
    assert calls()[-1] == "enter"


def test_reloading_cleans_up_and_sets_up_without_entering(application, tiny):
    panel = application.showModule("HostTiny")
    before = slicer.modules.HostTinyWidget
    calls().clear()
    before.onReload()
    assert calls() == ["cleanup", "setup"]
    assert slicer.modules.HostTinyWidget is not before
    assert panel.self() is slicer.modules.HostTinyWidget
    assert panel.isEntered
    assert panel.layout().count() == 1
    slicer.app.moduleManager().moduleAboutToBeUnloaded.emit("HostTiny")
    assert calls() == ["cleanup", "setup", "cleanup"]  # the old widget is not cleaned up again
    slicer.modules.HostTinyWidget.onReload()


def test_a_failing_slot_is_told_and_the_program_goes_on(application, tiny):
    application.showModule("HostTiny")
    widget = slicer.modules.HostTinyWidget
    widget.runs = 0
    widget.button.click()
    widget.button.click()
    widget.button.click()
    assert widget.runs == 3
    assert "the second run fails" in problems.take("slot")[0].text


def test_the_self_test_runs(application, tiny):
    slicer.selfTests["HostTiny"](msec=0)
    assert calls() == ["test False"]


def test_a_module_is_named_as_its_file(application, tmp_path):
    (tmp_path / "OtherName.py").write_text("class Something: pass\n")
    with pytest.raises(ImportError, match="OtherName"):
        application.loadModule(tmp_path / "OtherName.py")
    with pytest.raises(ImportError, match="no module file"):
        application.loadModule(tmp_path / "Missing.py")
    with pytest.raises(RuntimeError, match="Could not find module"):
        slicer.util.getModule("OtherName")


def test_core_modules_have_their_real_logics(application):
    assert slicer.modules.segmentations.logic().IsA("vtkSlicerSegmentationsModuleLogic")
    assert slicer.util.getModuleLogic("Volumes").IsA("vtkSlicerVolumesLogic")
    assert not hasattr(slicer.modules, "nosuchmodule")


def test_dialogs_get_the_answers_a_test_decided(application):
    with application.answers.given("ok", "no", "ok") as asked:
        assert slicer.util.confirmOkCancelDisplay("Install?") is True
        assert slicer.util.confirmYesNoDisplay("Really?") is False
        slicer.util.errorDisplay("It failed.")
    assert asked == ["Install?", "Really?", "It failed."]


def test_an_unanswered_dialog_is_a_problem_and_a_refusal(application):
    assert slicer.util.confirmOkCancelDisplay("Install?") is False
    assert [problem.kind for problem in problems.take()] == ["modal"]


def test_in_testing_mode_nothing_is_asked(application, monkeypatch):
    monkeypatch.setattr(slicer.app, "_testing", True)
    assert slicer.util.confirmOkCancelDisplay("Install?") is False
    assert slicer.util.errorDisplay("It failed.") is None


def test_settings_stay_inside_the_session(application):
    import qt

    slicer.app.userSettings().setValue("HostTiny/device", "cpu")
    slicer.app.userSettings().sync()
    assert qt.QSettings().value("HostTiny/device") == "cpu"
    assert slicer.app.userSettings().fileName().startswith(str(application.folder))


def test_packages_are_never_installed(application, tmp_path, monkeypatch):
    from subprocess import CalledProcessError

    from slicer import packaging

    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# of the panel\n-c constraints.txt\nnumpy>=1.20\nno-such-package>=3\n")
    loaded = packaging.load_requirements(requirements)
    assert [packaging.pip_check(each) for each in loaded] == [True, False]
    with application.answers.given("cancel"), pytest.raises(RuntimeError, match="declined"):
        packaging.pip_ensure(loaded, requester="Test")
    with application.answers.given("ok"), pytest.raises(CalledProcessError):
        packaging.pip_ensure(loaded, requester="Test")
    monkeypatch.setattr(packaging, "_outcomes", [0])
    with application.answers.given("ok"):
        assert packaging.pip_ensure(loaded, requester="Test") is None
    assert packaging._installed[-1] == ["no-such-package>=3"]
    finished = []
    monkeypatch.setattr(packaging, "_outcomes", [7])
    packaging.pip_install("x", blocking=False, completedCallback=finished.append)
    assert packaging.isPipInstallInProgress()
    application.processEvents(0.2)
    assert finished == [7]
    assert not packaging.isPipInstallInProgress()


def test_the_names_of_texts_tell_their_context(application):
    from slicer.i18n import getContext, tr

    assert tr("Run") == "Run"
    assert getContext(str(FOLDER / "HostTiny.py")) == "HostTiny"
    assert getContext("/x/host/slicer_parts/__init__.py") == "slicer_parts"
    assert getContext(slicer.util.__file__) == "slicer.util"


def test_the_wheels_extras_are_not_offered(application):
    assert not hasattr(slicer, "arrayFromVolume")
    assert not hasattr(slicer, "loadVolume")
    assert callable(slicer.util.arrayFromVolume)


def test_the_pytorch_extension_comes_and_goes(application):
    with pytest.raises(ImportError):
        importlib.import_module("PyTorchUtils")
    fake = application.addPyTorchExtension()
    logic = importlib.import_module("PyTorchUtils").PyTorchUtilsLogic()
    assert logic.torchInstalled() is False
    with pytest.raises(TypeError):
        logic.installTorch(
            torchVisionVersionRequirement=">=0.1"
        )  # the real name is torchvisionVersionRequirement
    assert logic.installTorch(torchVersionRequirement=">=2.4") is None
    assert fake._calls[-1]["torchVersionRequirement"] == ">=2.4"
    application.removePyTorchExtension()


END = """
import sys
sys.path.insert(0, {host!r})
import host
application = host.start([{module!r}])
import slicer
slicer.app.aboutToQuit.connect(lambda: print("aboutToQuit"))
slicer.app.connect("aboutToQuit()", lambda: print("again"))
application.showModule("HostTiny")
slicer.modules.HostTinyInstance.calls.clear()
calls = slicer.modules.HostTinyInstance.calls
folder = application.folder
application.quit()
application.quit()
print(calls, folder.exists(), slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode"))
"""


def test_quitting_leaves_and_cleans_up_each_module_once():
    source = END.format(host=str(Path(__file__).parents[2]), module=str(FOLDER / "HostTiny.py"))
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["aboutToQuit", "again", "['exit', 'cleanup'] False 0"]


def test_a_package_imported_twice_is_one(application):
    import slicer.parameterNodeWrapper.validators as first

    second = importlib.import_module("slicer.parameterNodeWrapper").WithinRange
    assert first.WithinRange is second
