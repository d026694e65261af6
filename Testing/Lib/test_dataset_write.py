"""Writing the raw layout of nnU-Net v2: geometry, labels by name, refusals, and nnU-Net's own rules."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataset_cases import DIRECTIONS, KIDNEY, LIVER, MR, SPLEEN, case, image, made, mask, nnunet_complaints
from SegToolkitLib.dataset import Dataset, DatasetDescription, Licence
from SegToolkitLib.dataset.new_cases import NewCase, Structure, case_from_files, case_id, cases_of
from SegToolkitLib.dataset.nnunet_rules import broken_rules
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import Segment, Segmentation, Volume, read_volume, write_segmentation, write_volume


def contents(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "dataset.json").read_text())


def state(folder: Path) -> dict[str, bytes]:
    """Every file with its content; the lock is nobody's business."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".segtoolkit.lock"
    }


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
@pytest.mark.parametrize("spacing", [(0.7128906, 0.7128906, 3.3), (1 / 3, 2.000001, 0.4999)])
def test_images_and_labels_lie_exactly_where_they_lay(
    tmp_path: Path, direction: np.ndarray, spacing: tuple[float, float, float]
) -> None:
    scan = image(3, direction, spacing)
    outline = mask(scan, 7, 4)
    # As files of another format, the way a window hands them over.
    write_volume(scan, tmp_path / "scan.nrrd")
    write_volume(outline, tmp_path / "outline.nrrd")
    new = NewCase("a", tmp_path / "scan.nrrd", tmp_path / "outline.nrrd", {7: LIVER, 4: SPLEEN})
    add_cases(tmp_path / "d", MR, [new])
    dataset = Dataset.open(tmp_path / "d")
    found, label = dataset.read(dataset.case("a"))
    assert label is not None
    # NIfTI keeps 32-bit floats: their rounding, and no more.
    assert found.same_grid(scan, 5e-5)
    assert label.same_grid(found, 1e-9)
    np.testing.assert_array_equal(found.voxels, scan.voxels)
    np.testing.assert_array_equal(label.voxels, np.select([outline.voxels == 7, outline.voxels == 4], [1, 2]))
    assert nnunet_complaints(tmp_path / "d") == []


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_voxels_keep_their_type_and_values(tmp_path: Path, kind: type) -> None:
    scan = image(1, kind=kind)
    add_cases(tmp_path, MR, [NewCase("a", scan)])
    found = read_volume(tmp_path / "imagesUn" / "a_0000.nii.gz")
    assert found.voxels.dtype == kind
    np.testing.assert_array_equal(found.voxels, scan.voxels)


def test_labels_are_joined_by_name_and_new_ones_get_the_next_number(tmp_path: Path) -> None:
    add_cases(tmp_path, MR, [case("a", 1, liver=1, spleen=2), case("b", 2, liver=3)])
    scan = image(3)
    swapped = {
        1: Structure(name="  Right   kidney"),
        5: Structure(name="LIVER", colour=(1, 0, 0), terminology="t"),
    }
    add_cases(tmp_path, None, [NewCase("c", scan, mask(scan, 1, 5), swapped)])
    values = contents(tmp_path)
    assert values["labels"] == {"background": 0, "liver": 1, "spleen": 2, "Right kidney": 3}
    assert values["segtoolkit"]["structures"] == {"liver": {"colour": [1, 0, 0], "terminology": "t"}}
    assert values["segtoolkit"]["not_annotated"] == {
        "a": ["Right kidney"],
        "b": ["spleen", "Right kidney"],
        "c": ["spleen"],
    }
    dataset = Dataset.open(tmp_path)
    _, label = dataset.read(dataset.case("c"))
    assert label is not None
    np.testing.assert_array_equal(label.voxels, mask(scan, 3, 1).voxels)
    assert dataset.not_annotated["b"] == ["spleen", "Right kidney"]
    assert dataset.description.structures["liver"].colour == (1, 0, 0)
    assert nnunet_complaints(tmp_path) == []


def test_images_without_a_label_are_cases_but_not_nnunets(tmp_path: Path) -> None:
    add_cases(tmp_path, MR, [case("a", 1, "Anna", liver=1), case("u", 2, "Anna")])
    dataset = Dataset.open(tmp_path)
    assert [(one.id, one.label is None, one.unlabelled) for one in dataset.cases] == [
        ("a", False, False),
        ("u", True, True),
    ]
    assert dataset.patients == {"a": "Anna", "u": "Anna"}
    assert contents(tmp_path)["numTraining"] == 1
    assert (tmp_path / "imagesUn" / "u_0000.nii.gz").is_file()
    assert [p.code for p in dataset.check()] == ["folds"]
    assert nnunet_complaints(tmp_path) == []


