"""Names of structures, and the codes with which their results arrive."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from SegToolkitLib import anatomy
from SegToolkitLib.anatomy import (
    ALTERED,
    CATEGORY,
    STRUCTURES,
    label_of,
    labels_of,
    mirrored_pairs,
    structure_of,
    terminology_of,
)

ROOT = Path(__file__).parents[2]

FLARE = (
    "liver, right kidney, spleen, pancreas, aorta, inferior vena cava, right adrenal gland,"
    " left adrenal gland, gallbladder, oesophagus, stomach, duodenum, left kidney"
)
HEAD_AND_NECK = (
    "brainstem, spinal cord, right parotid gland, left parotid gland, oesophagus, larynx, mandible"
)
START = "Segmentation category and type - DICOM master list~SCT^123037004^Anatomical Structure~"
END = "~Anatomic codes - DICOM master list~^^~^^"


@pytest.mark.parametrize("name", [*FLARE.split(", "), *HEAD_AND_NECK.split(", ")])
def test_every_organ_of_our_data_sets_has_a_term_of_seven_fields(name: str) -> None:
    term = terminology_of(name)
    assert term.count("~") == 6
    assert term.startswith(START)
    assert term.endswith(END)
    assert (f"^{name.split()[0].capitalize()}~Anatomic" in term) == name.startswith(("right", "left"))


def test_a_term_is_spelt_as_slicer_spells_it() -> None:
    assert terminology_of("left kidney") == f"{START}SCT^64033007^Kidney~SCT^7771000^Left{END}"
    assert terminology_of("liver") == f"{START}SCT^10200004^Liver~^^{END}"


SAME = {
    "right kidney": ["Right Kidney", "kidney_right", "Kidney (right)", "RIGHT-KIDNEY"],
    "esophagus": ["oesophagus", "Esophagus"],
    "inferior vena cava": ["IVC", "Inferior_Vena_Cava", "postcava"],
    "left adrenal gland": ["LAG", "adrenal_gland_left", "left adrenal"],
    "brain stem": ["brainstem", "BrainStem", "brain_stem"],
    "right parotid gland": ["parotid right"],
}


@pytest.mark.parametrize("name", SAME)
def test_spellings_of_one_organ_have_one_term(name: str) -> None:
    assert {terminology_of(other) for other in SAME[name]} == {terminology_of(name)} != {""}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("left ventricle", "87878005^Left Ventricle"),
        ("RV", "53085002^Right Ventricle"),
        ("right_ventricle_of_heart", "53085002^Right Ventricle"),
        ("myocardium", "49848007^Left Ventricle Myocardium"),
    ],
)
def test_chambers_of_the_heart_have_codes_of_their_own_and_no_side(name: str, code: str) -> None:
    assert terminology_of(name) == f"{START}SCT^{code}~^^{END}"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "peripheral zone",
        "ventricle",
        "left liver",
        "left right kidney",
        "liver cyst",
        "Segment 1",
        "left",
    ],
)
def test_what_is_not_known_gets_no_term_and_a_colour_all_the_same(name: str) -> None:
    assert structure_of(name) is None
    assert terminology_of(name) == ""
    assert label_of(3, name or "x").colour != label_of(4, name or "x").colour


def test_codes_are_those_of_dicom() -> None:
    concepts = pytest.importorskip("pydicom.sr._concepts_dict").concepts["SCT"]
    meanings: dict[str, set[str]] = {}
    for codes in concepts.values():
        for code, (meaning, _) in codes.items():
            meanings.setdefault(code, set()).add(meaning.casefold())
    for one in STRUCTURES:
        assert one.meaning.casefold() in meanings[one.code], one.meaning
    assert "right" in meanings["24028007"]
    assert "left" in meanings["7771000"]


def test_no_two_structures_share_a_code_or_a_name() -> None:
    assert len({one.code for one in STRUCTURES}) == len(STRUCTURES)
    names = [name for one in STRUCTURES for name in (one.meaning.casefold(), *one.names)]
    assert len(set(names)) == len(names)


def test_labels_of_a_description_come_without_the_background_in_the_order_of_their_values() -> None:
    labels = labels_of({"spleen": 4, "background": 0, "liver": 1, "tumour": 2})
    assert [(label.value, label.name) for label in labels] == [(1, "liver"), (2, "tumour"), (4, "spleen")]
    assert labels[0].colour == (0.8667, 0.5098, 0.3961)


def test_the_examples_hold() -> None:
    assert doctest.testmod(anatomy).failed == 0


def test_changes_of_tissue_are_no_anatomy_and_look_as_in_the_module_of_weak_supervision() -> None:
    source = (ROOT / "SegToolkit/SegToolkitGui/weak/Structures.py").read_text(encoding="utf-8")
    table = re.findall(r'"(\w+)": \((\w+), "(\d+)", "(\w+)", \((\d+), (\d+), (\d+)\)\)', source)
    assert len(table) == 6
    for name, category, code, meaning, *colour in table:
        one, side = structure_of(name) or pytest.fail(name)
        assert (one.code, one.meaning, side) == (code, meaning, "")
        assert one.colour == tuple(int(value) for value in colour)
        assert one.category == {"ALTERED": ALTERED, "ANATOMICAL": CATEGORY}[category]
        assert f"~{one.category}~" in terminology_of(name)


def test_what_a_mirror_exchanges_is_found_whatever_it_is() -> None:
    names = ["Left thing", "thing_right", "right kidney", "left ventricle", "right ventricle", "left lung"]
    assert mirrored_pairs(names) == [("Left thing", "thing_right")]
    assert mirrored_pairs(["kidney (left)", "Right Kidney"]) == [("kidney (left)", "Right Kidney")]
    assert mirrored_pairs(["left lung + right lung", "liver"]) == []
