"""How a heart pumps: end-diastole, end-systole, stroke volume and ejection fraction of a curve of volumes.

Source: the usual definitions in cine MR (Schulz-Menger et al., Standardized image interpretation and
post-processing in cardiovascular magnetic resonance, J Cardiovasc Magn Reson 22:19, 2020): end-diastole is
the frame of the largest cavity, end-systole that of the smallest, the stroke volume is their difference, and
the ejection fraction the share of the end-diastolic volume that it makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from SegToolkitLib.anatomy import structure_of

# SNOMED CT of the cavities; the myocardium around them pumps nothing.
VENTRICLES = ("87878005", "53085002")
# Slicer's codes for segments of which nobody said what they are: tissue, anatomical structure.
GENERAL = ("85756007", "123037004", "91723000")

NEEDS_SPACING = (
    "Volumes in ml rest on the spacing of the voxels: check it where the file of the image does not carry it."
    " The ejection fraction, a ratio, does not need it."
)
ONE_SLICE = "The frames have one slice: these are figures of that slice, not of the whole ventricle."


@dataclass(frozen=True)
class Ejection:
    """What one ventricle does in a heartbeat.

    Attributes:
        name: of the ventricle.
        end_diastole, end_systole: frames, from 0; the first of several with the same volume.
        edv_ml, esv_ml, stroke_ml: volumes in millilitres.
        ejection_fraction: 0..1.
        missing: frames in which it was not found; they do not count.
    """

    name: str
    end_diastole: int
    end_systole: int
    edv_ml: float
    esv_ml: float
    stroke_ml: float
    ejection_fraction: float
    missing: tuple[int, ...] = ()


def is_ventricle(name: str, terminology: str = "") -> bool:
    """Whether a structure is the cavity of a ventricle: by its code, or else by its name.

    Args:
        name: what people call it.
        terminology: Slicer's seven fields with ``~`` between them; "" for none.

    Example:
        >>> is_ventricle("LV cavity"), is_ventricle("myocardium")
        (True, False)
    """
    fields = terminology.split("~")
    if len(fields) > 2 and fields[2].count("^"):
        code = fields[2].split("^")[1]
        if code not in GENERAL:
            return code in VENTRICLES
    found = structure_of(name)
    return found is not None and found[0].code in VENTRICLES


def ejection(name: str, ml: Sequence[float | None]) -> Ejection | None:
    """What a ventricle does, from its volume in each frame of a heartbeat.

    Args:
        name: of the ventricle.
        ml: volume in each frame; None for a frame that was not segmented. A ventricle never empties, so a
            volume of 0 means that it was not found there, and does not count either.

    Returns:
        None where fewer than two frames count.
    """
    known = {frame: value for frame, value in enumerate(ml) if value}
    if len(known) < 2:
        return None
    diastole = max(known, key=lambda frame: known[frame])
    systole = min(known, key=lambda frame: known[frame])
    largest, smallest = known[diastole], known[systole]
    stroke = largest - smallest
    missing = tuple(frame for frame in range(len(ml)) if frame not in known)
    return Ejection(name, diastole, systole, largest, smallest, stroke, stroke / largest, missing)


def pumping(
    curves: Mapping[str, Sequence[float | None]], terminology: Mapping[str, str], slices: int
) -> tuple[list[Ejection], list[str]]:
    """What the ventricles among some structures do.

    Args:
        curves: structure -> its volume in ml in each frame; None where that was not segmented.
        terminology: structure -> Slicer's string of codes; may leave some out.
        slices: of each frame.

    Returns:
        One for each ventricle, in the order of the structures; and sentences about how far they hold.
    """
    names = [name for name in curves if is_ventricle(name, terminology.get(name, ""))]
    found = [one for name in names if (one := ejection(name, curves[name])) is not None]
    notes = [_missing(one) for one in found if one.missing]
    if found:
        notes += [NEEDS_SPACING, *([ONE_SLICE] if slices == 1 else [])]
    left = [name for name in names if name not in {one.name for one in found}]
    notes += [f"{name} was found in fewer than two frames: it has no ejection fraction." for name in left]
    return found, notes


def _missing(one: Ejection) -> str:
    numbers = ", ".join(str(frame + 1) for frame in one.missing)
    if len(one.missing) == 1:
        return f"{one.name} was not found in frame {numbers}, which does not count."
    return f"{one.name} was not found in frames {numbers}, which do not count."
