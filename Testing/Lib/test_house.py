"""The rules of docs/architecture.md that a machine can check."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "SegToolkitLib"
FORBIDDEN = {"slicer", "qt", "ctk", "vtk"}

# Lower layers first; a module may import from its own layer and from those before it.
LAYERS = [
    {"errors", "atomic", "archive", "device", "events", "validation", "settings", "palette"}
    | {"home", "processes", "sharding"},
    {"volume"},
    {"phantom", "dataset", "evaluation", "training", "jobs"},
    {"models", "anatomy", "dicom_seg"},
    {"automatic"},
    {"methods"},
    {"worker"},
    {"cli", "__main__"},
]
# What a method's commands share with the command line: pure argument helpers.
ALLOWED = {("methods", "SegToolkitLib.cli.options"), ("cli", "SegToolkitLib.cli.options")}


def imports_of(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def part_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


FILES = sorted(LIBRARY.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(LIBRARY)))
def test_arrows_point_one_way(file: Path) -> None:
    own = file.relative_to(LIBRARY).with_suffix("").parts
    height = {part: level for level, parts in enumerate(LAYERS) for part in parts}
    for module in imports_of(file):
        assert module.split(".")[0] not in FORBIDDEN, f"{file.name} imports {module}"
        if not module.startswith("SegToolkitLib.") or (own[0], module) in ALLOWED:
            continue
        part = part_of(module)
        if own[0] in height and part in height:
            assert height[part] <= height[own[0]], f"{file.name} imports {module} from a layer above"
        if own[0] == part == "methods" and len(own) > 2:
            assert module.split(".")[2] in {own[1], "registry"}, (
                f"{file.name} imports another method: {module}"
            )


def test_the_worker_and_the_command_line_know_the_methods_by_the_registry_alone() -> None:
    # The demo shows one method, and says which.
    for file in [*(LIBRARY / "worker").glob("*.py"), *(LIBRARY / "cli").glob("*.py")]:
        named = {m for m in imports_of(file) if m.startswith("SegToolkitLib.methods.")}
        assert file.name == "demo.py" or named <= {"SegToolkitLib.methods.registry"}, file.name


@pytest.mark.parametrize(
    "module",
    [
        "SegToolkitLib.volume",
        "SegToolkitLib.dataset",
        "SegToolkitLib.anatomy",
        "SegToolkitLib.dicom_seg",
        "SegToolkitLib.automatic.command",
        "SegToolkitLib.models.card",
        "SegToolkitLib.models.store",
        "SegToolkitLib.models.licence",
        "SegToolkitLib.cli",
        "SegToolkitLib.events",
        "SegToolkitLib.worker.serving",
        "SegToolkitLib.worker.models",
        "SegToolkitLib.worker.dicom_answers",
        "SegToolkitLib.worker.compare_answers",
        "SegToolkitLib.worker.ejection_answers",
        "SegToolkitLib.methods.cooperative.training",
        "SegToolkitLib.methods.cmer.training",
        "SegToolkitLib.methods.cmer.commands",
        "SegToolkitLib.methods.cmer.tags",
        "SegToolkitLib.methods.cssn.automatic",
        "SegToolkitLib.methods.cssn.training",
        "SegToolkitLib.methods.cssn.commands",
        "SegToolkitLib.methods.nnunet.automatic",
        "SegToolkitLib.methods.nnunet.commands",
        "SegToolkitLib.methods.nnunet.service",
        "SegToolkitLib.methods.nnunet.training",
        "SegToolkitLib.methods.pdcr_uafr.automatic",
        "SegToolkitLib.methods.pdcr_uafr.commands",
        "SegToolkitLib.methods.pdcr_uafr.service",
        "SegToolkitLib.methods.pdcr_uafr.training",
        "SegToolkitLib.methods.alpnet.service",
        "SegToolkitLib.methods.alpnet.support_set",
        "SegToolkitLib.methods.alpnet.requests",
    ],
)
def test_what_a_window_needs_imports_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_file_is_too_long_to_have_one_subject() -> None:
    window = sorted((ROOT / "SegToolkit").rglob("*.py"))
    lengths = {
        str(f.relative_to(ROOT)): len(f.read_text(encoding="utf-8").splitlines()) for f in [*FILES, *window]
    }
    assert {name: n for name, n in lengths.items() if n > 400} == {}


def test_nothing_large_is_tracked() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    sizes = {name: (ROOT / name).stat().st_size for name in listed.stdout.split("\0") if name}
    assert {name: size for name, size in sizes.items() if size > 25e6} == {}
    assert sum(sizes.values()) < 60e6


def test_no_test_is_a_stub() -> None:
    for file in Path(__file__).parent.glob("test_*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                names = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
                checks = any(isinstance(n, ast.Assert) for n in ast.walk(node)) or names & {
                    "raises",
                    "assert_close",
                    "assert_allclose",
                    "assert_array_equal",
                    "testmod",
                }
                calls = {
                    n.func.id
                    for n in ast.walk(node)
                    if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
                }
                helper = any(name.startswith(("assert_", "check_", "expect_", "run_check")) for name in calls)
                assert checks or helper, f"{file.name}: {node.name} checks nothing"
