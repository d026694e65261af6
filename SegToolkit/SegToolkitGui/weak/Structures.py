"""Names for the segment, with their colours and terminology.

Codes and colours are those of Slicer's terminology "Segmentation category and type - DICOM master list".
"""

from __future__ import annotations

from slicer.i18n import tr as _

CONTEXT = "Segmentation category and type - DICOM master list"
REGIONS = "Anatomic codes - DICOM master list"
ALTERED = "SCT^49755003^Morphologically Altered Structure"
ANATOMICAL = "SCT^123037004^Anatomical Structure"

# Name -> (category, code, meaning, colour).
STRUCTURES: dict[str, tuple[str, str, str, tuple[int, int, int]]] = {
    "Lesion": (ALTERED, "52988006", "Lesion", (253, 135, 192)),
    "Tumour": (ALTERED, "4147007", "Mass", (144, 238, 144)),
    "Oedema": (ALTERED, "79654002", "Edema", (140, 224, 228)),
    "Necrosis": (ALTERED, "6574001", "Necrosis", (216, 191, 216)),
    "Cyst": (ALTERED, "367643001", "Cyst", (205, 205, 100)),
    "Prostate": (ANATOMICAL, "41216001", "Prostate", (230, 158, 140)),
}
NAMES = list(STRUCTURES)
LONGEST = 100


def appearance(name: str) -> dict:
    """Colour and terminology of a structure; nothing for names that are not known here."""
    known = {one.casefold(): values for one, values in STRUCTURES.items()}
    found = known.get(name.strip().casefold())
    if found is None:
        return {}
    category, code, meaning, colour = found
    nothing = "^^"
    entry = [CONTEXT, category, f"SCT^{code}^{meaning}", nothing, REGIONS, nothing, nothing]
    return {"colour": tuple(value / 255 for value in colour), "terminology": "~".join(entry)}


def nameProblem(name: str) -> str:
    """Why a segment cannot have this name, in a sentence; "" if it can."""
    word = name.strip()
    if not word:
        return _("Give the structure a name.")
    if len(word) > LONGEST:
        return _("The structure's name is longer than {count} letters.").format(count=LONGEST)
    if word.casefold() in ("background", "ignore"):
        return _("{name!r} has a meaning of its own in data sets: choose another name.").format(name=word)
    return ""
