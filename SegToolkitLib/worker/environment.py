"""What there is to compute with: Python, packages, devices."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from SegToolkitLib import __version__
from SegToolkitLib.worker import torch_facts

# Name at the package index -> name of the import.
PACKAGES = {
    "torch": "torch",
    "numpy": "numpy",
    "scipy": "scipy",
    "SimpleITK": "SimpleITK",
    "scikit-image": "skimage",
    "safetensors": "safetensors",
    "pydantic": "pydantic",
    "tqdm": "tqdm",
}


def environment() -> dict[str, object]:
    """Answer ``environment``; a PyTorch that is missing or broken is said in ``problem``, not raised."""
    packages = {name: _version(name) for name in PACKAGES}
    problem, hint = "", ""
    devices: list[dict[str, object]] = []
    if find_spec("torch") is None:
        problem, hint = "PyTorch is not installed.", "Install it with the button of the panel."
    else:
        facts, reason = torch_facts.ask()
        if facts is None:
            half = " Its metadata is missing: the installation stopped half way." * (not packages["torch"])
            problem, hint = f"{reason}.{half}", "Install PyTorch again."
        else:
            packages["torch"] = facts["version"]
            devices = _devices(facts)
    missing = [name for name, module in PACKAGES.items() if name != "torch" and find_spec(module) is None]
    if missing and not problem:
        verb = "is" if len(missing) == 1 else "are"
        problem = f"{', '.join(missing)} {verb} not installed."
        hint = "Install what is missing with the button of the panel."
    return {
        "version": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": packages,
        "devices": devices,
        "problem": problem,
        "hint": hint,
    }


def _version(name: str) -> str | None:
    try:
        # A package whose installation broke off may have a folder of metadata without a version.
        return version(name) or None
    except (PackageNotFoundError, KeyError, OSError):
        return None


def _devices(facts: dict[str, Any]) -> list[dict[str, object]]:
    cores = _cores()
    cpu = f"CPU, {cores} core{'s' * (cores != 1)}"
    gpus = facts["gpus"]
    first = gpus[0]["name"] if gpus else cpu
    found: list[dict[str, object]] = [
        {
            "id": "auto",
            "name": f"Automatic ({first})",
            "memory_gb": gpus[0]["memory_gb"] if gpus else None,
        },
        {"id": "cpu", "name": cpu, "memory_gb": None},
    ]
    found += [
        {"id": f"cuda:{n}", "name": gpu["name"], "memory_gb": gpu["memory_gb"]} for n, gpu in enumerate(gpus)
    ]
    if facts["mps"]:
        found.append({"id": "mps", "name": "Apple GPU", "memory_gb": None})
    return found


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
