"""The contract over stand-ins: each that offers more than the real class is found."""

from typing import ClassVar

import pytest
from PySide6.QtCore import Property, Signal, Slot
from PySide6.QtWidgets import QWidget

from host.contract import checkStandIns


def made(**members):
    """A stand-in of qMRMLNodeComboBox with these members."""
    return type("qMRMLNodeComboBox", (QWidget,), {"__module__": __name__, **members})


def read(self):
    return ""


def write(self, value):
    pass


CASES = {
    "an unlisted method": ({"currentNode": read}, {"currentVolume": read}, "offers currentVolume"),
    "a helper without underscore": ({"_helper": read}, {"helper": read}, "offers helper"),
    "an unlisted property": (
        {"noneDisplay": Property(str, read, write)},
        {"noneText": Property(str, read, write)},
        "offers noneText",
    ),
    "a method for a property": (
        {"currentNodeID": Property(str, read, write)},
        {"currentNodeID": read},
        "as method; it is a property",
    ),
    "a property for a method": (
        {"currentNode": read},
        {"currentNode": Property(str, read)},
        "as property; it is a method",
    ),
    "a property of another type": (
        {"noneEnabled": Property(bool, read, write)},
        {"noneEnabled": Property(str, read, write)},
        "it is bool",
    ),
    "a signal that does not exist": (
        {"currentNodeIDChanged": Signal(str)},
        {"currentIdChanged": Signal(str)},
        "offers currentIdChanged",
    ),
    "a signal with other arguments": (
        {"currentNodeIDChanged": Signal(str)},
        {"currentNodeIDChanged": Signal(int)},
        "has the signal currentNodeIDChanged(int)",
    ),
    "a signal with more arguments": (
        {"currentNodeChanged": Signal((object,), (bool,))},
        {"currentNodeChanged": Signal(object, object)},
        "has the signal currentNodeChanged",
    ),
    "a protected slot": (
        {"emitCurrentNodeChanged": Slot()(lambda self: None)},
        {"emitNodeChanged": Slot()(lambda self: None)},
        "offers emitNodeChanged",
    ),
}


@pytest.mark.parametrize(("right", "wrong", "words"), CASES.values(), ids=CASES.keys())
def test_finds_a_stand_in_that_is_kinder(right, wrong, words):
    assert checkStandIns([made(**right)]) == []
    found = [violation.text for violation in checkStandIns([made(**wrong)])]
    assert found
    assert any(words in text for text in found)


def test_a_base_of_the_host_counts():
    class Helper:
        shared: ClassVar[int] = 1

    cls = type("qMRMLNodeComboBox", (Helper, QWidget), {"__module__": __name__})
    assert [violation.text for violation in checkStandIns([cls])] == [
        "qMRMLNodeComboBox: offers shared, which a script does not see on the real class"
    ]


def test_a_read_only_property_that_can_be_assigned_is_found():
    cls = type("QComboBox", (QWidget,), {"__module__": __name__, "count": property(read, write)})
    assert "read-only" in checkStandIns([cls])[0].text
