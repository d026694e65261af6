"""slicer.packaging: checks are real, installing never happens; tests decide what an installation would do.

`_outcomes` is the queue of tests: each entry answers one installation, None for success, an exit code for
failure, or a
function that gets the requirements and may make packages appear. An installation that nobody decided fails.
"""

from __future__ import annotations

import importlib.metadata
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import slicer
from packaging.requirements import InvalidRequirement, Requirement

Requirements = str | Requirement | list[str | Requirement]

_outcomes: list[Any] = []
_installed: list[list[str]] = []
_in_progress = False


def load_requirements(path: str | Path) -> list[Requirement]:
    """Requirements of a file: blank lines, comments and options are left out; an inline comment is an
    error."""
    lines = (line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and line[0] not in "#-"]


def load_pyproject_dependencies(path: str | Path) -> list[Requirement]:
    """project.dependencies of a pyproject.toml; KeyError without the table "project"."""
    if sys.version_info < (3, 11):
        raise NotImplementedError("reading pyproject.toml needs Python 3.11")
    import tomllib

    data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    if "project" not in data:
        raise KeyError(f"there is no table [project] in {path}")
    return [Requirement(text) for text in data["project"].get("dependencies", [])]


def _asRequirements(requirements: Any) -> list[Requirement]:
    if isinstance(requirements, Requirement):
        return [requirements]
    if isinstance(requirements, list):
        return [Requirement(each) if isinstance(each, str) else each for each in requirements]
    if not isinstance(requirements, str):
        raise TypeError(f"requirements are a str, Requirement or list, not {type(requirements).__name__}")
    try:
        return [Requirement(requirements)]
    except InvalidRequirement:
        return [Requirement(part) for part in requirements.split()]


def pip_check(req: Requirements, _seen: set[tuple[str, frozenset[str]]] | None = None) -> bool:
    """Whether the requirements are met, with their extras; no subprocess, nothing is imported."""
    seen = set() if _seen is None else _seen
    return all(_isMet(each, seen) for each in _asRequirements(req))


def _isMet(requirement: Requirement, seen: set[tuple[str, frozenset[str]]]) -> bool:
    key = (requirement.name.lower(), frozenset(requirement.extras))
    if key in seen or (requirement.marker is not None and not requirement.marker.evaluate()):
        return True
    seen.add(key)
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    if version not in requirement.specifier:  # TypeError for a broken installation, as in the application
        return False
    for text in importlib.metadata.requires(requirement.name) or []:
        dependency = Requirement(text)
        marker, dependency.marker = dependency.marker, None
        asked = marker is not None and any(marker.evaluate({"extra": extra}) for extra in requirement.extras)
        if asked and not _isMet(dependency, seen):
            return False
    return True


def isPipInstallInProgress() -> bool:
    """Whether an installation that does not block is under way."""
    return _in_progress


def pip_ensure(
    requirements: Requirements,
    constraints: str | Path | None = None,
    skip_packages: list[str] | None = None,
    prompt_install: bool = True,
    prompt_restart: bool = True,
    requester: str | None = None,
    skip_in_testing: bool = True,
    show_progress: bool = True,
) -> list[str] | None:
    """Install what is missing, after asking; RuntimeError if the person declines. With --testing nothing
    happens."""
    missing = [each for each in _asRequirements(requirements) if not pip_check(each)]
    if not missing:
        return None
    texts = [str(each) for each in missing]
    if skip_in_testing and slicer.app.testingEnabled():
        logging.info("Testing mode is enabled: skipping pip_ensure for [%s]", ", ".join(texts))
        return None
    if prompt_install:
        title = f"{requester} - Install Python Packages" if requester else "Install Python Packages"
        question = f"{len(missing)} Python package(s) need to be installed. Continue?"
        if not slicer.util.confirmOkCancelDisplay(question, title, detailedText="\n".join(texts)):
            raise RuntimeError("User declined package installation")
    return pip_install(
        texts,
        constraints=constraints,
        skip_packages=skip_packages,
        show_progress=show_progress,
        requester=requester,
    )


def pip_install(
    requirements: str | list[str],
    constraints: str | Path | None = None,
    no_deps_requirements: str | list[str] | None = None,
    skip_packages: list[str] | None = None,
    blocking: bool = True,
    show_progress: bool = True,
    requester: str | None = None,
    logCallback: Callable[[str], None] | None = None,
    completedCallback: Callable[[int], None] | None = None,
) -> list[str] | None:
    """Pretend to install; CalledProcessError for the outcome a test decided, or if none is decided."""
    global _in_progress
    if skip_packages is not None and no_deps_requirements is not None:
        raise ValueError("skip_packages and no_deps_requirements exclude each other")
    if skip_packages is not None and not blocking:
        raise ValueError("skip_packages needs blocking=True")
    if not blocking and _in_progress:
        raise RuntimeError("A non-blocking pip_install is already in progress.")
    wanted = requirements.split() if isinstance(requirements, str) else [str(each) for each in requirements]
    if blocking:
        code = _pretend(wanted)
        if code:
            raise CalledProcessError(code, ["pip", "install", *wanted])
        return [] if skip_packages is not None else None
    _in_progress = True
    _later(wanted, logCallback, completedCallback)
    return None


def _pretend(wanted: list[str]) -> int:
    """Exit code of an installation that does not take place."""
    _installed.append(wanted)
    outcome = _outcomes.pop(0) if _outcomes else 1
    return int((outcome(wanted) if callable(outcome) else outcome) or 0)


def _later(
    wanted: list[str], log: Callable[[str], None] | None, completed: Callable[[int], None] | None
) -> None:
    from PySide6.QtCore import QTimer

    def finish() -> None:
        global _in_progress
        code = _pretend(wanted)
        _in_progress = False
        if log is not None:
            log(f"Collecting {' '.join(wanted)}")
        if completed is not None:
            completed(code)

    QTimer.singleShot(50, finish)


def pip_uninstall(
    requirements: str | list[str],
    blocking: bool = True,
    logCallback: Callable[[str], None] | None = None,
    completedCallback: Callable[[int], None] | None = None,
) -> None:
    """Pretend to uninstall; outcomes as for pip_install."""
    wanted = requirements.split() if isinstance(requirements, str) else list(requirements)
    code = _pretend(wanted)
    if completedCallback is not None and not blocking:
        completedCallback(code)
    elif code:
        raise CalledProcessError(code, ["pip", "uninstall", *wanted])