def test_a_structure_that_was_looked_for_and_not_found_counts_as_annotated(tmp_path: Path) -> None:
    scan = image()
    add_cases(tmp_path, MR, [NewCase("a", scan, mask(scan, 1), {1: LIVER, 2: SPLEEN})])
    assert contents(tmp_path)["labels"] == {"background": 0, "liver": 1, "spleen": 2}
    assert contents(tmp_path)["segtoolkit"]["not_annotated"] == {}


def moved(scan: Volume, **change: Any) -> Volume:
    facts = {"spacing": scan.spacing, "origin": scan.origin, "direction": scan.direction} | change
    return Volume(mask(scan, 1).voxels, **facts)


SCAN = image(5)
TILTED = np.array([[1, 0.6, 0], [0, 0.8, 0], [0, 0, 1.0]])
RGB = Volume(np.zeros((1, 4, 4, 3), np.uint8), (1, 1, 1), (0, 0, 0), np.eye(3))
REFUSED = {
    "mask of another size": (
        NewCase("x", SCAN, mask(image(5, shape=(6, 20, 16)), 1), {1: LIVER}),
        "label-grid",
    ),
    "mask moved": (NewCase("x", SCAN, moved(SCAN, origin=(-180.0, 96.0, 12.5)), {1: LIVER}), "label-grid"),
    "mask flipped": (
        NewCase("x", SCAN, moved(SCAN, direction=np.diag([1.0, 1, -1])), {1: LIVER}),
        "label-grid",
    ),
    "mask of other voxels": (
        NewCase("x", SCAN, moved(SCAN, spacing=(0.7128906, 0.7128906, 3.0)), {1: LIVER}),
        "label-grid",
    ),
    "value without a name": (NewCase("x", SCAN, mask(SCAN, 1, 2), {1: LIVER}), "unknown-label"),
    "mask without names": (NewCase("x", SCAN, mask(SCAN, 1)), "no-structures"),
    "one name twice": (
        NewCase("x", SCAN, mask(SCAN, 1, 2), {1: LIVER, 2: Structure(name="Liver ")}),
        "same-name",
    ),
    "background as a structure": (
        NewCase("x", SCAN, mask(SCAN, 1), {1: Structure(name="Background")}),
        "bad-structure",
    ),
    "id of another case": (case("C0", 9, liver=1), "case-exists"),
    "id that is a path": (case("../x", 9, liver=1), "bad-case-id"),
    "id that looks hidden": (case(".x", 9, liver=1), "bad-case-id"),
    "file that is not there": (NewCase("x", Path("nowhere.nrrd")), "missing-file"),
    "NaN": (NewCase("x", SCAN.with_voxels(np.full(SCAN.shape, np.nan))), "not-finite"),
    "colour": (NewCase("x", RGB), "colour-volume"),
    "axes not at right angles": (
        NewCase("x", Volume(SCAN.voxels, (1, 1, 1), (0, 0, 0), TILTED)),
        "sheared-direction",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_one_refused_case_leaves_the_data_set_as_it_was(tmp_path: Path, name: str) -> None:
    refused, code = REFUSED[name]
    folder = made(tmp_path / "d")
    before = state(folder)
    with pytest.raises(SegToolkitError) as caught:
        add_cases(folder, None, [case("fine", 8, liver=1, kidney=2), refused])
    assert caught.value.code == code
    assert state(folder) == before
    assert not list(folder.glob(".adding-*"))


def test_a_data_set_that_does_not_come_to_be_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError):
        add_cases(tmp_path / "new" / "d", MR, [REFUSED["mask moved"][0]])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("change", "mode", "modality", "code"),
    [
        ({}, "create", "MR", "dataset-exists"),
        ({}, "append", "CT", "modality-differs"),
        ({"channel_names": {"0": "T2", "1": "ADC"}}, "append", None, "several-channels"),
        ({"file_ending": ".png"}, "append", None, "file-ending"),
        ({"labels": {"background": 0, "liver": [1, 2]}}, "append", None, "region-labels"),
        ({"labels": {"background": 0, "liver": 1, "spleen": 2, "ignore": 3}}, "append", None, "ignore-label"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(
    tmp_path: Path, change: dict[str, Any], mode: Any, modality: Any, code: str
) -> None:
    folder = made(tmp_path / "d")
    (folder / "dataset.json").write_text(json.dumps({**contents(folder), **change}))
    before = state(folder)
    description = modality and DatasetDescription(name="x", modality=modality, labels={"background": 0})
    with pytest.raises(SegToolkitError) as caught:
        add_cases(folder, description, [case("new", 7, gallbladder=1)], mode=mode)
    assert caught.value.code == code
    assert state(folder) == before


def test_other_layouts_and_empty_folders_are_not_appended_to(tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError, match="no data set to append to"):
        add_cases(tmp_path / "nothing", None, [case("a", liver=1)], mode="append")
    MR.save(tmp_path / "dataset.json")
    with pytest.raises(SegToolkitError, match="not in nnU-Net's layout"):
        add_cases(tmp_path, None, [case("a", liver=1)])


def test_a_data_set_of_somebody_else_can_be_appended_to(tmp_path: Path) -> None:
    for id, seed in (("BR_001", 1), ("BR_002", 2)):
        scan = image(seed)
        write_volume(scan, tmp_path / "imagesTr" / f"{id}_0000.nii.gz")
        write_volume(mask(scan, 1), tmp_path / "labelsTr" / f"{id}.nii.gz")
    theirs = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "tumour": 1}, "numTraining": 2}
    theirs |= {"file_ending": ".nii.gz", "reference": "Somebody 2020", "release": "1.0"}
    (tmp_path / "dataset.json").write_text(json.dumps(theirs))
    add_cases(tmp_path, None, [case("ours", 3, liver=1)], mode="append")
    values = contents(tmp_path)
    assert (values["numTraining"], values["reference"], values["release"]) == (3, "Somebody 2020", "1.0")
    assert values["labels"] == {"background": 0, "tumour": 1, "liver": 2}
    assert Dataset.open(tmp_path).ids == ["BR_001", "BR_002", "ours"]
    assert Dataset.open(tmp_path).description.modality == "CT"
    assert nnunet_complaints(tmp_path) == []


def test_a_strangers_file_of_that_name_stays(tmp_path: Path) -> None:
    folder = made(tmp_path / "d", 1)
    stranger = folder / "imagesTr" / "new_0000.nii.gz"
    stranger.write_bytes(b"somebody's")
    with pytest.raises(SegToolkitError) as caught:
        add_cases(folder, None, [case("new", 7, liver=1)])
    assert caught.value.code == "case-exists"
    assert stranger.read_bytes() == b"somebody's"
    assert "not-listed" in {problem.code for problem in Dataset.open(folder).check()}


def test_any_data_set_can_be_written_in_this_layout(tmp_path: Path) -> None:
    source = tmp_path / "own"
    labels = {"background": 0, "liver": 2, "spleen": 6}
    described = DatasetDescription(
        name="own",
        modality="CT",
        labels=labels,
        test_groups={"0": [6]},
        patients={"01": "Anna"},
        foreground_threshold=50.5,
        licence=Licence(name="CC0", permissive=True),
        citation="x",
    )
    described.save(source / "dataset.json")
    for id in ("01", "02"):
        scan = image(int(id))
        write_volume(scan, source / f"image_{id}.nii.gz")
        if id == "01":
            write_volume(mask(scan, 2, 6), source / f"label_{id}.nii.gz")
    old = Dataset.open(source)
    add_cases(tmp_path / "new", old.description, list(cases_of(old)))
    new = Dataset.open(tmp_path / "new")
    assert new.description.labels == {"background": 0, "liver": 1, "spleen": 2}
    assert new.description.test_groups == {"0": [2]}
    assert new.description.foreground_threshold == 50.5
    assert new.description.licence == described.licence
    assert new.patients == {"1": "Anna", "2": "2"}
    assert (new.case(1).label is None, new.case(2).label is None) == (False, True)
    assert nnunet_complaints(tmp_path / "new") == []


def test_segments_of_slicer_bring_names_and_find_their_place(tmp_path: Path) -> None:
    scan = image(2, DIRECTIONS["oblique"])
    write_volume(scan, tmp_path / "scan.nrrd")
    whole = mask(scan, 1, 2)
    # Slicer saves the box around the segments only.
    box = Volume(whole.voxels[1:5, 4:13, :9], scan.spacing, tuple(scan.world([[0, 4, 1]])[0]), scan.direction)
    segments = [Segment(1, "liver", (0.5, 0.2, 0.1), "terms"), Segment(2, "spleen", (0, 1, 0))]
    write_segmentation(Segmentation(box, segments), tmp_path / "s.seg.nrrd")
    add_cases(tmp_path / "d", MR, [case_from_files("a", tmp_path / "scan.nrrd", tmp_path / "s.seg.nrrd")])
    dataset = Dataset.open(tmp_path / "d")
    _, label = dataset.read(dataset.cases[0])
    assert label is not None
    np.testing.assert_array_equal(label.voxels, whole.voxels)
    assert dataset.description.structures["liver"].terminology == "terms"
    write_volume(image(2), tmp_path / "other.nrrd")
    with pytest.raises(SegToolkitError, match="not drawn on the voxels"):
        case_from_files("a", tmp_path / "other.nrrd", tmp_path / "s.seg.nrrd")


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("Müller CT (2)", "Muller_CT_2"),
        ("../../etc", "etc"),
        ("肝", "case"),
        (".hidden.", "hidden"),
        ("a" * 200, "a" * 100),
    ],
)
def test_any_text_has_a_nearest_id(text: str, id: str) -> None:
    assert case_id(text) == id


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"numTraining": 4}, "case-count"),
        ({"labels": {"background": 0, "liver": 1, "spleen": 3}}, "labels-not-consecutive"),
        ({"labels": {"bg": 0, "liver": 1, "spleen": 2}}, "no-background"),
        ({"labels": {"background": 0, "ignore": 1, "spleen": 2}}, "ignore-not-last"),
        ({"channel_names": {"0": "a", "1": "b"}}, "channels"),
        ({"numTraining": None}, "missing-key"),
    ],
)
def test_nnunets_rules_are_known(tmp_path: Path, change: dict[str, Any], code: str) -> None:
    folder = made(tmp_path, 2)
    assert list(broken_rules(folder)) == []
    values = {**contents(folder), **change}
    for listed in (True, False):
        kept = {k: v for k, v in values.items() if v is not None and (listed or k != "dataset")}
        (folder / "dataset.json").write_text(json.dumps(kept))
        assert code in {found for _, found, _ in broken_rules(folder)}


