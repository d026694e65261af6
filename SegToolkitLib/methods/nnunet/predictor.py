"""nnU-Net's predictor, told how far it is and where to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from torch import Tensor

from SegToolkitLib.methods.nnunet.package import quiet


class Predictor(nnUNetPredictor):
    """Tells of each patch.

    Attributes:
        tell: hears of patches done and in all; what it raises ends the work.
    """

    tell: Callable[[int, int], None] = staticmethod(lambda done, total: None)
    _done = 0
    _all = 0

    def _internal_get_sliding_window_slicers(self, image_size: tuple[int, ...]) -> list[Any]:
        found: list[Any] = super()._internal_get_sliding_window_slicers(image_size)
        if not self._all:
            self._all = len(found) * len(self.list_of_parameters)
        return found

    def _internal_maybe_mirror_and_predict(self, x: Tensor) -> Tensor:
        # Where a GPU's memory did not suffice, nnU-Net begins anew.
        self.tell(min(self._done, self._all), max(1, self._all))
        found: Tensor = super()._internal_maybe_mirror_and_predict(x)
        self._done += 1
        return found

    def predict_logits_from_preprocessed_data(self, data: Tensor) -> Tensor:
        found: Tensor = super().predict_logits_from_preprocessed_data(data)
        self.tell(max(1, self._all), max(1, self._all))
        return found


def predictor_of(
    device: torch.device, step: float, mirrors: bool, small: bool, tell: Callable[[int, int], None]
) -> Predictor:
    """A predictor without a model.

    Args:
        device: where to compute.
        step: of the window, in parts of the patch.
        mirrors: whether each patch is seen in all mirror images, too.
        small: keep the results in the computer's memory instead of the GPU's.
        tell: hears of patches.
    """
    with quiet():
        made = Predictor(
            tile_step_size=step,
            use_gaussian=True,
            use_mirroring=mirrors,
            perform_everything_on_device=device.type == "cuda" and not small,
            device=device,
            allow_tqdm=False,
        )
    made.tell = tell
    return made
