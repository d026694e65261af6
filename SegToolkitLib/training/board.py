"""Curves for TensorBoard, where somebody wants them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from SegToolkitLib.errors import SegToolkitError


class Board:
    """Writes TensorBoard's event files, or nothing.

    Args:
        folder: of the files; None writes nothing.
        first: step from which the run goes on; what was written after it is void.

    Raises:
        SegToolkitError: "missing-package": TensorBoard is not installed.
    """

    def __init__(self, folder: Path | None, first: int) -> None:
        self._writer = None
        if folder is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise SegToolkitError(
                "missing-package",
                "The setting 'tensorboard' needs the Python package tensorboard, which is not installed.",
                "Install it (pip install tensorboard), or set tensorboard=false.",
            ) from error
        self._writer = SummaryWriter(str(folder), purge_step=first)

    def add(self, group: str, values: Mapping[str, float], step: int) -> None:
        """Write numbers under ``group/name``; what is not finite is left out."""
        if self._writer is None:
            return
        for name, value in values.items():
            if math.isfinite(value):
                self._writer.add_scalar(f"{group}/{name}", value, step)
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()
