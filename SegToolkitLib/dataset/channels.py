"""The registered images of a case, one a channel, on one grid.

That they show the same place is up to whoever made them: resampling goes by what the files say of it, and
moves no image to fit another. To register them, use Slicer's modules for it (General Registration) first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from SegToolkitLib.dataset.case import Case
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import Grid, Volume, check_label, onto_grid, read_volume
from SegToolkitLib.volume.checks import GRID_TOLERANCE_VOXELS


def read_channels(
    case: Case, names: Sequence[str] | None = None, *, resample: bool = False
) -> tuple[dict[str, Volume], Volume | None]:
    """Read images of a case by the names of their channels and, where there is one, the label.

    Args:
        case: of the data set.
        names: channels, in the order wanted; None takes all. Letters may be small or large.
        resample: bring the others onto the voxels of the first, by the place that the files say; otherwise
            images on other voxels are refused.

    Returns:
        All on the grid of the first.

    Raises:
        SegToolkitError: "no-channel", "channel-grid", "no-overlap", and what ``read_case`` raises.
    """
    files = files_of(case, names)
    images = on_one_grid(
        {name: read_volume(file) for name, file in files.items()}, f"case {case.id}", resample=resample
    )
    if case.label is None:
        return images, None
    first, label = next(iter(images.values())), read_volume(case.label, label=True)
    if resample and not first.grid.same(label.grid, _tolerance(first.grid)):
        # The label may have been drawn on an image that is not the first here.
        return images, onto_grid(label, first, label=True)
    return images, check_label(label, first)


def files_of(case: Case, names: Sequence[str] | None = None) -> dict[str, Path]:
    """The images of these channels, by the names given; of all for None.

    Raises:
        SegToolkitError: "no-channel".
    """
    if names is None:
        return dict(case.images) or {"": case.image}
    known = {name.casefold(): file for name, file in case.images.items()}
    missing = [name for name in names if name.casefold() not in known]
    if missing:
        raise SegToolkitError(
            "no-channel",
            f"Case {case.id} has no image {missing[0]!r}; it has {', '.join(case.images) or 'one image'}.",
            "Name the channels in the data set's description ('channels', or 'channel_names' of nnU-Net).",
        )
    return {name: known[name.casefold()] for name in names}


def on_one_grid(images: Mapping[str, Volume], of: str, *, resample: bool = False) -> dict[str, Volume]:
    """Images on the grid of the first.

    Args:
        images: by name.
        of: whose, for the complaint.
        resample: as of :func:`read_channels`.

    Raises:
        SegToolkitError: "channel-grid", "no-overlap".
    """
    (first_name, first), *others = images.items()
    found = {first_name: first}
    for name, image in others:
        if first.grid.same(image.grid, _tolerance(first.grid)):
            # What rounding has moved is put back.
            found[name] = first.with_voxels(image.voxels, image.name)
            continue
        what = f"The image {name} of {of}"
        if not resample:
            raise SegToolkitError(
                "channel-grid",
                f"{what} does not lie on the voxels of {first_name}: {_apart(image.grid, first.grid)}.",
                "If both are registered, resample them onto the first (--resample, data.resample=true);"
                " segtoolkit dataset check lists all such cases. If not, register them first (in Slicer:"
                " General Registration).",
            )
        moved = onto_grid(image, first, label=False)
        if moved.voxels.min() == moved.voxels.max():
            raise SegToolkitError(
                "no-overlap",
                f"{what} shows nothing of where {first_name} lies.",
                "Register them first (in Slicer: General Registration), or mend the files' geometry.",
            )
        found[name] = moved
    return found


def _tolerance(grid: Grid) -> float:
    return GRID_TOLERANCE_VOXELS * min(grid.spacing)


def _apart(grid: Grid, wanted: Grid) -> str:
    if grid.shape == wanted.shape:
        return f"they are up to {grid.distance(wanted):.3g} mm apart"
    return f"{_told(grid)}, not {_told(wanted)}"


def _told(grid: Grid) -> str:
    size, spacing = (" x ".join(f"{one:.4g}" for one in values) for values in (grid.size, grid.spacing))
    return f"{size} voxels of {spacing} mm"
