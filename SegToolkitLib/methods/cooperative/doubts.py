"""What a person might not expect of the data of a run, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from SegToolkitLib.anatomy import tell_of_mirroring
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.nnunet import IGNORE
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cooperative.scans import Scan
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.methods.cooperative.slices import fitted
from SegToolkitLib.methods.cooperative.splits import Roles, acdc_split, cases_of

# Of a volume's labelled pixels; a little at the rim does no harm.
MOST_CUT_OFF = 0.01


def tell(
    reporter: Reporter,
    settings: CooperativeSettings,
    dataset: Dataset,
    roles: Roles,
    train: Sequence[Scan],
    held_out: Sequence[Scan],
    names: Mapping[int, str],
) -> None:
    """Warn of what is missing, counted twice or cut off.

    Args:
        reporter: hears of it.
        settings, dataset, roles: of the run.
        train, held_out: what could be read.
        names: class -> name.
    """
    warning = reporter.warning
    if any(name.casefold() == IGNORE for name in dataset.description.labels):
        warning(
            f"Voxels labelled '{IGNORE}' count as background here.",
            "Leave out cases where they hide structures (data.cases).",
        )
    bare = [id for id in roles.unlabelled if id not in roles.incomplete]
    if roles.incomplete:
        warning(
            f"{len(roles.incomplete)} case(s) neither train nor validate, because not all structures were"
            f" looked for in them: {listed(roles.incomplete)}.",
            "Annotate the others there, or leave the structures out (data.classes).",
        )
    if bare:
        warning(
            f"{len(bare)} training case(s) without a label are left out: {listed(bare)}.",
            "Label them; this method learns from labelled volumes alone.",
        )
    _tell_of_lists(reporter, settings, dataset, roles)
    if settings.validate_every and not held_out:
        warning(
            "No case is held out, so nothing validates, and the result takes the last weights.",
            "Choose a fold (data.fold), or add labelled cases of other patients.",
        )
    _tell_of_labels(reporter, settings, train, names)
    if settings.augment.flip_columns or settings.augment.flip_rows:
        tell_of_mirroring(names.values(), "Set augment.flip_columns=0 and augment.flip_rows=0.", reporter)


def _tell_of_lists(reporter: Reporter, settings: CooperativeSettings, dataset: Dataset, roles: Roles) -> None:
    """Of the published lists: who is missing, and who stands in two."""
    if settings.data.split != "acdc":
        return
    if roles.leaked:
        kept = settings.data.keep_leak
        reporter.warning(
            f"The published lists let {listed(roles.leaked)} train and validate. "
            + ("The validation's figures are too good." if kept else "They do not validate here."),
            "Set data.keep_leak=false to leave them out." if kept else "",
        )
    drawn = acdc_split(settings.data.setting, settings.data.cval)
    missing = [f"{n:03d}" for n in drawn.train if not cases_of(dataset, (n,))]
    if missing:
        reporter.warning(
            f"{len(missing)} of the {len(drawn.train)} published training patients are not in"
            f" {dataset.description.name}: {listed(missing)}.",
            "Add them, or say so beside the results.",
        )


def _tell_of_labels(
    reporter: Reporter, settings: CooperativeSettings, train: Sequence[Scan], names: Mapping[int, str]
) -> None:
    seen = np.zeros(max(names) + 1, bool)
    cut_off = []
    size = (settings.input.crop, settings.input.crop)
    for scan in train:
        label = scan.arrays["label"]
        seen[np.unique(label)] = True
        inside = sum(np.count_nonzero(fitted(plane, size)) for plane in label)
        if inside < (1 - MOST_CUT_OFF) * np.count_nonzero(label):
            cut_off.append(scan.id)
    unseen = [name for number, name in names.items() if not seen[number]]
    if unseen:
        reporter.warning(
            f"No training slice shows {listed(unseen)}, which cannot be learnt.",
            "Use other cases, or leave the structure out (data.classes).",
        )
    if cut_off:
        spacing = settings.input.spacing_mm
        wide = f"{settings.input.crop} pixels" + (f" of {spacing:g} mm" if spacing else "")
        reporter.warning(
            f"Slices are cropped to {wide} around their centre, which cuts off structures of"
            f" {listed(cut_off)}.",
            "Take more pixels (input.crop), or larger ones (input.spacing_mm).",
        )


def listed(words: Sequence[str], most: int = 5) -> str:
    """The first of them, with dots where there are more."""
    return ", ".join(words[:most]) + (" ..." if len(words) > most else "")
