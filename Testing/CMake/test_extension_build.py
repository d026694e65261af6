"""The extension as CMake builds, installs and packs it: the installed tree works without its sources."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from extension_build import SCRIPTED_MODULES, ExtensionBuild, copy_sources, digests

PACKAGES = ("SegToolkitLib", "SegToolkitGui")
STARTER = "abdomen-mr-t2-compact"
# Where sources are installed; the first that fits. None: not at all.
PLACES: list[tuple[str, str | None]] = [
    ("SegToolkit/README.md", None),
    ("SegToolkit/SegToolkitGui/", "SegToolkitGui/"),
    ("SegToolkit/", ""),
    ("SegToolkitLib/", "SegToolkitLib/"),
    ("Resources/Models/", "SegToolkitModels/"),
    ("Resources/DataSets/", "SegToolkitDataSets/"),
    ("LICENSE", "SegToolkit-LICENSE.txt"),
]
IMPORT_ALL = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
for name in json.loads(sys.argv[2]):
    importlib.import_module(name)
print(json.dumps({n: m.__file__ for n, m in sys.modules.items() if n.startswith("SegToolkit")}))
"""


def finished(extension: ExtensionBuild) -> ExtensionBuild:
    extension.configure()
    extension.build()
    extension.install()
    return extension


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> ExtensionBuild:
    """The extension, installed into a folder with a blank and a letter beyond ASCII in its name."""
    base = tmp_path_factory.mktemp("extension")
    copy_sources(base / "source")
    (base / "Pläne 1").mkdir()
    return finished(ExtensionBuild(base / "source", base / "Pläne 1"))


def place(source: str) -> str | None:
    for start, target in PLACES:
        if source.startswith(start):
            return None if target is None else target + source[len(start) :]
    return None


def expected(sources: Path) -> dict[str, str]:
    """What has to be installed: digests of the sources by their place in the folder of scripted modules."""
    placed = {
        place(name): digest
        for name, digest in digests(sources).items()
        if not name.endswith("CMakeLists.txt")
    }
    return {name: digest for name, digest in placed.items() if name is not None}


def module_name(file: str) -> str:
    return re.sub(r"(/__init__)?\.py$", "", file).replace("/", ".")


def imports(file: Path, name: str, top_level_only: bool = False) -> set[str]:
    """Modules that a file names in its imports; relative ones in full.

    Those at the top level are what importing the file imports: with them come the names that are taken.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            whole = ".".join([*base, *([node.module] if node.module else [])])
            found.add(whole)
            if top_level_only:  # what is imported from a package may be a module of it
                found |= {f"{whole}.{one.name}" for one in node.names}
    return found


def gui_modules_without_the_application(modules: Path) -> list[str]:
    """Modules of SegToolkitGui that import neither the application nor Qt, nor another module that does."""
    files = {
        module_name(f.relative_to(modules).as_posix()): f for f in (modules / "SegToolkitGui").rglob("*.py")
    }
    allowed = set(sys.stdlib_module_names) | {"numpy", "SegToolkitGui"}
    needs = {name: imports(file, name, top_level_only=True) for name, file in files.items()}
    plain = {name for name, named in needs.items() if {one.split(".")[0] for one in named} <= allowed}
    for _ in files:
        plain = {name for name in plain if all(one in plain for one in needs[name] if one in files)}
    return sorted(plain)


def test_it_builds_without_a_problem(built: ExtensionBuild) -> None:
    assert built.problems() == []
    assert "warning" not in built.output.lower()


def test_what_is_installed_is_the_sources_no_more_and_no_less(built: ExtensionBuild) -> None:
    wanted, found = expected(built.source), digests(built.modules)
    assert sorted(found) == sorted(wanted)
    assert [name for name, digest in wanted.items() if found[name] != digest] == []


def test_no_resource_overwrites_another(built: ExtensionBuild) -> None:
    origins: dict[str, set[str]] = {}
    for source, target in built.copies():
        origins.setdefault(target.lower(), set()).add(source)
    assert {target: files for target, files in origins.items() if len(files) > 1} == {}
    assert len(origins) > 100
    # Other extensions' files could stand in the same folder: only names of our own are safe.
    shared = [name for name in digests(built.modules) if name.startswith("Resources/") or "/" not in name]
    assert [name for name in shared if not Path(name).name.startswith("SegToolkit")] == []


def test_the_description_is_installed(built: ExtensionBuild) -> None:
    text = (built.prefix / "share/Slicer-5.13/SegToolkit.s4ext").read_text(encoding="utf-8")
    assert "depends PyTorch" in text.splitlines()


def test_the_build_folder_can_be_used_as_it_is(built: ExtensionBuild) -> None:
    found = digests(built.folder / SCRIPTED_MODULES)
    assert {**expected(built.source), **found} == expected(built.source)
    assert set(expected(built.source)) - set(found) == {"SegToolkit-LICENSE.txt"}


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_from_the_installed_tree_alone(
    built: ExtensionBuild, package: str, tmp_path: Path
) -> None:
    files = [file.relative_to(built.modules).as_posix() for file in (built.modules / package).rglob("*.py")]
    names = sorted(module_name(file) for file in files if not file.endswith("__main__.py"))
    if package == "SegToolkitGui":
        names = gui_modules_without_the_application(built.modules)
    assert package in names
    command = [sys.executable, "-I", "-c", IMPORT_ALL, str(built.modules), json.dumps(names)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    imported = json.loads(done.stdout)
    assert set(names) <= set(imported)
    for name, file in imported.items():
        assert Path(file).is_relative_to(built.modules), f"{name} came from {file}"


def test_every_module_of_ours_that_is_imported_is_installed(built: ExtensionBuild) -> None:
    missing = []
    for file in built.modules.rglob("*.py"):
        name = module_name(file.relative_to(built.modules).as_posix())
        for one in imports(file, name):
            path = built.modules.joinpath(*one.split("."))
            if one.startswith("SegToolkit") and not (path.with_suffix(".py").is_file() or path.is_dir()):
                missing.append(f"{name} imports {one}")
    assert missing == []


def test_the_starter_models_are_found_in_the_installed_tree(built: ExtensionBuild, tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("SEGTOOLKIT", "PYTHON"))
    }
    environment |= {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PYTHONUTF8": "1"}

    def answer(*arguments: str) -> str:
        """What Python prints, started as for the worker process: in the folder of the library."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=built.modules,
            env=environment,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        ).stdout

    done = json.loads(answer("-m", "SegToolkitLib", "models", "list", "--json").splitlines()[-1])
    assert done == {"t": "done", "outputs": {"models": [STARTER, "heart-cine-mr", "organs-mr-t2"]}}
    folder = answer(
        "-c",
        f"from SegToolkitLib.models.store import ModelStore; print(ModelStore().find('{STARTER}').folder)",
    )
    assert Path(folder.strip()) == built.modules / "SegToolkitModels" / STARTER