def test_a_missing_label_file_is_an_error(tmp_path: Path) -> None:
    folder = made(tmp_path, 2)
    (folder / "labelsTr" / "c1.nii.gz").unlink()
    (problem,) = [p for p in Dataset.open(folder).check() if p.code == "no-label"]
    assert (problem.case, problem.severity) == ("c1", "error")
    assert nnunet_complaints(folder) != []


def test_nnunet_itself_accepts_what_we_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("nnunetv2") is None:
        pytest.skip("nnunetv2 is not installed; its rules are checked by nnunet_complaints")
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, str(tmp_path))
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    folder = made(tmp_path / "Dataset501_made")
    add_cases(folder, None, [case("later", 9, kidney=1), case("unlabelled", 10)])
    verify_dataset_integrity(str(folder), num_processes=1)
    assert nnunet_complaints(folder) == []


def _append(folder: Path, first: int) -> None:
    for n in range(first, first + 4):
        add_cases(folder, MR, [case(f"p{n}", n, **{f"organ {n % 3}": 1})])


def test_processes_that_add_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_append, args=(tmp_path / "d", first)) for first in (0, 4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert Dataset.open(tmp_path / "d").ids == [f"p{n}" for n in range(8)]
    assert nnunet_complaints(tmp_path / "d") == []
    assert [p for p in Dataset.open(tmp_path / "d").check() if p.severity == "error"] == []


def test_real_volumes_keep_their_place(real_data: Path, tmp_path: Path) -> None:
    names = {1: LIVER, 2: KIDNEY, 3: Structure(name="left kidney"), 4: SPLEEN}
    folder = real_data / "chaos_mr_t2"
    files = [(folder / f"image_{n}.nii.gz", folder / f"label_{n}.nii.gz") for n in ("01", "08")]
    add_cases(tmp_path, MR, [NewCase(f"s{n}", i, m, names) for n, (i, m) in enumerate(files)])
    dataset = Dataset.open(tmp_path)
    for one, (scan_file, mask_file) in zip(dataset.cases, files, strict=True):
        scan, label = dataset.read(one)
        assert label is not None
        assert scan.same_grid(read_volume(scan_file), 1e-5)
        np.testing.assert_array_equal(scan.voxels, read_volume(scan_file).voxels)
        np.testing.assert_array_equal(label.voxels, read_volume(mask_file, label=True).voxels)
    assert nnunet_complaints(tmp_path) == []
