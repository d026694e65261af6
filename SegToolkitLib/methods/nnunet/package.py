"""The package nnunetv2: whether it is there, whether it fits, and its trainers by their names."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import SegToolkitLib
from SegToolkitLib.errors import SegToolkitError

TRAINERS = Path(SegToolkitLib.__file__).parent / "nnunet_trainers"
VARIABLE = "nnUNet_extTrainer"
FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
PLUGIN = "SegToolkitLib.nnunet_trainers.segtoolkit_trainers"
INSTALL = "Install it: pip install nnunetv2 (see docs/nnunet.md for how to keep the PyTorch that is there)."


def require_nnunet(finds_trainers: bool = False) -> None:
    """Complain where nnU-Net v2 is missing, or too old.

    Args:
        finds_trainers: it has to find trainers in folders of ours, too.

    Raises:
        SegToolkitError: "missing-package", "old-nnunet".
    """
    if importlib.util.find_spec("nnunetv2") is None:
        raise SegToolkitError("missing-package", "The Python package nnunetv2 is not installed.", INSTALL)
    if not finds_trainers:
        return
    with quiet():
        paths = importlib.import_module("nnunetv2.paths")
    if not hasattr(paths, VARIABLE):
        from importlib.metadata import version

        raise SegToolkitError(
            "old-nnunet",
            f"nnU-Net {version('nnunetv2')} finds no trainers outside its own folder.",
            f"Update it (pip install -U nnunetv2; 2.8.1 has {VARIABLE}), or copy the file"
            f" {TRAINERS / 'segtoolkit_trainers.py'} into its folder nnunetv2/training/nnUNetTrainer.",
        )


def trainer_of(name: str) -> Any:
    """A trainer's class: nnU-Net's usual one, one of the plug-in, or whatever nnU-Net finds.

    nnU-Net's own search imports all its trainers, and with them packages that prediction does not need; so
    it comes last.

    Raises:
        SegToolkitError: "missing-package", "unknown-trainer".
    """
    require_nnunet()
    with quiet():
        usual = importlib.import_module("nnunetv2.training.nnUNetTrainer.nnUNetTrainer")
        if name == usual.nnUNetTrainer.__name__:
            return usual.nnUNetTrainer
        plugin = importlib.import_module(PLUGIN)
        if hasattr(plugin, name):
            return getattr(plugin, name)
        search = importlib.import_module("nnunetv2.utilities.find_objects")
        try:
            return search.recursive_find_trainer_class_by_name(name)
        except (RuntimeError, ImportError) as error:
            raise SegToolkitError(
                "unknown-trainer",
                f"nnU-Net does not find the trainer {name} ({_first_line(error)}).",
                f"Put the folder of its module into the environment variable {VARIABLE}.",
            ) from error


def environment(folder: Path) -> dict[str, str]:
    """The variables that nnU-Net reads, for its three folders below one, and the plug-in's trainers.

    Folders of trainers that are set already stay.
    """
    given = [part for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    places = dict.fromkeys([*given, str(TRAINERS)])
    below = {name: str(folder / name.removeprefix("nnUNet_")) for name in FOLDERS}
    return {**below, VARIABLE: os.pathsep.join(places)}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what nnU-Net prints off stdout, where programs read events."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")[:200]
