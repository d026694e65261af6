"""Segment a volume with nnU-Net's own predictor: prepare, predict, restore.

The labels are those that ``nnUNetv2_predict`` writes for the same file.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from SegToolkitLib.automatic.segmenter import AutomaticOptions, AutomaticResult, Progress
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.nnunet.network import managers, network_of
from SegToolkitLib.methods.nnunet.package import quiet, trainer_of
from SegToolkitLib.methods.nnunet.plan import CONFIDENCE, UNCERTAINTY, NnunetPlan
from SegToolkitLib.methods.nnunet.weights import all_names
from SegToolkitLib.volume import Prepared, Reorient, Volume, prepare

Array = NDArray[Any]
# What nnU-Net's readers say of the axis that a picture or a single slice does not have.
PICTURE_SPACING = (999.0, 1.0, 1.0)


class NnunetSegmenter:
    """A model of nnU-Net, loaded.

    Args:
        plan: of the model.
        state: tensors of all folds, as :func:`once` names them.
        device: where to compute.

    Attributes:
        device: where it computes.
        plan: of the model.

    Raises:
        SegToolkitError: "unknown-trainer", "bad-plans", "model-mismatch".
    """

    def __init__(self, plan: NnunetPlan, state: Mapping[str, Tensor], device: torch.device) -> None:
        self.device, self.plan = device, plan
        self._trainer = trainer_of(plan.trainer)
        self._network = network_of(plan, self._trainer)
        self._states = [all_names(self._network, state, fold) for fold in plan.folds]
        self._plans, self._configuration = managers(plan)

    def segment(
        self, volume: Volume, options: AutomaticOptions | None = None, progress: Progress | None = None
    ) -> AutomaticResult:
        """Segment a volume, or a picture where the model is for pictures; see ``AutomaticSegmenter``.

        "quick" does without mirroring, and takes an eighth of the time in 3-D.

        Raises:
            SegToolkitError: "channels", "not-finite".
        """
        options, tell = options or AutomaticOptions(), progress or (lambda phase, step, total: None)
        seconds: dict[str, float] = {}
        with _timed(seconds, "prepare", tell):
            turned = prepare(volume, [Reorient(self.plan.turned)] if self.plan.turned else [])
            data, facts = self._prepared(turned.volume)
        sure = UNCERTAINTY in options.maps
        with _timed(seconds, "network"):
            logits = self._sliding(self._network, data, options, _counted(tell, "network"))
        with _timed(seconds, "restore", tell):
            labels, probabilities = self._restored(logits, facts, sure)
            maps = {UNCERTAINTY: self._uncertainty(probabilities)} if probabilities is not None else {}
        if CONFIDENCE in options.maps:
            with _timed(seconds, "confidence"):
                seen = _ConfidenceOf(self._network, self._trainer)
                found = self._sliding(seen, data, options, _counted(tell, "confidence"))
                maps[CONFIDENCE] = self._confidence(found, facts)
        if options.labels is not None:
            # Not before: structures compete for the voxels between them.
            labels = np.where(np.isin(labels, options.labels), labels, 0).astype(np.uint8)
        return AutomaticResult(
            _back(turned, labels.astype(np.uint8), label=True),
            {name: _back(turned, maps[name], label=False) for name in options.maps if name in maps},
            seconds,
        )

    def _prepared(self, volume: Volume) -> tuple[Tensor, dict[str, Any]]:
        """The volume as the network sees it [C, z, y, x], and what the way back needs."""
        voxels = volume.voxels
        image = np.moveaxis(voxels, -1, 0) if voxels.ndim == 4 else voxels[None]
        if len(image) != self.plan.channels:
            raise SegToolkitError(
                "channels",
                f"{volume.name or 'The image'} has {len(image)} channels, not {self.plan.channels}.",
                "Give an image of the kind that the model was trained on.",
            )
        image = image.astype(np.float32)
        if not np.isfinite(image).all():
            raise SegToolkitError(
                "not-finite",
                f"{volume.name or 'The image'} holds NaN or infinity.",
                "Replace such voxels first.",
            )
        spacing = PICTURE_SPACING if self.plan.pictures else tuple(reversed(volume.spacing))
        facts: dict[str, Any] = {"spacing": list(spacing)}
        with quiet():
            steps = self._configuration.preprocessor_class(verbose=False)
            data, _, facts = steps.run_case_npy(
                image, None, facts, self._plans, self._configuration, self.plan.dataset
            )
        return torch.from_numpy(np.asarray(data)), facts

    def _sliding(
        self, network: nn.Module, data: Tensor, options: AutomaticOptions, tell: Callable[[int, int], None]
    ) -> Tensor:
        """Mean output of the folds' networks [classes, z, y, x] on the grid of ``data``."""
        from SegToolkitLib.methods.nnunet.predictor import predictor_of

        predictor = predictor_of(self.device, self.plan.step, options.mode == "full", options.small, tell)
        with quiet():
            predictor.manual_initialization(
                network,
                self._plans,
                self._configuration,
                self._states,
                self.plan.dataset,
                self.plan.trainer,
                tuple(self.plan.mirrored) if self.plan.mirrored else None,
            )
            if isinstance(network, _ConfidenceOf):
                predictor.label_manager = _OneMap()
            found: Tensor = predictor.predict_logits_from_preprocessed_data(data)
        return found.cpu()

    def _restored(self, logits: Tensor, facts: dict[str, Any], probable: bool) -> tuple[Array, Array | None]:
        """Labels [z, y, x], and probabilities [classes, z, y, x], on the grid before preparation."""
        from nnunetv2.inference import export_prediction as way_back

        with quiet():
            found = way_back.convert_predicted_logits_to_segmentation_with_correct_shape(
                logits,
                self._plans,
                self._configuration,
                self._plans.get_label_manager(self.plan.dataset),
                facts,
                return_probabilities=probable,
                num_threads_torch=torch.get_num_threads(),
            )
        return found if probable else (found, None)

    def _uncertainty(self, probabilities: Array) -> Array:
        """Entropy in parts of the largest possible; of regions the least sure one's: float32 [z, y, x]."""
        p = np.clip(probabilities.astype(np.float32), 1e-7, 1)
        if self.plan.regions:
            q = np.clip(1 - probabilities.astype(np.float32), 1e-7, 1)
            each = -(p * np.log(p) + q * np.log(q)) / math.log(2)
            return np.clip(each.max(0), 0, 1)
        # Outside of what nnU-Net cut out, all probabilities are 0: that is sure background.
        entropy = -(p * np.log(p)).sum(0) / math.log(len(p))
        return np.clip(np.where(probabilities.sum(0) > 0.5, entropy, 0), 0, 1).astype(np.float32)

    def _confidence(self, found: Tensor, facts: dict[str, Any]) -> Array:
        """A map [1, z, y, x] of the network's grid, back on the grid before preparation; 0 beyond."""
        spacing = [facts["spacing"][axis] for axis in self._plans.transpose_forward]
        shape = facts["shape_after_cropping_and_before_resampling"]
        own = list(self._configuration.spacing)
        own = own if len(own) == len(shape) else [spacing[0], *own]
        with quiet():
            near = self._configuration.resampling_fn_probabilities(found, shape, own, spacing)
        whole = np.zeros(facts["shape_before_cropping"], np.float32)
        box = tuple(slice(low, high) for low, high in facts["bbox_used_for_cropping"])
        whole[box] = np.asarray(near, np.float32)[0]
        return np.clip(whole.transpose(self._plans.transpose_backward), 0, 1)


class _ConfidenceOf(nn.Module):
    """In place of the network: the map that its trainer tells of it."""

    def __init__(self, network: nn.Module, trainer: Any) -> None:
        super().__init__()
        self.network = network
        self._trainer = trainer

    def forward(self, data: Tensor) -> Tensor:
        found: Tensor = self._trainer.feature_confidence(self.network, data)
        return found

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        return self.network.load_state_dict(state, strict, assign)


class _OneMap:
    """What the predictor asks of labels, where there is one map."""

    num_segmentation_heads = 1


def _back(turned: Prepared, values: Array, *, label: bool) -> Volume:
    grid = turned.volume.grid
    found = Volume(values, grid.spacing, grid.origin, grid.direction)
    return turned.restore(found, label=label)


def _counted(tell: Progress, phase: str) -> Callable[[int, int], None]:
    return lambda done, total: tell(phase, done, total)


@contextmanager
def _timed(seconds: dict[str, float], part: str, tell: Progress | None = None) -> Iterator[None]:
    """Note what a part of the work takes; ``tell`` of its start and end."""
    started = time.perf_counter()
    if tell is not None:
        tell(part, 0, 1)
    yield
    if tell is not None:
        tell(part, 1, 1)
    seconds[part] = time.perf_counter() - started
