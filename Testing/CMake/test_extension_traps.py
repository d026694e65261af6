"""The stand-in has the traps of Slicer's build system, and tells where the real one is silent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from extension_build import SCRIPTED_MODULES, ExtensionBuild, digests

HEAD = """
cmake_minimum_required(VERSION 3.16.3)
project(Small NONE)
set(EXTENSION_HOMEPAGE "https://example.org")
set(EXTENSION_CONTRIBUTORS "A")
set(EXTENSION_DESCRIPTION "B")
set(EXTENSION_ICONURL "https://example.org/a.png")
set(EXTENSION_SCREENSHOTURLS "https://example.org/b.png")
set(EXTENSION_LICENSE_FILE ${CMAKE_SOURCE_DIR}/LICENSE)
"""
MIDDLE = """
find_package(Slicer REQUIRED)
include(${Slicer_USE_FILE})
"""
TAIL = """
include(${Slicer_EXTENSION_GENERATE_CONFIG})
include(${Slicer_EXTENSION_CPACK})
"""
ONE = "slicerMacroBuildScriptedModule(NAME One SCRIPTS One.py)\n"


def small(folder: Path, files: dict[str, str], body: str = "", settings: str = "") -> ExtensionBuild:
    """An extension of the given files; folders with a CMakeLists.txt are part of it."""
    source = folder / "source"
    within = "".join(f"add_subdirectory({Path(n).parent.as_posix()})\n" for n in files if "/CMakeLists" in n)
    files = {"LICENSE": "mine", "CMakeLists.txt": HEAD + settings + MIDDLE + within + body + TAIL, **files}
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text, encoding="utf-8")
    return ExtensionBuild(source, folder, make=True)


def installed(extension: ExtensionBuild) -> set[str]:
    extension.configure()
    extension.build()
    extension.install()
    return set(digests(extension.modules))


def test_a_plain_module_meets_no_problem(tmp_path: Path) -> None:
    extension = small(tmp_path, {"One.py": ""}, ONE)
    assert installed(extension) == {"One.py"}
    assert extension.problems() == []


@pytest.mark.parametrize("keyword", ["SCRIPTS One.py", "SCRIPTS One.py RESOURCES"])
def test_a_path_with_dots_is_built_and_not_installed(tmp_path: Path, keyword: str) -> None:
    files = {
        "Module/One.py": "",
        "Lib/part.py": "",
        "Module/CMakeLists.txt": f"slicerMacroBuildScriptedModule(NAME One {keyword} ../Lib/part.py)",
    }
    extension = small(tmp_path, files)
    assert installed(extension) == {"One.py"}
    assert (extension.folder / SCRIPTED_MODULES / "../Lib/part.py").is_file()
    assert [p for p in extension.problems() if "nothing installs it" in p]


def test_an_absolute_script_lands_elsewhere(tmp_path: Path) -> None:
    body = "slicerMacroBuildScriptedModule(NAME One SCRIPTS One.py ${CMAKE_SOURCE_DIR}/Lib/part.py)"
    extension = small(tmp_path, {"One.py": "", "Lib/part.py": ""}, body)
    assert installed(extension) == {"One.py"}
    assert [p for p in extension.problems() if "nothing installs it" in p]


def test_an_absolute_resource_lands_below_its_whole_path(tmp_path: Path) -> None:
    body = "slicerMacroBuildScriptedModule(NAME One SCRIPTS One.py RESOURCES ${CMAKE_SOURCE_DIR}/a.json)"
    extension = small(tmp_path, {"One.py": "", "a.json": ""}, body)
    assert {Path(name).name for name in installed(extension)} == {"One.py", "a.json"}
    assert not (extension.modules / "a.json").exists()
    assert [p for p in extension.problems() if "whole path" in p]


@pytest.mark.parametrize(
    ("first", "second"), [("Resources/a.txt", "Resources/a.txt"), ("Resources/a.txt", "Resources/A.txt")]
)
def test_of_two_resources_with_one_path_one_is_lost(tmp_path: Path, first: str, second: str) -> None:
    files = {}
    for module, resource in (("One", first), ("Two", second)):
        call = f"slicerMacroBuildScriptedModule(NAME {module} SCRIPTS {module}.py RESOURCES {resource})"
        files |= {
            f"{module}/{module}.py": "",
            f"{module}/{resource}": module,
            f"{module}/CMakeLists.txt": call,
        }
    extension = small(tmp_path, files)
    found = installed(extension)
    if first == second:
        assert found == {"One.py", "Two.py", first}, "both modules have a resource and there is one"
    assert [p for p in extension.problems() if "one of them is lost" in p]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ('set(EXTENSION_DESCRIPTION "Fast; good.")', "what follows it is lost"),
        ("unset(EXTENSION_LICENSE_FILE)", "gets Slicer's"),
        ("unset(EXTENSION_ICONURL)", "EXTENSION_ICONURL is empty"),
    ],
)
def test_what_is_wrong_with_a_description_is_told(tmp_path: Path, settings: str, problem: str) -> None:
    extension = small(tmp_path, {"One.py": ""}, ONE, settings)
    extension.configure()
    assert len(extension.problems()) == 1
    assert problem in extension.problems()[0]


@pytest.mark.parametrize(
    ("body", "settings", "reason"),
    [
        ("slicerMacroBuildScriptedModule(NAME One SCRIPT One.py)", "", "does not know"),
        ("slicerMacroBuildScriptedModule(SCRIPTS One.py)", "", "NAME is mandatory"),
        ("slicerMacroBuildScriptedModule(NAME One)", "", "SCRIPTS of One is empty"),
        ("slicerMacroBuildScriptedModule(NAME One SCRIPTS One.py RESOURCES a.ui)", "", "does not exist"),
        ("ctkMacroCompilePythonScript(TARGET_NAME One SCRIPTS One.py)", "", "DESTINATION_DIR is mandatory"),
        (ONE, 'set(EXTENSION_LICENSE_FILE "${CMAKE_SOURCE_DIR}/COPYING")', "a file that does not exist"),
        (ONE, 'set(Small_WC_REVISION "")', "Small_WC_REVISION is empty"),
    ],
)
def test_mistakes_end_the_configuration(tmp_path: Path, body: str, settings: str, reason: str) -> None:
    output = small(tmp_path, {"One.py": ""}, body, settings).configure(succeeds=False)
    assert reason in re.sub(r"\s+", " ", output)


@pytest.mark.parametrize(
    ("files", "scripts"),
    [({"One.py": "", "a.json": "{}"}, "One.py a.json"), ({"One.py": "def broken(:"}, "One.py")],
    ids=["data among the scripts", "a script that does not compile"],
)
def test_mistakes_in_scripts_end_the_build(tmp_path: Path, files: dict[str, str], scripts: str) -> None:
    extension = small(tmp_path, files, f"slicerMacroBuildScriptedModule(NAME One SCRIPTS {scripts})")
    extension.configure()
    extension.build(succeeds=False)


def test_a_test_named_with_its_folder_is_looked_for_nowhere(tmp_path: Path) -> None:
    body = ONE + "slicer_add_python_unittest(SCRIPT Part/OneTest.py)"
    extension = small(tmp_path, {"One.py": "", "Part/OneTest.py": ""}, body)
    extension.configure()
    (code,) = (argument for argument in extension.tests()["py_OneTest"] if "runUnitTest" in argument)
    assert "'Part'], 'OneTest'" in code
