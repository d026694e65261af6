"""``segtoolkit segment METHOD`` for models that segment by themselves: many files, and trouble with some."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from automatic_cases import METHODS, boxes, brightness, image, make_model, turned, write
from SegToolkitLib.automatic import command
from SegToolkitLib.automatic.inputs import case_name, find_images
from SegToolkitLib.cli.options import add_device, add_model
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.volume import read_segmentation, read_volume


class Ear(Reporter):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str, hint: str = "") -> None:
        self.warnings.append(text)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model and three images: "a", "b_0000" (turned), "c" (no CT)."""
    monkeypatch.setenv("SEGTOOLKIT_HOME", str(tmp_path / "home"))
    make_model(tmp_path / "models")
    write(image(), tmp_path / "in" / "a.nii.gz")
    write(turned(image(), "RAS", 10), tmp_path / "in" / "b_0000.nii.gz")
    write(image().with_voxels(image().voxels + 1000), tmp_path / "in" / "c.nrrd")
    return tmp_path


def run(place: Path, *words: Any, ear: Ear | None = None, model: str = "brightness") -> dict[str, Any]:
    parser = ArgumentParser()
    add_model(parser)
    command.add_arguments(parser)
    add_device(parser)
    given = ["--model", str(place / "models" / model), "--device", "cpu", *map(str, words)]
    return command.run("brightness", brightness, parser.parse_args(given), ear or Ear())


def refused(place: Path, *words: Any, model: str = "brightness") -> SegToolkitError:
    with pytest.raises(SegToolkitError) as error:
        run(place, *words, model=model)
    assert error.value.message.rstrip().endswith(".")
    assert error.value.hint
    return error.value


def test_one_image_becomes_one_named_file(place: Path) -> None:
    outputs = run(place, "-i", place / "in" / "a.nii.gz", "-o", place / "a.seg.nrrd")
    (result,) = outputs["results"]
    assert result["segmentation"] == str(place / "a.seg.nrrd")
    assert {"read", "fine", "table", "write", "total"} == set(result["seconds"])
    found = read_segmentation(place / "a.seg.nrrd")
    assert np.array_equal(found.labels.voxels, boxes())
    assert [s.name for s in found.segments] == ["liver", "spleen", "right kidney", "left kidney"]
    assert "SCT^10200004^Liver" in found.segments[0].terminology
    assert found.segments[0].colour == pytest.approx((0.8667, 0.5098, 0.3961), abs=1e-3)


def test_a_folder_is_segmented_and_one_bad_image_does_not_stop_the_others(place: Path) -> None:
    ear = Ear()
    with pytest.raises(SegToolkitError, match="1 of 3 images") as error:
        run(place, "-i", place / "in", "-o", place / "out", "--format", ".nii.gz", ear=ear)
    assert error.value.code == "images-failed"
    assert "c: " in error.value.message
    assert "Hounsfield" in ear.warnings[0]
    assert sorted(p.name for p in (place / "out").iterdir()) == ["a.nii.gz", "b.nii.gz"]
    turned_back = read_volume(place / "out" / "b.nii.gz", label=True)
    assert turned_back.same_grid(read_volume(place / "in" / "b_0000.nii.gz"))
    expected = turned(image().with_voxels(boxes()), "RAS", 10)
    assert np.array_equal(turned_back.voxels, expected.voxels)


def test_a_second_run_goes_on_where_the_first_one_stopped(place: Path) -> None:
    images = ["-i", place / "in" / "a.nii.gz", "-i", place / "in" / "b_0000.nii.gz"]
    table = ["--table", place / "t.csv"]
    run(place, *images[:2], "-o", place / "out", *table)
    before = (place / "out" / "a.seg.nrrd").stat().st_mtime_ns
    ear = Ear()
    outputs = run(place, *images, "-o", place / "out", *table, ear=ear)
    assert [Path(one["segmentation"]).name for one in outputs["results"]] == ["b.seg.nrrd"]
    assert outputs["skipped"] == [str(place / "out" / "a.seg.nrrd")]
    assert "passed over" in ear.warnings[0]
    assert (place / "out" / "a.seg.nrrd").stat().st_mtime_ns == before
    with (place / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["image"], row["name"]) for row in rows[:2]] == [("a", "liver"), ("a", "spleen")]
    assert {row["image"] for row in rows} == {"a", "b"}
    assert float(rows[0]["ml"]) == pytest.approx(448 * 4.5 / 1000)
    assert run(place, *images, "-o", place / "out")["results"] == []
    assert len(run(place, *images, "-o", place / "out", *table, "--overwrite")["results"]) == 2
    assert len((place / "t.csv").read_text(encoding="utf-8").splitlines()) == 1 + len(rows)
    assert (place / "out" / "a.seg.nrrd").stat().st_mtime_ns > before


