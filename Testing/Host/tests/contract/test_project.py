"""The project itself keeps the contract, and the facts in the host are those of the running Slicer."""

import ast
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


def packagesUsed(path: Path) -> set[str]:
    """The folders of SegToolkitGui that a file imports from."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {
        f"{node.module}.{one.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for one in node.names
    }
    names |= {one.name for node in nodes if isinstance(node, ast.Import) for one in node.names}
    parts = [name.split(".") for name in names if name.startswith("SegToolkitGui.")]
    return {one[1] for one in parts if (REPOSITORY / "SegToolkit" / "SegToolkitGui" / one[1]).is_dir()}


def test_what_two_modules_need_lies_in_neither_of_their_packages():
    gui = REPOSITORY / "SegToolkit" / "SegToolkitGui"
    modules = {path.parent.name for path in gui.glob("*/Panel.py")}
    assert {"fewshot", "autosegment", "training"} <= modules
    assert "run" in packagesUsed(gui / "fewshot" / "Run.py")
    for path in gui.rglob("*.py"):
        folder = path.relative_to(gui).parts[0]
        forbidden = modules - {folder} | ({"run"} if folder == "scene" else set())
        assert not packagesUsed(path) & forbidden, path.relative_to(gui)


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
