"""What several states of a network find in a case: label maps that can be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.automatic.segmenter import AutomaticOptions, AutomaticSegmenter
from SegToolkitLib.dataset.dataset import Dataset, read_case
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cssn import automatic
from SegToolkitLib.methods.cssn.data import fitted_image
from SegToolkitLib.methods.cssn.forward import for_inference, forward
from SegToolkitLib.methods.cssn.plan import ModelPlan
from SegToolkitLib.methods.cssn.prepare import Box, canonical
from SegToolkitLib.methods.cssn.reading import Reader
from SegToolkitLib.methods.cssn.segment import CssnSegmenter
from SegToolkitLib.methods.cssn.states import State, TrainedRun
from SegToolkitLib.methods.cssn.weights import computing_type, for_stage, loaded_network
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.volume import Volume, read_volume
from SegToolkitLib.volume.lattice import sub_grid

Labels = NDArray[Any]


class Judge(Protocol):
    """Looks at cases with every state.

    Attributes:
        values: of the labels in its maps.
        names: of the states.
        fingerprint: of the weights and the rules; what was judged with another one does not count.
    """

    values: Sequence[int]
    names: Sequence[str]
    fingerprint: str

    def maps(self, id: str) -> list[Labels]:
        """What each state finds in a case, in the order of the states.

        Raises:
            SegToolkitError: the case cannot be read or segmented.
        """

    def truth(self, id: str) -> Labels | None:
        """The case's label on the same grid; None where it has none."""


class ImageJudge:
    """Segments whole images with both stages, as a model does; maps lie on the image's grid.

    Args:
        dataset: of the cases.
        segmenters: one a state.
        values: of the labels.
        names: of the states.
        rules: what decides the maps, weights included, as plain values.
        coarse: finds the part of an image that all segmenters get; None gives them whole images.
    """

    def __init__(
        self,
        dataset: Dataset,
        segmenters: Sequence[AutomaticSegmenter],
        values: Sequence[int],
        names: Sequence[str],
        rules: Mapping[str, Any],
        coarse: CssnSegmenter | None = None,
    ) -> None:
        self.values, self.names = values, names
        self.fingerprint = _digest({"at": "image", **rules})
        self._dataset, self._segmenters, self._coarse = dataset, segmenters, coarse
        self._box = ("", Box.whole((0, 0, 0)))

    @classmethod
    def of_run(
        cls, run: TrainedRun, states: Sequence[State], device: torch.device, precision: str
    ) -> ImageJudge:
        """States of a run, behind the coarse stage that it was given, which all share."""
        plan = run.plan
        own = ModelPlan(**{run.settings.stage: run.settings.plan}, inference=plan.inference)
        segmenters = [
            CssnSegmenter(own, for_stage(state.weights, run.settings.stage), run.labels, device, precision)
            for state in states
        ]
        coarse = None
        if run.coarse is not None:
            first = plan.model_copy(update={"fine": None})
            coarse = CssnSegmenter(first, run.coarse.state, run.labels, device, precision)
        decided = {
            "plan": plan.model_dump(mode="json"),
            "weights": [state.fingerprint for state in states],
            "coarse": run.coarse.fingerprint if run.coarse else None,
        }
        names = [state.name for state in states]
        return cls(run.dataset, segmenters, tuple(run.organs), names, decided, coarse)

    @classmethod
    def of_models(
        cls,
        dataset: Dataset,
        models: Sequence[tuple[Path, ModelCard]],
        device: torch.device,
        precision: str,
    ) -> ImageJudge:
        """Models in place of states: (folder, card) each, the one to compare with last.

        Raises:
            SegToolkitError: "labels-differ": they do not find the same organs.
        """
        values = [label.value for label in models[-1][1].labels]
        for _, card in models:
            if sorted(label.value for label in card.labels) != sorted(values):
                raise SegToolkitError(
                    "labels-differ",
                    f"{card.name} and {models[-1][1].name} do not find the same organs.",
                    "Give models that were trained on the same labels.",
                )
        segmenters = [automatic.load(folder, card, device, precision) for folder, card in models]
        rules = {"weights": [card.weights.sha256 for _, card in models if card.weights]}
        return cls(dataset, segmenters, values, [card.name for _, card in models], rules)

    def maps(self, id: str) -> list[Labels]:
        """See :class:`Judge`."""
        image = read_volume(self._dataset.case(id).image)
        if self._coarse is not None:
            image = canonical(image)
            self._box = (id, self._coarse.region_of(image))
            image = _cropped(image, self._box[1])
        return [one.segment(image, AutomaticOptions()).labels.voxels for one in self._segmenters]

    def truth(self, id: str) -> Labels | None:
        """See :class:`Judge`; of the case that was looked at last."""
        label = read_case(self._dataset.case(id))[1]
        if label is None or self._coarse is None:
            return None if label is None else label.voxels
        assert self._box[0] == id
        return _cropped(canonical(label), self._box[1]).voxels


