"""The project itself keeps the contract, and the facts in the host are those of the running Slicer."""

import os
from pathlib import Path

import pytest

from host import api, contract
from host.api import extract

REPOSITORY = Path(__file__).resolve().parents[4]
FACTS = Path(os.environ.get("SLICER_API", REPOSITORY.parent / "shared" / "slicer_api"))


def shown(violations: list[contract.Violation]) -> str:
    return "\n".join(str(violation) for violation in violations)


def test_the_modules_keep_the_contract():
    found = contract.checkFolder(REPOSITORY / "SegToolkit")
    assert not found, shown(found)


def test_the_self_tests_keep_the_contract():
    widgets = sorted((REPOSITORY / "SegToolkit").rglob("*.ui"))
    code = sorted((REPOSITORY / "Testing" / "Slicer").rglob("*.py"))
    found = [violation for violation in contract.check(code, widgets) if violation.file in code]
    assert not found, shown(found)


def test_the_stand_ins_keep_the_contract():
    found = contract.checkStandIns()
    assert not found, shown(found)


@pytest.mark.skipif(not FACTS.is_dir(), reason="the files read from a running Slicer are not here")
def test_the_facts_are_an_extract_of_the_files():
    assert api.facts() == extract.extract(FACTS)


def test_the_facts_stay_small():
    assert extract.FACTS.stat().st_size <= 400_000


@pytest.mark.parametrize(
    ("className", "member", "kind"),
    [
        ("QPushButton", "text", "property"),
        ("QPushButton", "enabled", "property"),
        ("QPushButton", "clicked", "signal"),
        ("QPushButton", "setText", "method"),
        ("qMRMLNodeComboBox", "currentNodeID", "property"),
        ("qMRMLSegmentSelectorWidget", "currentNodeID", "method"),
        ("qSlicerApplication", "temporaryPath", "property"),
        ("qSlicerApplication", "layoutManager", "method"),
        ("QWidget", "isTopLevel", None),
        ("ctkSliderWidget", "setSliderValue", None),
        ("QDialog", "exec_", "method"),
    ],
)
def test_facts_tell_the_kind_of_a_member(className, member, kind):
    assert api.kind(className, member) == kind
