"""Named variants of the trainers; nnU-Net has ``nnUNetTrainer_20epochs`` and the like to compare with."""

from __future__ import annotations

from SegToolkitLib.methods.pdcr_uafr.nnunet.trainer import (
    nnUNetTrainerPDCR,
    nnUNetTrainerPDCR_UAFR,
    nnUNetTrainerUAFR,
)


class nnUNetTrainerPDCR_20epochs(nnUNetTrainerPDCR):  # noqa: N801
    """Short."""

    epochs = 20


class nnUNetTrainerPDCR_250epochs(nnUNetTrainerPDCR):  # noqa: N801
    """A quarter of nnU-Net's epochs."""

    epochs = 250


class nnUNetTrainerUAFR_20epochs(nnUNetTrainerUAFR):  # noqa: N801
    """Short."""

    epochs = 20


class nnUNetTrainerUAFR_250epochs(nnUNetTrainerUAFR):  # noqa: N801
    """A quarter of nnU-Net's epochs."""

    epochs = 250


class nnUNetTrainerPDCR_UAFR_20epochs(nnUNetTrainerPDCR_UAFR):  # noqa: N801
    """Short."""

    epochs = 20


class nnUNetTrainerPDCR_UAFR_250epochs(nnUNetTrainerPDCR_UAFR):  # noqa: N801
    """A quarter of nnU-Net's epochs."""

    epochs = 250


class nnUNetTrainerPDCR_UAFR_instanceNorm(nnUNetTrainerPDCR_UAFR):  # noqa: N801
    """Heads and projections with instance norm, for batches of one or two."""

    uafr_norm = "instance"
    pdcr_norm = "instance"