def test_organs_mode_and_extra_files(place: Path) -> None:
    ear = Ear()
    one = ["-i", place / "in" / "a.nii.gz", "-o", place / "a.nrrd"]
    extras = ["--uncertainty", "--overlay", place / "a.png", "--table", place / "t.csv"]
    run(place, *one, "--organs", "Kidney (right), 2", "--mode", "quick", *extras, ear=ear)
    assert set(np.unique(read_volume(place / "a.nrrd").voxels)) == {0, 2, 3}
    assert ear.warnings == ["Computed on every second voxel."]
    doubt = read_volume(place / "a_uncertainty.nii.gz")
    assert doubt.voxels.dtype == np.float32
    assert doubt.same_grid(image(), 1e-2)
    assert (place / "a.png").read_bytes().startswith(b"\x89PNG")
    lines = (place / "t.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[2] for line in lines] == ["name", "spleen", "right kidney"]


def test_several_images_have_their_extra_files_in_folders(place: Path) -> None:
    images = ["-i", place / "in" / "a.nii.gz", "-i", place / "in" / "b_0000.nii.gz", "-o", place / "out"]
    run(place, *images, "--overlay", place / "pictures", "--map", "darkness", "--uncertainty")
    assert sorted(p.name for p in (place / "pictures").iterdir()) == ["a.png", "b.png"]
    assert sorted(p.name for p in (place / "out").iterdir()) == [
        *("a.seg.nrrd", "a_darkness.nii.gz", "a_uncertainty.nii.gz"),
        *("b.seg.nrrd", "b_darkness.nii.gz", "b_uncertainty.nii.gz"),
    ]


def test_a_map_does_not_take_the_place_of_an_image(place: Path) -> None:
    (place / "in" / "c.nrrd").rename(place / "in" / "a_darkness.nii.gz")
    words = ["-i", place / "in" / "a.nii.gz", "-i", place / "in" / "a_darkness.nii.gz", "--map", "darkness"]
    for out, suffix in ((place / "in", ".nrrd"), (place / "out", ".nii.gz")):
        with pytest.raises(SegToolkitError, match=r"a_darkness\.nii\.gz is among") as error:
            run(place, *words, "-o", out, "--format", suffix)
        assert error.value.code == "would-overwrite"


def test_an_overlay_does_not_take_the_place_of_an_image_or_a_result(place: Path) -> None:
    picture = np.linspace(0, 200, 64 * 64).reshape(64, 64).astype(np.uint8)
    (place / "slices").mkdir()
    Image.fromarray(picture).save(place / "slices" / "p.png")
    one = ["-i", place / "slices" / "p.png"]
    for words in (
        ["-o", place / "out", "--overlay", place / "slices"],
        ["-o", place / "out", "--overlay", place / "slices" / "p.png"],
        ["-o", place / "out", "--format", ".png", "--overlay", place / "out"],
        ["-o", place / "slices", "--format", ".png"],
    ):
        assert refused(place, *one, *words).code == "would-overwrite"
    assert np.array_equal(np.asarray(Image.open(place / "slices" / "p.png")), picture)
    assert not (place / "out").exists()


def test_a_picture_holds_one_slice(place: Path) -> None:
    one = ["-i", place / "in" / "a.nii.gz"]
    error = refused(place, *one, "-o", place / "a.png")
    assert error.code == "not-a-picture"
    assert error.message.startswith("a.png holds one slice, but")
    k = int(np.flatnonzero(boxes().any(axis=(1, 2)))[0])
    single = replace(image(), voxels=image().voxels[k : k + 1])
    write(single, place / "single.nii.gz")
    run(place, "-i", place / "single.nii.gz", "-o", place / "single.png")
    run(place, "-i", place / "single.nii.gz", "-o", place / "out", "--format", ".nii.gz")
    found = np.asarray(Image.open(place / "single.png"))
    assert found.dtype == np.uint8
    assert np.array_equal(found, read_volume(place / "out" / "single.nii.gz").voxels[0])
    assert found.any()


def test_cases_are_chosen_by_a_list_and_divided_among_machines(place: Path) -> None:
    (place / "ids.txt").write_text("# first\nb\n\na.nii.gz  # with its suffix\n", encoding="utf-8")
    words = ["-i", place / "in", "-o", place / "out", "--ids", place / "ids.txt"]
    for part in ("0/3", "2/3"):
        run(place, *words, "--shard", part)
    assert [p.name for p in (place / "out").iterdir()] == ["a.seg.nrrd"]
    run(place, *words, "--shard", "1/3")
    assert sorted(p.name for p in (place / "out").iterdir()) == ["a.seg.nrrd", "b.seg.nrrd"]


REFUSED: dict[str, tuple[list[str], str]] = {
    "an image that is not there": (["-i", "no.nii.gz", "-o", "out"], "missing-file"),
    "an unknown organ": (["-i", "in/a.nii.gz", "-o", "out", "--organs", "liver,heart"], "unknown-structure"),
    "a map that the model has not": (["-i", "in", "-o", "out", "--map", "glory"], "no-map"),
    "one picture for many": (["-i", "in", "-o", "out", "--overlay", "a.png"], "several-images"),
    "a picture of another kind": (["-i", "in/a.nii.gz", "-o", "out", "--overlay", "a.jpg"], "unknown-suffix"),
    "the image itself": (["-i", "in/a.nii.gz", "-o", "in/a.nii.gz", "--overwrite"], "would-overwrite"),
    "the folder of the images": (["-i", "in", "-o", "in", "--format", ".nii.gz"], "would-overwrite"),
    "an unknown case": (["-i", "in", "-o", "out", "--ids", "ids.txt"], "unknown-case"),
    "an empty list": (["-i", "in", "-o", "out", "--ids", "empty.txt"], "no-image"),
    "a list that is not there": (["-i", "in", "-o", "out", "--ids", "none.txt"], "unreadable"),
    "a device that is not there": (["-i", "in", "-o", "out", "--device", "cuda:77"], "device-missing"),
    "not Hounsfield units, alone": (["-i", "in/c.nrrd", "-o", "out"], "modality-range"),
}


def test_each_part_has_a_table_of_its_own(place: Path) -> None:
    names = set()
    for part in ("0/3", "1/3", "2/3"):
        words = ("-i", place / "in", "-o", place / "out", "--table", place / "volumes.csv", "--shard", part)
        if part == "2/3":  # no CT
            refused(place, *words)
            continue
        table = Path(run(place, *words)["table"])
        assert table.name == f"volumes-{part[0]}-of-3.csv"
        with table.open(encoding="utf-8", newline="") as file:
            names |= {row["image"] for row in csv.DictReader(file)}
    assert names == {"a", "b"}
    assert not (place / "volumes.csv").exists()


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_said_and_leaves_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(place)
    (place / "ids.txt").write_text("zzz\n", encoding="utf-8")
    (place / "empty.txt").write_text("# nobody\n", encoding="utf-8")
    before = (place / "in" / "a.nii.gz").read_bytes()
    words, code = REFUSED[case]
    assert refused(place, *words).code == code
    assert not (place / "out").exists()
    assert (place / "in" / "a.nii.gz").read_bytes() == before


def test_images_of_one_name_are_refused(place: Path) -> None:
    write(image(), place / "other" / "a.nrrd")
    images = ["-i", place / "in" / "a.nii.gz", "-i", place / "other" / "a.nrrd"]
    assert refused(place, *images, "-o", place / "out").code == "same-name"


def test_terms_have_to_be_accepted_once(place: Path) -> None:
    make_model(place / "models", "bound", permissive=False)
    words = ["-i", place / "in" / "a.nii.gz", "-o", place / "out"]
    assert refused(place, *words, model="bound").code == "licence-not-accepted"
    run(place, *words, "--accept-licence", model="bound")
    run(place, *words, "--overwrite", model="bound")


@pytest.mark.parametrize(("fails", "code"), [("memory", "out-of-memory"), ("error", "too-dark")])
def test_a_failure_of_the_method_is_told(place: Path, fails: str, code: str) -> None:
    make_model(place / "models", "bad", fails=fails)
    assert refused(place, "-i", place / "in" / "a.nii.gz", "-o", place / "out", model="bad").code == code


def test_a_gpu_that_is_too_small_gets_the_way_that_takes_less(place: Path) -> None:
    make_model(place / "models", "large", fails="gpu-memory")
    ear = Ear()
    run(place, "-i", place / "in" / "a.nii.gz", "-o", place / "out", model="large", ear=ear)
    assert "takes less" in ear.warnings[0]
    assert np.array_equal(read_volume(place / "out" / "a.seg.nrrd", label=True).voxels, boxes())


def test_a_fault_of_ours_stops_all(place: Path) -> None:
    make_model(place / "models", "bad", fails="internal")
    with pytest.raises(RuntimeError):
        run(place, "-i", place / "in", "-o", place / "out", model="bad")


def test_a_model_of_another_method_is_refused_with_the_right_command(place: Path) -> None:
    parser = ArgumentParser()
    add_model(parser)
    command.add_arguments(parser)
    add_device(parser)
    options = parser.parse_args(["--model", str(place / "models" / "brightness"), "-i", "x", "-o", "y"])
    with pytest.raises(SegToolkitError) as error:
        command.run("cssn", brightness, options, Ear())
    assert error.value.code == "other-method"
    assert "segtoolkit segment brightness --model brightness" in error.value.hint
    # A method that has no such command is not sent there.
    with pytest.raises(SegToolkitError) as error:
        command.run("cssn", brightness, options, Ear(), others=["cssn", "alpnet"])
    assert "segtoolkit segment" not in error.value.hint


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("a.nii.gz", "a"),
        ("FLARE22_Tr_0001_0000.nii.gz", "FLARE22_Tr_0001"),
        ("x.y.NRRD", "x.y"),
        ("dicom", "dicom"),
    ],
)
def test_a_case_is_called_as_its_file_without_suffix_and_channel(name: str, case: str) -> None:
    assert case_name(Path("/somewhere") / name) == case


