"""What ``segtoolkit dataset check`` finds, the commands of a data set, and a window's requests about one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_cases import DIRECTIONS, image, made, mask, nnunet_complaints
from SegToolkitLib.cli import main
from SegToolkitLib.dataset import Dataset
from SegToolkitLib.dataset.checks import Problem, check, table, write_csv
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.volume import Volume, read_volume, write_volume
from SegToolkitLib.worker.dataset_answers import VERBS


def scan_of(folder: Path, id: str) -> Path:
    return folder / "imagesTr" / f"{id}_0000.nii.gz"


def label_of(folder: Path, id: str) -> Path:
    return folder / "labelsTr" / f"{id}.nii.gz"


def rewrite(folder: Path, id: str, spacing: tuple[float, float, float]) -> None:
    for path in (scan_of(folder, id), label_of(folder, id)):
        old = read_volume(path)
        write_volume(Volume(old.voxels, spacing, old.origin, old.direction), path)


def constant(folder: Path) -> None:
    old = read_volume(scan_of(folder, "c1"))
    write_volume(old.with_voxels(np.full(old.shape, 7, np.int16)), scan_of(folder, "c1"))


def with_nan(folder: Path) -> None:
    voxels = image(1).voxels.astype(np.float32)
    voxels[0, 0, 0] = np.nan
    sitk.WriteImage(image(1).with_voxels(voxels).to_sitk(), str(scan_of(folder, "c1")))


def same_scan(folder: Path) -> None:
    # Another type at another place, but the same scan.
    other = image(0, DIRECTIONS["oblique"])
    voxels = read_volume(scan_of(folder, "c0")).voxels.astype(np.float64)
    write_volume(other.with_voxels(voxels), scan_of(folder, "c1"))
    write_volume(mask(other, 1, 2), label_of(folder, "c1"))


def flipped_label(folder: Path) -> None:
    old = read_volume(label_of(folder, "c1"))
    write_volume(Volume(old.voxels, old.spacing, old.origin, np.diag([1.0, 1, -1])), label_of(folder, "c1"))


BREAK: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "unreadable image": (lambda d: scan_of(d, "c1").write_bytes(b"no"), "not-an-image", "error"),
    "truncated image": (
        lambda d: scan_of(d, "c1").write_bytes(scan_of(d, "c1").read_bytes()[:900]),
        "truncated-file",
        "error",
    ),
    "image is gone": (lambda d: scan_of(d, "c1").unlink(), "missing-file", "error"),
    "label is gone": (lambda d: label_of(d, "c1").unlink(), "no-label", "error"),
    "label elsewhere": (flipped_label, "label-grid", "error"),
    "unknown value": (
        lambda d: write_volume(mask(image(1), 1, 9), label_of(d, "c1")),
        "unknown-label",
        "error",
    ),
    "empty label": (lambda d: write_volume(mask(image(1)), label_of(d, "c1")), "empty-label", "warning"),
    "constant image": (constant, "constant-image", "error"),
    "NaN": (with_nan, "not-finite", "error"),
    "same scan twice": (same_scan, "duplicate-image", "warning"),
    "another spacing": (lambda d: rewrite(d, "c1", (0.9, 0.9, 3.3)), "spacing", "warning"),
}


@pytest.mark.parametrize("name", BREAK)
def test_each_problem_is_found_at_its_case_and_nothing_else(tmp_path: Path, name: str) -> None:
    folder = made(tmp_path, 5)
    assert Dataset.open(folder).check() == []
    spoil, code, severity = BREAK[name]
    spoil(folder)
    found = Dataset.open(folder).check()
    assert (code, severity) in {(problem.code, problem.severity) for problem in found}
    assert {problem.case for problem in found} == {"c1"}


@pytest.mark.parametrize(
    ("spacings", "odd"),
    [
        ([1.0, 1.1, 1.2, 1.3, 1.4], set()),
        ([1.0, 1.1, 1.2, 1.3, 2.5], {"c4"}),
        ([0.5, 1.1, 1.2, 1.3, 1.4], {"c0"}),
        ([1.0, 1.0, 1.0, 1.3, 1.4], {"c3", "c4"}),
    ],
)
def test_a_spacing_is_odd_where_most_agree_or_at_twice_the_median(
    tmp_path: Path, spacings: list[float], odd: set[str]
) -> None:
    folder = made(tmp_path, 5)
    for n, one in enumerate(spacings):
        rewrite(folder, f"c{n}", (1.0, one, 3.0))
    assert {problem.case for problem in Dataset.open(folder).check() if problem.code == "spacing"} == odd


def test_several_processes_find_the_same(tmp_path: Path) -> None:
    folder = made(tmp_path, 5)
    same_scan(folder)
    steps: list[tuple[int, int]] = []
    dataset = Dataset.open(folder)
    alone = check(dataset, lambda done, total: steps.append((done, total)), workers=1)
    assert check(dataset, workers=2) == alone != []
    assert steps == [(n, 5) for n in range(1, 6)]


def test_problems_are_shown_and_written_as_tables(tmp_path: Path) -> None:
    problems = [
        Problem("c1", "spacing", 'It is "odd", they say.', "warning"),
        Problem("", "no-labels", "None."),
    ]
    assert table([]) == ""
    assert table(problems).splitlines()[1:] == [
        'warning   c1    spacing    It is "odd", they say.',
        "error     -     no-labels  None.",
    ]
    write_csv(tmp_path / "p.csv", problems)
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines == [
        "case,code,message,severity",
        'c1,spacing,"It is ""odd"", they say.",warning',
        ",no-labels,None.,error",
    ]


def test_the_command_line_makes_extends_checks_and_splits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for n in range(4):
        files.append((tmp_path / f"scan {n}.nrrd", tmp_path / f"outline {n}.nrrd"))
        write_volume(image(n), files[-1][0])
        write_volume(mask(image(n), 5, 3), files[-1][1])

    def run(*arguments: object, code: int = 0) -> dict[str, Any]:
        assert main(["dataset", *map(str, arguments), "--json"]) == code
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    folder = tmp_path / "d"
    names = ("--structures", "5=liver,3=spleen")
    scan, outline = files[0]
    assert run("create", folder, "--image", scan, code=1)["code"] == "no-modality"
    done = run(
        "create", folder, "--modality", "MR", "--image", scan, "--label", outline, *names, "--patient", "A"
    )
    assert done["outputs"]["cases"] == ["scan_0"]
    more: list[object] = ["--image", files[1][0], "--name", "plain", "--patient", "A"]
    for scan, outline in files[2:]:
        more += ["--image", scan, "--label", outline, *names]
    assert run("add", folder, *more)["outputs"]["cases"] == ["plain", "scan_2", "scan_3"]
    shown = run("show", folder)["outputs"]
    assert (shown["labelled"], shown["labels"]) == (3, {"background": 0, "liver": 1, "spleen": 2})
    assert shown["patients"] == {"plain": "A", "scan_0": "A", "scan_2": "scan_2", "scan_3": "scan_3"}
    assert run("split", folder, "--folds", 2, "--nnunet", folder)["outputs"]["folds"] == 2
    assert (folder / "splits_final.json").is_file()
    checked = run("check", folder, "--strict", "--csv", tmp_path / "p.csv", "--picture", tmp_path / "p.png")
    assert checked["outputs"]["problems"] == []
    assert (tmp_path / "p.png").stat().st_size > 0
    assert run("check", folder, "--picture", tmp_path, code=1)["code"] == "write-failed"
    label_of(folder, "scan_2").unlink()
    assert run("check", folder)["outputs"]["errors"] == 1
    assert run("check", folder, "--strict", code=1)["code"] == "dataset-errors"
    assert run("add", folder, code=1)["code"] == "no-cases"


def test_an_option_before_its_image_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["dataset", "add", str(tmp_path), "--label", "x.nrrd"])


class Heard(Reporter):
    def __init__(self) -> None:
        self.steps: list[tuple[str, int, int]] = []

    def progress(self, phase: str, step: int, total: int, **values: Any) -> None:
        self.steps.append((phase, step, total))


def ask(verb: str, **values: Any) -> tuple[dict[str, Any], list[tuple[str, int, int]]]:
    reporter = Heard()
    outputs = VERBS[verb]({"id": "1", "do": verb, **values}, reporter)
    return json.loads(json.dumps(outputs)), reporter.steps


def item(folder: Path, n: int, name: str, outlined: bool = True) -> dict[str, Any]:
    write_volume(image(n), folder / f"{n}.nrrd", compress=False)
    write_volume(mask(image(n), 1), folder / f"{n}-mask.nrrd", compress=False)
    return {
        "image": str(folder / f"{n}.nrrd"),
        "mask": str(folder / f"{n}-mask.nrrd") if outlined else None,
        "structures": {"1": {"name": "liver", "colour": [0.8, 0.2, 0.1], "terminology": "a~b"}}
        if outlined
        else {},
        "case": name,
        "patient": None,
    }


def test_a_window_makes_a_data_set_and_adds_to_it(tmp_path: Path) -> None:
    folder = str(tmp_path / "d")
    first = [item(tmp_path, 1, "CT (1)"), item(tmp_path, 2, "2: Müller", outlined=False)]
    made, steps = ask("dataset_add", folder=folder, name="mine", modality="MR", items=first, append=False)
    assert made == {"folder": folder, "cases": ["CT_1", "2_Muller"]}
    assert steps == [("writing", 1, 2), ("writing", 2, 2)]
    ask("dataset_add", folder=folder, name="mine", modality="MR", items=[item(tmp_path, 3, "c")], append=True)
    found, steps = ask("dataset_check", path=folder)
    assert steps[-1] == ("checking", 3, 3)
    problem = found.pop("problems")[0]
    assert found == {
        "name": "mine", "modality": "MR", "images": 3, "labelled": 2, "unlabelled": 1,
        "labels": {"background": 0, "liver": 1}, "folds": 0, "channels": [], "tagged": 0,
    }  # fmt: skip
    assert (problem["case"], problem["code"], problem["severity"]) == ("", "folds", "warning")
    assert Dataset.open(folder).description.structures["liver"].terminology == "a~b"
    assert nnunet_complaints(Path(folder)) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"append": True}, "no-dataset"),
        ({"modality": None}, "no-modality"),
        ({"items": []}, "description"),
        ({"itmes": []}, "description"),
        ({"modality": "PET"}, "description"),
    ],
)
def test_a_window_is_told_what_is_wrong_with_its_request(
    tmp_path: Path, change: dict[str, Any], code: str
) -> None:
    values = {"folder": str(tmp_path / "d"), "name": "x", "modality": "MR", "items": [item(tmp_path, 1, "a")]}
    with pytest.raises(SegToolkitError) as caught:
        ask("dataset_add", **{**values, **change})
    assert caught.value.code == code
    assert not (tmp_path / "d").exists()


def test_real_volumes_are_without_problems(real_data: Path, tmp_path: Path) -> None:
    described = Path(__file__).parents[2] / "Resources" / "DataSets" / "chaos_mr_t2.json"
    assert Dataset.open(described, real_data / "chaos_mr_t2").check() == []