class NetworkJudge:
    """Applies a run's networks to the images that it is trained on, at their size: much faster.

    Maps lie on the network's grid, without the rules on components; their values are channel numbers.

    Args:
        run: of the states.
        states: of its network.
        cache: folder of prepared arrays.
        device, precision: of the forward passes.
    """

    def __init__(
        self, run: TrainedRun, states: Sequence[State], cache: Path, device: torch.device, precision: str
    ) -> None:
        settings, organs = run.settings, len(run.organs)
        self.values: Sequence[int] = range(1, organs + 1)
        self.names: Sequence[str] = [state.name for state in states]
        self._settings, self._device = settings, device
        self._kind = computing_type(device, precision)
        self._reader = Reader(run.dataset, settings, run.organs, run.coarse, cache, device, Reporter())
        loaded = [loaded_network(settings.plan, organs, state.weights, state.name) for state in states]
        self._networks = [for_inference(network, device, self._kind) for network in loaded]
        self.fingerprint = _digest(
            {
                "at": "network",
                "plan": run.plan.model_dump(mode="json"),
                "data": settings.data.model_dump(mode="json"),
                "weights": [state.fingerprint for state in states],
                "coarse": run.coarse.fingerprint if run.coarse else None,
            }
        )

    def maps(self, id: str) -> list[Labels]:
        """See :class:`Judge`."""
        rules = self._settings.inference
        image = fitted_image(self._scan(id), self._settings)[None, None].to(self._device, self._kind)
        logits = (forward(network, image)[0].float() for network in self._networks)
        return [label_map(one, rules.threshold, rules.exclusive).cpu().numpy() for one in logits]

    def truth(self, id: str) -> Labels | None:
        """See :class:`Judge`."""
        scan = self._scan(id)
        if scan.case.label is None:
            return None
        labels: Labels = replace(scan, labelled=True).fitted["label"]
        return labels

    def _scan(self, id: str) -> Any:
        # As an image without label, whatever it has: the region is that of the coarse stage.
        scans = self._reader.read([id], False, "")
        if not scans:
            raise SegToolkitError("unreadable-case", self._reader.failures[id], "Check the file.")
        return scans[0]


def label_map(logits: Tensor, threshold: float, exclusive: bool) -> Tensor:
    """Logits [C, Z, Y, X] -> channel numbers from 1 on, uint8 [Z, Y, X], 0 where none reaches the threshold.

    Of several organs in a voxel the later one wins, or with ``exclusive`` the one of the largest logit.
    """
    found = logits.sigmoid() >= threshold
    numbers = torch.arange(1, len(logits) + 1, device=logits.device, dtype=torch.uint8)[:, None, None, None]
    if exclusive:
        found &= logits == logits.amax(0)
    return (found * numbers).amax(0)


def _cropped(volume: Volume, box: Box) -> Volume:
    z, y, x = box.start
    depth, height, width = box.shape
    grid = sub_grid(volume.grid, (x, y, z), (width, height, depth))
    return Volume(volume.voxels[box.slices], grid.spacing, grid.origin, grid.direction, volume.name)


def _digest(rules: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()
