"""Few-shot segmentation of volumes: set the support, then ask.

Source: Ouyang et al., ECCV 2020, section 4.1; several structures, several support volumes, confidence
and the suggested slice are ours.

Example:
    >>> from SegToolkitLib.methods.alpnet.segment import FewShotSegmenter
    >>> from SegToolkitLib.phantom import phantom
    >>> patient = phantom(seed=1, slices=12)
    >>> segmenter = FewShotSegmenter.from_model("abdomen-mr-t2-compact", accept_licence=True)
    >>> segmenter.set_support(patient.image, patient.label, slices=[6], structures={1: "liver"})
    >>> result = segmenter.segment(patient.image)
    >>> result.labels.same_grid(patient.image)
    True
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.device import choose_device
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet import support
from SegToolkitLib.methods.alpnet.checkpoints import network_from_model
from SegToolkitLib.methods.alpnet.cleaning import Ends, follow_structure, growth_reach, reject_unlike, resolve
from SegToolkitLib.methods.alpnet.drawn import read_masks
from SegToolkitLib.methods.alpnet.loss import Pooling
from SegToolkitLib.methods.alpnet.network import ALPNet
from SegToolkitLib.methods.alpnet.predictor import Predictor
from SegToolkitLib.methods.alpnet.result import FewShotResult, as_drawn, slice_confidence
from SegToolkitLib.methods.alpnet.settings import NetworkSettings
from SegToolkitLib.methods.alpnet.slice_cache import SliceCache
from SegToolkitLib.methods.alpnet.slices import Plane, SliceStack, to_slices
from SegToolkitLib.methods.alpnet.support import PrototypeCache, Query, Source, match, read_outlines
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.models.licence import ensure_accepted
from SegToolkitLib.models.store import ModelStore
from SegToolkitLib.volume import Segment, Segmentation, Volume, check_range
from SegToolkitLib.volume.parts import largest_parts

# Chosen on four CHAOS volumes with an early model; docs/few-shot.md shows what they change.
REJECT = 0.05
FOLLOW = 0.65

SliceRange = tuple[int, int]
Shots = tuple[tuple[int, int], ...]
Progress = Callable[[int, int], None]


class FewShotSegmenter:
    """A trained network, and the outlines it was shown.

    Args:
        network: trained.
        card: the model's card; says how slices are prepared.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "auto" (mixed on a GPU), "float32" or "bfloat16".
        batch: slices encoded at once.
        plane: along which the volumes are sliced; "acquired" takes the axis with the coarsest spacing.
        cache: keeps prepared slices and features from call to call; None keeps those of the support only.
    """

    def __init__(
        self,
        network: ALPNet,
        card: ModelCard,
        *,
        device: str = "auto",
        precision: str = "auto",
        batch: int = 8,
        plane: Plane = "acquired",
        cache: SliceCache | None = None,
    ) -> None:
        settings = NetworkSettings.model_validate(card.settings)
        pooling = Pooling((settings.test_window,) * 2, settings.threshold)
        self.card = card
        self.predictor = Predictor(network, pooling, choose_device(device), precision, batch)
        self.plane = plane
        self._sources: list[Source] = []
        self._segments: dict[str, Segment] = {}
        self._cache = cache
        self._prototypes = self._new_prototypes(None)

    @classmethod
    def from_model(
        cls,
        model: str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        batch: int = 8,
        plane: Plane = "acquired",
        accept_licence: bool = False,
        ask: Callable[[str], bool] | None = None,
    ) -> FewShotSegmenter:
        """Load a model from the store or from a folder.

        Args:
            model: name in the store, or path of a model folder.
            accept_licence: accept a licence that is not permissive (once; it is remembered).
            ask: shows the terms and returns whether they are accepted, where they are not yet.

        Raises:
            SegToolkitError: there is no such model, it is damaged, or its licence is not accepted.
        """
        entry = ModelStore().find(str(model))
        network, card = network_from_model(entry.folder)
        ensure_accepted(card, accept=accept_licence, ask=ask)
        return cls(network, card, device=device, precision=precision, batch=batch, plane=plane)

    @property
    def structures(self) -> list[str]:
        """Names of the structures that have been outlined, in the order of their labels."""
        return list(self._segments)

    def set_support(
        self,
        volume: Volume,
        label: Volume | Segmentation,
        slices: Sequence[int] | None = None,
        structures: Mapping[int, str] | None = None,
    ) -> None:
        """Forget earlier outlines and take these; the arguments are those of :meth:`add_support`.

        If these cannot be used, the earlier ones stay.
        """
        source, segments = self._read(volume, label, slices, structures)
        support.check_count({segment.name for segment in segments})
        self.clear_support()
        self._take(source, segments)

    def clear_support(self) -> None:
        """Forget every outline."""
        self._sources.clear()
        self._segments.clear()
        self._prototypes = self._new_prototypes(None)

    def add_support(
        self,
        volume: Volume,
        label: Volume | Segmentation,
        slices: Sequence[int] | None = None,
        structures: Mapping[int, str] | None = None,
    ) -> None:
        """Take outlines of one volume; those of several volumes are used together.

        Args:
            volume: the outlined volume.
            label: label map (or segmentation) on the same grid.
            slices: outlined slices, counted from 0 along the slice axis; None takes all that have one.
            structures: label value -> name; None takes every value that occurs, with the segment's
                name or "label N". Equal names of several supports are one structure.

        Raises:
            SegToolkitError: label and volume differ in grid, or nothing is outlined on the slices.
        """
        source, segments = self._read(volume, label, slices, structures)
        support.check_count({*self._segments, *(segment.name for segment in segments)})
        self._take(source, segments)

    def _read(
        self,
        volume: Volume,
        label: Volume | Segmentation,
        slices: Sequence[int] | None,
        structures: Mapping[int, str] | None,
    ) -> tuple[Source, list[Segment]]:
        """The outlines as a source, and a segment for each structure."""
        check_range(volume, self.card.preprocessing.modality)
        segments, masks = read_masks(volume, label, structures)
        source = read_outlines(self._stack(volume), masks, slices)
        return source, [segment for segment in segments if segment.name in source.outlines]

    def _take(self, source: Source, segments: Sequence[Segment]) -> None:
        """Keep a source; outlines of a volume that is known already join those it has."""
        known = next((s for s in self._sources if s.is_volume(source.stack.volume)), None)
        if known is None:
            self._sources.append(source)
        else:
            known.join(source)
        for segment in segments:
            if segment.name not in self._segments:
                number = len(self._segments) + 1
                self._segments[segment.name] = Segment(
                    number, segment.name, segment.colour, segment.terminology
                )
        self._prototypes = self._new_prototypes(self._prototypes.reject)

    def _new_prototypes(self, reject: float | None) -> PrototypeCache:
        return PrototypeCache(self.predictor, self._encode, self._sources, reject)

    def _stack(self, volume: Volume) -> SliceStack:
        if self._cache is None:
            return to_slices(volume, self.card.preprocessing, self.plane)
        return self._cache.stack(volume, self.card.preprocessing, self.plane)

    def _encode(self, stack: SliceStack, slices: Sequence[int]) -> Tensor:
        if self._cache is None:
            return self.predictor.encode(stack.pixels[list(slices)])
        return self._cache.features(stack, slices, self.predictor)

    def segment(
        self,
        volume: Volume,
        slices: SliceRange | Mapping[str, SliceRange] | None = None,
        *,
        only: Sequence[int] | None = None,
        structures: Sequence[str] | None = None,
        keep_largest: bool = False,
        keep_outlines: bool = True,
        reject: float | None = REJECT,
        follow: float | None = FOLLOW,
        find_ends: bool = True,
        parts: int = 3,
        progress: Progress | None = None,
    ) -> FewShotResult:
        """Find the outlined structures in a volume.

        Args:
            volume: the query; may be a support volume itself.
            slices: first and last slice (inclusive) that hold the structure, for all structures or by
                name; None looks on every slice.
            only: compute these slices alone (a preview). Outlined slices are chosen as for the whole
                range; but ``follow`` steps straight to these slices, ``keep_largest`` sees these alone,
                and outlines between the network's pixels are smoothed within these.
            structures: names to look for; None takes all.
            keep_largest: keep only the largest connected component of each structure.
            keep_outlines: on outlined slices of the query itself, return the outline as drawn.
            reject: a voxel has to score as high as the outlines' own voxels do, but for this share of
                them; None labels whatever beats its background (the method as published).
            follow: in an outlined volume the structure has to continue from slice to slice, growing by
                no more than this many mm per mm between slices; None looks at each slice alone.
            find_ends: where no range is given, a structure that is followed ends where its shape or place
                changes fast from slice to slice, or the network is less sure than on the outlined slice.
            parts: slices used of another volume that is outlined on more than these.
            progress: called with (slices done, slices in all).

        Raises:
            SegToolkitError: no support yet, an unknown structure, or a range outside the volume.
        """
        names = self._check_names(structures)
        if reject is not None and not 0 <= reject <= 1:
            raise SegToolkitError(
                "bad-reject", f"reject cannot be {reject}.", "Give a share from 0 to 1, or None."
            )
        if isinstance(slices, Mapping):
            self._check_names(list(slices))
        stack = self._stack(volume)
        wanted_range = slices.get if isinstance(slices, Mapping) else lambda name: slices
        bounds = {name: stack.check_range(wanted_range(name)) for name in names}
        wanted = sorted({z for name in names for z in stack.slices_in(bounds[name])})
        if only is not None:
            wanted = stack.check_choice(only, wanted)
        shots = {name: self._shots(name, Query(stack, bounds[name], parts), wanted) for name in names}
        if self._prototypes.reject != reject:
            self._prototypes = self._new_prototypes(reject)
        foreground, probability, masks = self._score(stack, names, shots, wanted, bounds, progress)
        own = [source for source in self._sources if source.is_volume(volume)]
        for index, name in enumerate(names):
            outlines = {z: mask for source in own for z, mask in source.outlines.get(name, {}).items()}
            if follow is not None and outlines:
                spacing = stack.prepared.volume.spacing
                ends = None
                if find_ends and bounds[name] is None:
                    ends = Ends(probability[index], spacing[2])
                reach = growth_reach(spacing, follow)
                masks[index] = follow_structure(masks[index], wanted, outlines, reach, ends)
            if keep_largest:
                masks[index] = largest_parts(masks[index])
        labels = resolve(foreground, masks)
        certainty, worth = slice_confidence(probability, masks)
        likeliest = probability.max(0)
        outlined = {z for source in own for name in names for z in source.slices_of(name)}
        candidates = [n for n, z in enumerate(wanted) if worth[n] and z not in outlined]
        result = FewShotResult(
            self._as_segmentation(stack, names, labels, wanted),
            lambda: stack.restore(
                np.where(labels > 0, likeliest, 1 - likeliest).astype(np.float32), wanted, label=False
            ),
            {z: float(certainty[n]) for n, z in enumerate(wanted)},
            wanted[min(candidates, key=lambda n: certainty[n])] if candidates else None,
            stack.axis,
            self._notes(names, bounds, own),
        )
        if not keep_outlines:
            return result
        numbers = {name: self._segments[name].label for name in names}
        return as_drawn(result, [source.drawn for source in own], numbers)

    def _score(
        self,
        stack: SliceStack,
        names: list[str],
        shots: Mapping[str, Mapping[int, Shots]],
        wanted: list[int],
        bounds: Mapping[str, SliceRange | None],
        progress: Progress | None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float16], NDArray[np.bool_]]:
        """Foreground score, probability against the background, and whether it wins, all [K, n, H, W]."""
        shape = (len(names), len(wanted), *stack.pixels.shape[1:])
        foreground = np.empty(shape, np.float32)
        # Half precision will do for what is only shown; which score wins is decided before rounding.
        probability, masks = np.empty(shape, np.float16), np.empty(shape, bool)
        batch = self.predictor.batch
        for start in range(0, len(wanted), batch):
            chosen = wanted[start : start + batch]
            features = self._encode(stack, chosen)
            for index, name in enumerate(names):
                scores, wins = self._scores(name, features, shots[name], chosen, bounds[name], shape[2:])
                part = slice(start, start + len(chosen))
                foreground[index, part] = scores[:, 1].cpu().numpy()
                probability[index, part] = torch.sigmoid(scores[:, 1] - scores[:, 0]).cpu().numpy()
                masks[index, part] = wins.cpu().numpy()
            if progress:
                progress(min(start + batch, len(wanted)), len(wanted))
        return foreground, probability, masks

    def _check_names(self, structures: Sequence[str] | None) -> list[str]:
        if not self._segments:
            raise SegToolkitError(
                "no-support", "No structure has been outlined yet.", "Call set_support before segment."
            )
        names = list(self._segments) if structures is None else list(dict.fromkeys(structures))
        if not names:
            raise SegToolkitError(
                "no-structure", "No structure is asked for.", "Name one, or leave it to all."
            )
        unknown = [name for name in names if name not in self._segments]
        if unknown:
            raise SegToolkitError(
                "unknown-structure",
                f"{unknown[0]!r} has not been outlined.",
                f"Outlined structures: {', '.join(self._segments)}.",
            )
        return names

    def _shots(self, name: str, query: Query, wanted: list[int]) -> dict[int, Shots]:
        """For every query slice the (source, slice) pairs that serve it, one of each source."""
        columns = [
            [(index, z) for z in match(source, name, query, wanted)]
            for index, source in enumerate(self._sources)
            if source.slices_of(name)
        ]
        return dict(zip(wanted, zip(*columns, strict=True), strict=True))

    def _scores(
        self,
        name: str,
        features: Tensor,
        shots: Mapping[int, Shots],
        slices: Sequence[int],
        bounds: SliceRange | None,
        size: Sequence[int],
    ) -> tuple[Tensor, Tensor]:
        """Scores [B, 2, H, W] of one structure, and where it wins [B, H, W]; nowhere outside its range."""
        out = torch.zeros((len(slices), 2, *size), device=features.device)
        out[:, 1] = -_NEVER
        wins = torch.zeros((len(slices), *size), dtype=torch.bool, device=features.device)
        groups: dict[Shots, list[int]] = {}
        for position, z in enumerate(slices):
            if bounds is None or bounds[0] <= z <= bounds[1]:
                groups.setdefault(shots[z], []).append(position)
        for group, positions in groups.items():
            prototypes = self._prototypes.get(name, group)
            scores = self.predictor.scores(features[positions], prototypes, size)
            # The scores stay as they are, so that confidence tells what the network thought.
            liked = reject_unlike(scores, prototypes.floor)
            out[positions], wins[positions] = scores, liked[:, 1] > liked[:, 0]
        return out, wins

    def _as_segmentation(
        self, stack: SliceStack, names: list[str], labels: NDArray, wanted: list[int]
    ) -> Segmentation:
        """Labels 0..K of the computed slices [n, H, W] on the query's grid."""
        numbers = np.array([0] + [self._segments[name].label for name in names], dtype=np.uint8)
        restored = stack.restore(numbers[labels], wanted, label=True)
        return Segmentation(restored, [self._segments[name] for name in names])

    def _notes(
        self, names: list[str], bounds: Mapping[str, SliceRange | None], own: list[Source]
    ) -> tuple[str, ...]:
        """What the person should know about how slices were paired."""
        if len(own) == len(self._sources) or all(bounds[name] is not None for name in names):
            return ()
        return (
            "No slice range was given, so support and query slices were paired by their relative position"
            " in the two volumes; first and last slice of the structure make the pairing better.",
        )


# Scores lie within +-20, so this can never be the best.
_NEVER = 1e3
