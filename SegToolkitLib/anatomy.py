"""Structures by their names: standard codes and colours, with which results arrive in Slicer and in DICOM.

Source: Slicer's terminology "Segmentation category and type - DICOM master list" (SNOMED CT codes as in DICOM
PS3.16, and the recommended colours; parotid gland and brain stem, which have none there, have those of
salivary glands and midbrain, and the myocardium, which is not in that list, has a colour of ours).
Changes of tissue have the codes that the module of weak supervision gives them, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from SegToolkitLib.events import Reporter
from SegToolkitLib.models.card import Label
from SegToolkitLib.palette import label_colour

CONTEXT = "Segmentation category and type - DICOM master list"
REGIONS = "Anatomic codes - DICOM master list"
CATEGORY = "SCT^123037004^Anatomical Structure"
ALTERED = "SCT^49755003^Morphologically Altered Structure"
SIDES = {"right": "SCT^24028007^Right", "left": "SCT^7771000^Left"}
NOTHING = "^^"


@dataclass(frozen=True)
class Structure:
    """An organ.

    Attributes:
        code: SNOMED CT.
        meaning: of the code, in Slicer's list.
        colour: red, green, blue in 0..255.
        paired: there is a right and a left one.
        names: further names, in small letters.
        category: of the code, in Slicer's list.
    """

    code: str
    meaning: str
    colour: tuple[int, int, int]
    paired: bool = False
    names: tuple[str, ...] = ()
    category: str = CATEGORY


_TUMOURS = ("", "whole ", "enhancing ", "non enhancing ")
STRUCTURES = (
    Structure("10200004", "Liver", (221, 130, 101)),
    Structure("64033007", "Kidney", (185, 102, 83), True, ("kidneys",)),
    Structure("78961009", "Spleen", (157, 108, 162)),
    Structure("15776009", "Pancreas", (249, 180, 111)),
    Structure("15825003", "Aorta", (224, 97, 76)),
    Structure("64131007", "Inferior vena cava", (0, 151, 206), False, ("ivc", "postcava")),
    Structure("23451007", "Adrenal gland", (249, 186, 150), True, ("adrenal", "adrenal glands", "ag")),
    Structure("28231008", "Gallbladder", (139, 150, 98), False, ("gall bladder",)),
    Structure("32849002", "Esophagus", (211, 171, 143), False, ("oesophagus",)),
    Structure("69695003", "Stomach", (216, 132, 105)),
    Structure("38848004", "Duodenum", (255, 253, 229)),
    Structure("119238007", "Brain stem", (145, 92, 109), False, ("brainstem",)),
    Structure("2748008", "Spinal cord", (244, 214, 49), False, ("spinalcord",)),
    Structure("45289007", "Parotid gland", (70, 163, 117), True, ("parotid",)),
    Structure("4596009", "Larynx", (150, 208, 243)),
    Structure("91609006", "Mandible", (222, 198, 101)),
    Structure(
        "87878005", "Left Ventricle", (152, 55, 13), False, ("lv", "left ventricle of heart", "lv cavity")
    ),
    Structure(
        "53085002", "Right Ventricle", (181, 85, 57), False, ("rv", "right ventricle of heart", "rv cavity")
    ),
    Structure("49848007", "Left Ventricle Myocardium", (206, 160, 140), False, ("myocardium", "myo")),
    Structure("80891009", "Heart", (206, 110, 84)),
    Structure("39607008", "Lung", (197, 165, 145), True, ("lungs",)),
    Structure("44567001", "Trachea", (182, 228, 255)),
    Structure("12738006", "Brain", (250, 250, 225)),
    Structure("71854001", "Colon", (204, 168, 143)),
    Structure("30315005", "Small Intestine", (205, 167, 142), False, ("small bowel",)),
    Structure("89837001", "Bladder", (222, 154, 132), False, ("urinary bladder",)),
    Structure("41216001", "Prostate", (230, 158, 140), False, ("prostate gland",)),
    Structure(
        "52988006",
        "Lesion",
        (253, 135, 192),
        False,
        ("lesions", "skin lesion", "white matter lesion"),
        ALTERED,
    ),
    Structure(
        "4147007",
        "Mass",
        (144, 238, 144),
        False,
        tuple(f"{kind}{word}" for kind in _TUMOURS for word in ("tumour", "tumor")),
        ALTERED,
    ),
    Structure("79654002", "Edema", (140, 224, 228), False, ("oedema",), ALTERED),
    Structure("6574001", "Necrosis", (216, 191, 216), False, ("necrotic core",), ALTERED),
    Structure("367643001", "Cyst", (205, 205, 100), False, ("cysts",), ALTERED),
)
# Structures by every name that they have.
_BY_NAME = {name: one for one in STRUCTURES for name in (one.meaning.casefold(), *one.names)}
# One word for a side and an organ.
_WHOLE_WORDS = {"rag": "right adrenal gland", "lag": "left adrenal gland"}


def structure_of(name: str) -> tuple[Structure, str] | None:
    """The organ that a name means, and its side ("right", "left" or ""); None for a name that is not known.

    Case and word order do not count: "Right Kidney", "kidney_right" and "Kidney (right)" are one.

    Example:
        >>> structure_of("kidney_right")[1]
        'right'
        >>> structure_of("left liver") is None
        True
    """
    plain = " ".join(re.findall(r"[a-z]+", name.casefold()))
    if plain in _BY_NAME:  # "left ventricle": no side of a pair, a structure with a code of its own
        return _BY_NAME[plain], ""
    words = _WHOLE_WORDS.get(plain, plain).split()
    sides = [word for word in words if word in SIDES]
    found = _BY_NAME.get(" ".join(word for word in words if word not in SIDES))
    if found is None or len(sides) > found.paired:
        return None
    return found, sides[0] if sides else ""


def terminology_of(name: str) -> str:
    """Slicer's string of seven fields with ``~`` between them; "" for a name that is not known."""
    found = structure_of(name)
    if found is None:
        return ""
    one, side = found
    kind = f"SCT^{one.code}^{one.meaning}"
    return "~".join([CONTEXT, one.category, kind, SIDES.get(side, NOTHING), REGIONS, NOTHING, NOTHING])


