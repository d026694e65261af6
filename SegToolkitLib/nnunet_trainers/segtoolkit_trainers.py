"""Trainers of SegToolkit for nnU-Net v2, by the names that ``nnUNetv2_train -tr`` takes."""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("SegToolkitLib") is None:
    # The library of the extension need not be installed in the Python that runs nnU-Net.
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from SegToolkitLib.methods.pdcr_uafr.nnunet.trainer import (
    nnUNetTrainerPDCR,
    nnUNetTrainerPDCR_UAFR,
    nnUNetTrainerUAFR,
)
from SegToolkitLib.methods.pdcr_uafr.nnunet.variants import (
    nnUNetTrainerPDCR_20epochs,
    nnUNetTrainerPDCR_250epochs,
    nnUNetTrainerPDCR_UAFR_20epochs,
    nnUNetTrainerPDCR_UAFR_250epochs,
    nnUNetTrainerPDCR_UAFR_instanceNorm,
    nnUNetTrainerUAFR_20epochs,
    nnUNetTrainerUAFR_250epochs,
)

__all__ = [
    "nnUNetTrainerPDCR",
    "nnUNetTrainerPDCR_20epochs",
    "nnUNetTrainerPDCR_250epochs",
    "nnUNetTrainerPDCR_UAFR",
    "nnUNetTrainerPDCR_UAFR_20epochs",
    "nnUNetTrainerPDCR_UAFR_250epochs",
    "nnUNetTrainerPDCR_UAFR_instanceNorm",
    "nnUNetTrainerUAFR",
    "nnUNetTrainerUAFR_20epochs",
    "nnUNetTrainerUAFR_250epochs",
]
