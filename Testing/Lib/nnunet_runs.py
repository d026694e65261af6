"""What the tests of nnU-Net share: its environment, small data, small plans."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from SegToolkitLib.volume import Volume, write_volume

LIB = Path(__file__).parent
ROOT = LIB.parents[1]
TRAINERS = ROOT / "SegToolkitLib" / "nnunet_trainers"
STANDINS = LIB / "nnunet_standins"
NAME = "Dataset901_Small"
CONFIGURATIONS = ("2d", "3d_fullres")

needs_nnunet = pytest.mark.skipif(
    importlib.util.find_spec("nnunetv2") is None,
    reason="nnunetv2 is not installed: pip install '.[nnunet]', see docs/nnunet.md; CI has it",
)

# Read when nnU-Net is imported: it would start eight processes for each small thing.
os.environ.update(nnUNet_def_n_proc="1", nnUNet_n_proc_DA="0", nnUNet_compile="0")
os.environ.setdefault("MPLBACKEND", "Agg")
if None in map(importlib.util.find_spec, ("timm", "torchvision")):
    # Also of the processes that nnU-Net starts.
    sys.path.append(str(STANDINS))
    os.environ["PYTHONPATH"] = os.pathsep.join(
        part for part in (os.environ.get("PYTHONPATH"), str(STANDINS)) if part
    )


class Home:
    """nnU-Net's three folders below one, and a small data set in the first."""

    def __init__(self, folder: Path, real: bool) -> None:
        self.folder = folder
        self.real = real
        self.raw = folder / "raw" / NAME
        self.preprocessed = folder / "preprocessed" / NAME
        self.results = folder / "results" / NAME
        self.environment = {
            "nnUNet_raw": str(folder / "raw"),
            "nnUNet_preprocessed": str(folder / "preprocessed"),
            "nnUNet_results": str(folder / "results"),
            "nnUNet_extTrainer": str(TRAINERS),
        }

    def model(self, trainer: str, configuration: str) -> Path:
        """Folder of a trained model."""
        return self.results / f"{trainer}__nnUNetPlans__{configuration}"

    def run(self, program: str, *arguments: str, before: Path) -> subprocess.CompletedProcess[str]:
        """One of nnU-Net's own programs, in a process of its own; ``before`` comes first on its path."""
        path = os.pathsep.join(part for part in (str(before), os.environ.get("PYTHONPATH")) if part)
        return subprocess.run(
            [str(Path(sys.executable).with_name(program)), *arguments],
            env={**os.environ, **self.environment, "PYTHONPATH": path},
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=600,
        )


def made_home(folder: Path, cases: int, real: Path | None) -> Home:
    """A home with a data set of real hippocampi of this folder, or of made-up balls with the same labels."""
    home = Home(folder, real is not None)
    for part in ("imagesTr", "labelsTr", "imagesTs"):
        (home.raw / part).mkdir(parents=True)
    for part in ("preprocessed", "results"):
        (folder / part).mkdir()
    names = _made_cases(home.raw, cases) if real is None else _real_cases(home.raw, cases, real)
    (home.raw / "dataset.json").write_text(
        json.dumps(
            {
                "channel_names": {"0": "MRI"},
                "labels": {"background": 0, "anterior": 1, "posterior": 2},
                "numTraining": len(names),
                "file_ending": ".nii.gz",
            }
        ),
        encoding="utf-8",
    )
    return home


def _real_cases(raw: Path, count: int, real: Path) -> list[str]:
    images = sorted(real.glob("image_*.nii.gz"))[: count + 1]
    names = [image.name.removeprefix("image_").removesuffix(".nii.gz") for image in images]
    for name in names[:-1]:
        shutil.copy(real / f"image_{name}.nii.gz", raw / "imagesTr" / f"{name}_0000.nii.gz")
        shutil.copy(real / f"label_{name}.nii.gz", raw / "labelsTr" / f"{name}.nii.gz")
    shutil.copy(images[-1], raw / "imagesTs" / f"{names[-1]}_0000.nii.gz")
    return names[:-1]


def _made_cases(raw: Path, count: int) -> list[str]:
    for number in range(count + 1):
        image, label = made_case(number)
        part = "Tr" if number < count else "Ts"
        write_volume(image, raw / f"images{part}" / f"made{number}_0000.nii.gz")
        if part == "Tr":
            write_volume(label, raw / "labelsTr" / f"made{number}.nii.gz")
    return [f"made{number}" for number in range(count)]


def made_case(number: int, shape: tuple[int, int, int] = (30, 40, 28)) -> tuple[Volume, Volume]:
    """Two touching balls in noise, and their labels."""
    rng = np.random.default_rng(number)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    centre = np.array(shape) / 2 + rng.uniform(-3, 3, 3)
    labels = np.zeros(shape, np.uint8)
    for value, shift in ((1, -5), (2, 5)):
        labels[np.linalg.norm(grid - centre - (0, shift, 0), axis=-1) < 6] = value
    image = (rng.normal(100, 10, shape) + 60.0 * labels).astype(np.float32)
    geometry: tuple[Any, ...] = ((1.0, 1.0, 1.2), (3.0, -4.0, 5.0), np.diag([-1.0, -1.0, 1.0]))
    return Volume(image, *geometry), Volume(labels, *geometry)


def shrink_plans(home: Home) -> None:
    """Few channels and batches of two: a step takes a fraction of a second. Patches stay as planned."""
    file = home.preprocessed / "nnUNetPlans.json"
    plans = json.loads(file.read_text(encoding="utf-8"))
    for name in CONFIGURATIONS:
        configuration = plans["configurations"][name]
        network = configuration["architecture"]["arch_kwargs"]
        dims = len(configuration["patch_size"])
        configuration["batch_size"] = 2
        network |= {
            "n_stages": 4,
            "features_per_stage": [4, 8, 12, 16],
            "kernel_sizes": [[3] * dims] * 4,
            "strides": [[1] * dims, *[[2] * dims] * 3],
            "n_conv_per_stage": [1] * 4,
            "n_conv_per_stage_decoder": [1] * 3,
        }
    file.write_text(json.dumps(plans), encoding="utf-8")


def shorten(trainer: type[Any], monkeypatch: pytest.MonkeyPatch, epochs: int = 2) -> None:
    """Two steps an epoch, one of validation."""
    before = trainer.__init__

    # nnU-Net looks up the arguments by their names.
    def begin(
        self: Any, plans: Any, configuration: str, fold: int, dataset_json: Any, device: Any = None
    ) -> None:
        before(self, plans, configuration, fold, dataset_json, device)
        self.num_epochs, self.num_iterations_per_epoch, self.num_val_iterations_per_epoch = epochs, 2, 1

    monkeypatch.setattr(trainer, "__init__", begin)