def test_a_folder_means_its_volumes_or_itself(place: Path) -> None:
    write(image(), place / "in" / "old.seg.nrrd")
    write(image(), place / "in" / ".hidden.nrrd")
    (place / "in" / "readme.txt").write_text("x")
    (place / "dicom").mkdir()
    (place / "dicom" / "IM0001").write_text("x")
    images, left_out = find_images([place / "in", place / "dicom", place / "in" / "a.nii.gz"])
    assert [p.name for p in images] == ["a.nii.gz", "b_0000.nii.gz", "c.nrrd", "dicom"]
    assert left_out == []


LABEL_MAPS = ["a-label.nrrd", "a.Mask.nii.gz", "a_residual.nii.gz", "b.nii.gz", "label_1.mha", "x seg02.nii"]
IMAGES = ["unmasked.nrrd", "segment.nrrd", "residual tumour 3.nrrd"]


def test_label_maps_of_a_folder_are_left_out_unless_they_are_named(place: Path) -> None:
    for name in (*LABEL_MAPS, *IMAGES):
        write(image(), place / "in" / name)
    images, left_out = find_images([place / "in", place / "in" / "label_1.mha"])
    assert sorted(p.name for p in left_out) == sorted({*LABEL_MAPS} - {"label_1.mha"})
    assert {p.name for p in images} == {*("a.nii.gz", "b_0000.nii.gz", "c.nrrd", "label_1.mha", *IMAGES)}