def test_the_package_holds_the_installed_tree(built: ExtensionBuild) -> None:
    with tarfile.open(built.package()) as archive:
        names = [Path(member.name) for member in archive.getmembers() if member.isfile()]
    packed = {Path(*name.parts[1:]).as_posix() for name in names if "__pycache__" not in name.parts}
    assert packed == set(digests(built.prefix))


def test_self_tests_are_registered_where_python_finds_them(built: ExtensionBuild) -> None:
    registered = set()
    for name, command in built.tests().items():
        (code,) = (argument for argument in command if "runUnitTest" in argument)
        *folders, test = re.findall(r"'([^']*)'", code)
        assert any((Path(folder) / f"{test}.py").is_file() for folder in folders), (
            f"{name} leads nowhere: {code}"
        )
        registered.add(test)
    folder = built.source / "Testing" / "Slicer"
    tests = {file.stem for file in folder.glob("*.py") if "TestCase" in file.read_text(encoding="utf-8")}
    tests |= {file.stem for file in folder.glob("*.py") if "ModuleTest" in file.read_text(encoding="utf-8")}
    modules = {file.stem for file in (built.source / "SegToolkit").glob("*.py")}
    assert registered == tests | {f"qSlicer{module}ModuleGenericTest" for module in modules}


def test_every_search_for_files_is_repeated_at_each_build(built: ExtensionBuild) -> None:
    files = [name for name in digests(built.source) if name.endswith("CMakeLists.txt")]
    calls = [
        call
        for name in files
        for call in re.findall(r"file\(GLOB[^)]*\)", (built.source / name).read_text("utf-8"))
    ]
    assert len(calls) >= 5
    assert [call for call in calls if "CONFIGURE_DEPENDS" not in call] == []


def test_new_files_are_installed_without_a_change_to_cmake_files(tmp_path: Path) -> None:
    copy_sources(tmp_path / "source")
    for package, kept in (("SegToolkitLib", "models"), ("SegToolkit/SegToolkitGui", "scene")):
        for folder in (tmp_path / "source" / package).iterdir():
            if folder.is_dir() and folder.name != kept:
                shutil.rmtree(folder)  # the rest is enough here, and builds in half the time
    extension = finished(ExtensionBuild(tmp_path / "source", tmp_path, bundle=True))
    before = set(digests(extension.modules))
    assert before == set(expected(extension.source)), "not all files are in the folders of macOS"
    added = [
        "SegToolkitLib/models/fresh.py",
        "SegToolkitLib/fresh/data.json",
        "SegToolkit/SegToolkitGui/scene/Fresh.py",
        "SegToolkit/Resources/Icons/SegToolkitFewShotFresh.svg",
        "Resources/Models/fresh/model.json",
    ]
    for name in added:
        (extension.source / name).parent.mkdir(parents=True, exist_ok=True)
        (extension.source / name).write_text("", encoding="utf-8")
    extension.build()
    extension.install()
    assert set(digests(extension.modules)) - before == {place(name) for name in added}
    assert extension.problems() == []