def mirrored_pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Of these names the pairs of a left and a right one of the same thing, which a mirror exchanges.

    The ventricles of the heart are no such pair: their names tell two structures apart, not two sides.

    Example:
        >>> mirrored_pairs(["right kidney", "liver", "kidney_left", "left ventricle", "right ventricle"])
        [('kidney_left', 'right kidney')]
    """
    sides: dict[tuple[str, str], str] = {}
    for name in names:
        found = structure_of(name)
        words = re.findall(r"[a-z]+", name.casefold())
        own = [found[1]] if found else [word for word in words if word in SIDES]
        what = found[0].meaning if found else " ".join(word for word in words if word not in SIDES)
        if len(own) == 1 and own[0]:
            sides[what, own[0]] = name
    return [
        (name, sides[what, "right"])
        for (what, side), name in sides.items()
        if (what, "right") in sides
        if side == "left"
    ]


def tell_of_mirroring(names: Iterable[str], hint: str, reporter: Reporter) -> None:
    """Warn if two of the labels are the left and the right one of the same thing.

    Args:
        names: of the structures.
        hint: which settings do without mirror images.
        reporter: hears of it.
    """
    pairs = mirrored_pairs(names)
    if pairs:
        left, right = pairs[0]
        reporter.warning(
            f"Images are mirrored in training and labels keep their places, so {left} and {right} cannot be"
            " told apart.",
            hint,
        )


def label_of(value: int, name: str) -> Label:
    """A label of a model's card with its standard code and colour.

    Args:
        value: in the result.
        name: what people call it; one that is not known has no code, and a colour of the palette.
    """
    found = structure_of(name)
    red, green, blue = found[0].colour if found else label_colour(value)
    return Label(
        value=value,
        name=name,
        terminology=terminology_of(name),
        colour=(round(red / 255, 4), round(green / 255, 4), round(blue / 255, 4)),
    )


def labels_of(names: Mapping[str, int]) -> list[Label]:
    """The labels of a data set's description (name -> value, 0 being the background) for a model's card."""
    return [label_of(value, name) for name, value in sorted(names.items(), key=lambda pair: pair[1]) if value]