def test_label_maps_that_are_left_out_are_told_and_segmented_where_they_are_named(place: Path) -> None:
    (place / "in" / "c.nrrd").unlink()
    write(image(), place / "in" / "a_seg.nii.gz")
    ear = Ear()
    outputs = run(place, "-i", place / "in", "-o", place / "out", ear=ear)
    assert len(outputs["results"]) == 2
    assert [text for text in ear.warnings if "a_seg.nii.gz" in text] == ear.warnings
    run(place, "-i", place / "in" / "a_seg.nii.gz", "-o", place / "out")
    assert (place / "out" / "a_seg.seg.nrrd").exists()


def test_results_among_their_images_are_not_segmented_the_next_time(place: Path) -> None:
    (place / "in" / "c.nrrd").unlink()
    (place / "in" / "a.nii.gz").unlink()
    words = ["-i", place / "in", "-o", place / "in", "--format", ".nii.gz"]
    assert len(run(place, *words)["results"]) == 1
    before = (place / "in" / "b.nii.gz").read_bytes()
    assert run(place, *words)["skipped"] == [str(place / "in" / "b.nii.gz")]
    # It could as well be the outline of a person.
    assert refused(place, *words, "--overwrite").code == "would-overwrite"
    assert (place / "in" / "b.nii.gz").read_bytes() == before


def test_a_folder_of_label_maps_alone_holds_nothing_to_segment(place: Path) -> None:
    write(image(), place / "labels" / "mask_1.nii.gz")
    error = refused(place, "-i", place / "labels", "-o", place / "out")
    assert error.code == "no-image"
    assert "mask_1.nii.gz" in error.message
    assert "-i FILE" in error.hint


def test_the_program_knows_the_verb_of_every_such_method(place: Path) -> None:
    call = [sys.executable, "-m", "SegToolkitLib", "segment", "brightness", "--json", "--device", "cpu"]
    call += [
        "--model",
        str(place / "models" / "brightness"),
        "-i",
        str(place / "in"),
        "-o",
        str(place / "out"),
    ]
    done = subprocess.run(
        call,
        env={**os.environ, "SEGTOOLKIT_METHOD_PATH": str(METHODS)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 1
    assert '"code": "images-failed"' in done.stdout.splitlines()[-1]
    assert sorted(p.name for p in (place / "out").iterdir()) == ["a.seg.nrrd", "b.seg.nrrd"]
