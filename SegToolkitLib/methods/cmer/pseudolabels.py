"""Maps as labels that a supervised training can learn from: a data set that lists the images where they lie.

Source: leftovers in the released code, which train a network on maps cut at 0.5. That pixels between two
thresholds belong to nothing is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.channels import files_of, read_channels
from SegToolkitLib.dataset.dataset import Case, Dataset
from SegToolkitLib.dataset.description import FILE_NAME
from SegToolkitLib.dataset.nnunet import IGNORE, LABELS, OWN_KEY
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.refine import refine
from SegToolkitLib.methods.cmer.refine_settings import RefineSettings
from SegToolkitLib.methods.cmer.segment import CmerMapper
from SegToolkitLib.methods.cmer.tags import Tag
from SegToolkitLib.volume import Volume, write_volume
from SegToolkitLib.volume.slicewise import slice_axis

ENDING = ".nii.gz"
OBJECT, UNCERTAIN = 1, 2


@dataclass(frozen=True)
class Cut:
    """How a map becomes a label.

    Attributes:
        name: of the map.
        low, high: above ``high`` is object, at ``low`` and below background.
        between: what lies between them: "ignore" gets nnU-Net's label for that.
    """

    name: str
    low: float
    high: float
    between: Literal["ignore", "background"] = "ignore"


def labelled(map_: Volume, cut: Cut, tags: Sequence[Tag] | None, mask: Volume | None = None) -> Volume:
    """A map as a label: 0, 1, and 2 for what is uncertain.

    Args:
        map_: 0 to 1.
        cut: thresholds.
        tags: of the slices; where the object is said not to be visible, there is none.
        mask: the refined map, which is the object in place of what lies above ``high``.
    """
    values = map_.voxels
    shown = values > cut.high if mask is None else mask.voxels > 0
    label: NDArray[np.uint8] = shown.astype(np.uint8)
    if cut.between == "ignore":
        label[(values > cut.low) & (values <= cut.high) & ~shown] = UNCERTAIN
    if tags is not None:
        axis = 2 - slice_axis(map_.grid)
        absent = [k for k, tag in enumerate(tags) if tag is False]
        np.moveaxis(label, axis, 0)[absent] = 0
    return map_.with_voxels(label)


def export(
    mapper: CmerMapper,
    dataset: Dataset,
    cases: Sequence[Case],
    tags: Mapping[str, Sequence[Tag]],
    cut: Cut,
    structure: str,
    out: Path,
    reporter: Reporter,
    *,
    resample: bool = False,
    refining: RefineSettings | None = None,
) -> dict[str, int]:
    """Write labels and a ``dataset.json`` in nnU-Net's layout.

    Args:
        mapper: the model.
        dataset: of the cases.
        cases: to label.
        tags: of their slices, where they are known.
        cut: thresholds.
        structure: name of the object.
        out: folder of the new data set.
        reporter: hears of progress, and of cases that are left out.
        resample: bring modalities onto the voxels of the first.
        refining: how the maps, cut at the model's thresholds, are refined; None takes ``cut`` alone.

    Returns:
        Voxels of the object by case.

    Raises:
        SegToolkitError: "dataset-exists", "no-cases".
    """
    if (out / FILE_NAME).exists():
        raise SegToolkitError(
            "dataset-exists", f"{out} holds a data set already.", "Choose another folder, or remove it."
        )
    listing: dict[str, dict[str, Any]] = {}
    voxels: dict[str, int] = {}
    names = mapper.plan.modalities
    for done, case in enumerate(cases, start=1):
        try:
            images, _ = read_channels(case, names, resample=resample)
            result, own, mask = mapper.maps(images), tags.get(case.id), None
            if refining is not None:
                mask = refine(images, result.maps, refining, result.thresholds, tags=own).mask
            label = labelled(result.maps[cut.name], cut, own, mask)
            file = f"{LABELS}/{case.id}{ENDING}"
            write_volume(label, out / file)
            images_of = [str(one.resolve()) for one in files_of(case, names).values()]
            listing[case.id] = {"images": images_of, "label": file}
            voxels[case.id] = int((label.voxels == OBJECT).sum())
        except SegToolkitError as error:
            reporter.warning(f"Case {case.id} is left out: {error.message}", error.hint)
        reporter.progress("labelling", done, len(cases))
    if not listing:
        raise SegToolkitError("no-cases", "No case could be labelled.", "The warnings say why.")
    write_json(out / FILE_NAME, _description(dataset, names, structure, cut, listing, refining))
    return voxels


def _description(
    dataset: Dataset,
    names: Sequence[str],
    structure: str,
    cut: Cut,
    listing: dict[str, Any],
    refining: RefineSettings | None,
) -> dict[str, Any]:
    facts = dataset.description
    labels = {"background": 0, structure: OBJECT}
    if cut.between == "ignore":
        labels[IGNORE] = UNCERTAIN
    patients = {id: dataset.patients[id] for id in listing if dataset.patients[id] != id}
    made = "" if refining is None else f", the object refined ({refining.model_dump_json()})"
    own: dict[str, Any] = {"modality": facts.modality, "patients": patients, "unlabelled": {}}
    if facts.licence is not None:
        own["licence"] = facts.licence.model_dump(mode="json", exclude_none=True)
    return {
        "name": f"{facts.name}-pseudo-labels",
        "description": f"Labels are maps of WSS-CMER ({cut.name}), cut at {cut.low:g} and {cut.high:g}"
        f"{made}.",
        "channel_names": {str(number): name for number, name in enumerate(names)},
        "labels": labels,
        "numTraining": len(listing),
        "file_ending": ENDING,
        **({"reference": facts.citation} if facts.citation else {}),
        "dataset": listing,
        OWN_KEY: own,
    }
