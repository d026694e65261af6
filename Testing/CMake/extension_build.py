"""Builds the extension with CMake against the stand-in for Slicer's build system, as a child of the tests."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).resolve().parent / "stand_in"
SCRIPTED_MODULES = "lib/Slicer-5.13/qt-scripted-modules"
BUNDLE = "Slicer.app/Contents/Extensions-34000/SegToolkit"
WITHOUT_GIT = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "demo", "runs", "bench", "dist"
)

# Nothing of ours is compiled, so the build needs no compiler: languages are named, but none is looked for.
NO_COMPILER = [
    f"-DCMAKE_{language}_{setting}"
    for language in ("C", "CXX")
    for setting in ("COMPILER_FORCED=ON", f"COMPILER={Path(sys.executable).as_posix()}")
]


def tool(name: str) -> str:
    """Path of a program: from the PATH, or from the packages `cmake` and `ninja` beside this Python."""
    found = find(name)
    if not found:
        pytest.fail(
            f"{name} is missing: install it, e.g. by `pip install cmake ninja` or `apt install cmake make`."
        )
    return found


def find(name: str) -> str | None:
    """Path of a program, or None."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def run(command: list[str], cwd: Path, succeeds: bool = True) -> str:
    """What the command prints. Its failure, or its unexpected success, fails the test and shows that."""
    environment = {name: value for name, value in os.environ.items() if name not in {"DESTDIR", "MAKEFLAGS"}}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        encoding="utf-8",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert (done.returncode == 0) == succeeds, f"{' '.join(command)}\n{done.stdout[-4000:]}"
    return done.stdout


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below the folder, by path, without Python's compiled files."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }


def copy_sources(folder: Path) -> None:
    """Copy what git tracks and what it would offer to track: leftovers of the work tree prove nothing."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if listed.returncode != 0:  # an unpacked archive
        shutil.copytree(ROOT, folder, ignore=WITHOUT_GIT)
        return
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


@dataclass
class ExtensionBuild:
    """A source folder, and what becomes of it.

    Attributes:
        source: holds the CMakeLists.txt.
        base: folders `build` and `installed` are made here.
        bundle: install into the folders of macOS.
        make: build with make, which is silent about two files with one target. Ninja, faster, refuses them.
    """

    source: Path
    base: Path
    bundle: bool = False
    make: bool = False
    output: str = field(default="", init=False)

    @property
    def folder(self) -> Path:
        """The build folder."""
        return self.base / "build"

    @property
    def prefix(self) -> Path:
        """What CMake takes for the root of the installation."""
        return self.base / "installed"

    @property
    def modules(self) -> Path:
        """The folder of scripted modules in the installed tree."""
        return self.prefix / (BUNDLE if self.bundle else "") / SCRIPTED_MODULES

    def generator(self) -> list[str]:
        """Options that choose and find the build program."""
        if not self.make and find("ninja"):
            return ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}"]
        return [] if os.name == "nt" else ["-G", "Unix Makefiles", f"-DCMAKE_MAKE_PROGRAM={tool('make')}"]

    def configure(self, *options: str, succeeds: bool = True) -> str:
        """Run CMake."""
        name = re.search(r"project\((\w+)", (self.source / "CMakeLists.txt").read_text(encoding="utf-8"))
        assert name is not None
        checkout = {"REVISION": "0123456", "URL": "https://example.org/repository", "DATE": "2026-11-21"}
        command = [
            tool("cmake"),
            *self.generator(),
            *("-S", str(self.source), "-B", str(self.folder)),
            f"-DSlicer_DIR={STAND_IN.as_posix()}",
            f"-DPYTHON_EXECUTABLE={Path(sys.executable).as_posix()}",
            *(f"-D{name[1]}_WC_{key}={value}" for key, value in checkout.items()),
            f"-DSTAND_IN_BUNDLE={'ON' if self.bundle else 'OFF'}",
            *NO_COMPILER,
            *options,
        ]
        self.output = run(command, self.source, succeeds)
        return self.output

    def build(self, succeeds: bool = True) -> str:
        """Build all targets."""
        return run([tool("cmake"), "--build", str(self.folder), "--parallel", "2"], self.base, succeeds)

    def install(self) -> None:
        """Install into an empty folder."""
        shutil.rmtree(self.prefix, ignore_errors=True)
        run([tool("cmake"), "--install", str(self.folder), "--prefix", str(self.prefix)], self.base)

    def package(self) -> Path:
        """Pack, and return the archive."""
        run([tool("cpack"), "-G", "TGZ"], self.folder)
        (archive,) = self.folder.glob("*.tar.gz")
        return archive

    def problems(self) -> list[str]:
        """What a real build would pass over in silence."""
        return (self.folder / "stand_in" / "problems.txt").read_text(encoding="utf-8").splitlines()

    def copies(self) -> list[tuple[str, str]]:
        """(Source, target) of every file that the macros copy."""
        lines = (self.folder / "stand_in" / "copies.txt").read_text(encoding="utf-8").splitlines()
        return [(source, target) for source, _, target in (line.partition("|") for line in lines)]

    def tests(self) -> dict[str, list[str]]:
        """Command of each registered test, by name."""
        shown = run([tool("ctest"), "--show-only=json-v1"], self.folder)
        described = json.loads(shown[shown.index("{") :])
        return {test["name"]: test.get("command", []) for test in described["tests"]}
