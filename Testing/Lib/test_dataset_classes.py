"""Classes of labels, the fold of a run, and what its cases do, for every method that learns from labels."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dataset_cases import MR, case
from SegToolkitLib.dataset import Dataset, DatasetDescription
from SegToolkitLib.dataset.cache import Arrays, Cache
from SegToolkitLib.dataset.case_reader import CachedCase, CaseReader
from SegToolkitLib.dataset.checksum import sha256_of
from SegToolkitLib.dataset.classes import as_classes, class_names, class_values, classes_of, structures_of
from SegToolkitLib.dataset.dataset import Case, read_case
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.dataset.roles import drawn_cases, sides_of
from SegToolkitLib.dataset.splits import Split, fold_of, make_splits, split_of, write_splits
from SegToolkitLib.errors import SegToolkitError
from small_runs import Heard

PATIENTS = {"0": "A", "1": "A", "2": "B", "3": "C", "4": "D", "5": "D"}
LABELLED = ("0", "1", "2", "4")


def described(folder: Path, **labels: int) -> Dataset:
    DatasetDescription(name="made", modality="MR", labels={"background": 0, **labels}).save(
        folder / "dataset.json"
    )
    return Dataset.open(folder)


def grouped(classes: dict[int, int] | None = None) -> Any:
    return SimpleNamespace(classes=classes)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Cases of four patients, three of whom have a label."""
    folder = tmp_path_factory.mktemp("cases")
    made = [
        case(id, int(id), patient, **({"liver": 1} if id in LABELLED else {}))
        for id, patient in PATIENTS.items()
    ]
    add_cases(folder, MR, made)
    return Dataset.open(folder)


def test_structures_are_neither_background_nor_ignored_voxels(tmp_path: Path) -> None:
    dataset = described(tmp_path, spleen=7, Ignore=9, liver=2)
    assert list(structures_of(dataset).items()) == [(2, "liver"), (7, "spleen")]
    with pytest.raises(SegToolkitError, match="made describes no structures") as refused:
        structures_of(described(tmp_path, ignore=1))
    assert refused.value.code == "no-labels"


@pytest.mark.parametrize(
    ("classes", "expected", "names", "values"),
    [
        (None, {2: 1, 5: 2, 7: 3}, {1: "left", 2: "right", 3: "heart"}, {1: 2, 2: 5, 3: 7}),
        ({5: 1, 2: 1, 7: 2}, {2: 1, 5: 1, 7: 2}, {1: "left + right", 2: "heart"}, {1: 2, 2: 7}),
        ({7: 1}, {7: 1}, {1: "heart"}, {1: 7}),
    ],
    ids=["as described", "joined", "one of them"],
)
def test_labels_become_classes(
    tmp_path: Path,
    classes: dict[int, int] | None,
    expected: dict[int, int],
    names: dict[int, str],
    values: dict[int, int],
) -> None:
    dataset, settings = described(tmp_path, heart=7, left=2, right=5), grouped(classes)
    assert classes_of(dataset, settings) == expected
    assert list(class_names(dataset, settings).items()) == list(names.items())
    assert list(class_values(dataset, settings).items()) == list(values.items())


def test_labels_that_cannot_be_classes_are_told(tmp_path: Path) -> None:
    dataset = described(tmp_path, liver=1, ignore=2)
    for strange in (2, 3):
        with pytest.raises(SegToolkitError, match=f"no label {strange} that could be a class") as refused:
            classes_of(dataset, grouped({1: 1, strange: 2}))
        assert "mend data.classes" in refused.value.hint
    many = described(tmp_path, **{f"part {n}": n for n in range(1, 257)})
    with pytest.raises(SegToolkitError, match="has 256 structures; 255 are the most") as refused:
        classes_of(many, grouped())
    assert refused.value.code == "too-many-labels"
    assert len(classes_of(many, grouped({n: 1 + n // 2 for n in range(1, 257)}))) == 256


def test_values_without_a_class_become_background() -> None:
    label = np.array([[0, 1, 2], [300, 2, 7]], np.int16)
    found = as_classes(label, {2: 1, 300: 255})
    assert found.dtype == np.uint8
    assert found.tolist() == [[0, 0, 1], [255, 1, 0]]


def test_a_fold_needs_a_labelled_patient_to_validate_on(dataset: Dataset) -> None:
    assert split_of(dataset, None) == Split(tuple("012345"), ())
    # The data set says five folds, and three patients have labels.
    assert [split_of(dataset, fold) for fold in range(3)] == make_splits(dataset, 3)
    with pytest.raises(SegToolkitError, match="There is no fold 3") as refused:
        split_of(dataset, 3)
    assert "numbered 0 to 2; null (--fold none)" in refused.value.hint
    assert split_of(dataset, 1, 2) == make_splits(dataset, 2)[1]


def test_folds_that_a_person_wrote_come_first(tmp_path: Path) -> None:
    add_cases(tmp_path, MR, [case(id, int(id), liver=1) for id in "0123"])
    dataset = Dataset.open(tmp_path)
    written = [Split(("0",), ("1", "2")), Split(("3", "1"), ("0",))]
    write_splits(dataset, written)
    assert [split_of(dataset, fold, 4) for fold in range(2)] == written
    assert fold_of(written, 1) == written[1]
    with pytest.raises(SegToolkitError, match="no fold 2"):
        split_of(dataset, 2)


@pytest.mark.parametrize(("without_labels", "folds"), [(False, 2), (True, 4)])
def test_without_any_label_a_fold_may_validate_on_any_patient(
    tmp_path: Path, without_labels: bool, folds: int
) -> None:
    add_cases(tmp_path, MR, [case(f"u{n}", n) for n in range(4)])
    dataset = Dataset.open(tmp_path)
    found = [split_of(dataset, fold, without_labels=without_labels) for fold in range(folds)]
    assert found == make_splits(dataset, folds)
    with pytest.raises(SegToolkitError, match=f"no fold {folds}"):
        split_of(dataset, folds, without_labels=without_labels)


def test_cases_of_a_fold_are_parted_by_their_labels(dataset: Dataset) -> None:
    sides = sides_of(dataset, Split(tuple("03142"), ("5",)), None, "data.fold")
    assert (sides.labelled, sides.unlabelled, sides.held_out) == (("0", "1", "4", "2"), ("3",), ())
    chosen = sides_of(dataset, Split(tuple("0123"), ("4", "5")), ["03", "2"], "data.fold")
    assert (chosen.labelled, chosen.unlabelled, chosen.held_out) == (("2",), ("3",), ("4",))


def test_a_training_side_without_labels_is_told(dataset: Dataset) -> None:
    with pytest.raises(SegToolkitError, match="No training case of") as refused:
        sides_of(dataset, Split(("3", "5"), ("0",)), None, "data.fold, data.cases")
    assert refused.value.hint == "Label some, or choose another split (data.fold, data.cases)."
    with pytest.raises(SegToolkitError, match="no case 9"):
        sides_of(dataset, Split(("0",), ()), ["9"], "data.fold")


def test_a_draw_keeps_the_order_and_grows_by_adding() -> None:
    ids = tuple("abcdefgh")
    draws = [drawn_cases(ids, count, 3) for count in range(9)]
    # By heart: other numbers would give another training for the same seed.
    assert draws[3] == ("a", "e", "h")
    assert draws[8] == drawn_cases(ids, 20, 3) == ids
    for smaller, larger in pairwise(draws):
        assert set(smaller) < set(larger)
        assert list(larger) == sorted(larger)
    assert len({drawn_cases(ids, 3, seed) for seed in range(6)}) > 1


@dataclass(frozen=True)
class Halved(CachedCase):
    """A case at half its values."""

    case: Case
    cache: Cache

    @cached_property
    def arrays(self) -> Arrays:
        return self.cache.get({"what": "halved", "image": self.case.image}, self._read)

    def _read(self) -> dict[str, Any]:
        return {"image": read_case(self.case)[0].voxels // 2}


class Halver(CaseReader):
    """Refuses the cases that it is told to."""

    def __init__(self, dataset: Dataset, cache: Cache, reporter: Heard, bad: str) -> None:
        super().__init__(cache, reporter)
        self._dataset, self._bad = dataset, bad

    def read(self, ids: str) -> list[Halved]:
        return self._each(ids, "cases", self._scan)

    def _scan(self, id: str) -> Halved:
        if id in self._bad:
            raise SegToolkitError("bad", "It is bad.", "Mend it.")
        scan = Halved(self._dataset.case(id), self._cache)
        self._note(scan.case, label=id != "1")
        return scan


class Progress(Heard):
    """Remembers the progress and the hints, too."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[str, int, int]] = []
        self.hints: list[str] = []

    def warning(self, text: str, hint: str = "") -> None:
        super().warning(text, hint)
        self.hints.append(hint)

    def progress(self, phase: str, step: int, total: int, **values: Any) -> None:
        self.steps.append((phase, step, total))


def test_what_cannot_be_read_is_told_and_left_out(dataset: Dataset, tmp_path: Path) -> None:
    heard, cache = Progress(), Cache(tmp_path, 1)
    reader = Halver(dataset, cache, heard, bad="2")
    scans = reader.read("0123")
    assert [scan.id for scan in scans] == ["0", "1", "3"]
    assert reader.failures == {"2": "It is bad."}
    assert heard.warnings == ["Case 2 is left out: It is bad."]
    assert heard.steps == [("reading cases", n, 4) for n in (1, 2, 3, 4)]
    # Case 3 has no label, and that of case 1 is not used.
    assert set(reader.checksums) == {"0", "label of 0", "1", "3"}
    assert reader.checksums["0"] == cache.content_hash(dataset.case("0").image)


def test_another_process_maps_the_arrays_itself(dataset: Dataset, tmp_path: Path) -> None:
    scan = Halved(dataset.case("0"), Cache(tmp_path, 1))
    before = scan.arrays["image"].copy()
    assert set(scan.__getstate__()) == {"case", "cache"}
    other = pickle.loads(pickle.dumps(scan))
    assert "arrays" not in other.__dict__
    assert np.array_equal(other.arrays["image"], before)


def test_more_than_the_cache_may_keep_is_told_and_stays(dataset: Dataset, tmp_path: Path) -> None:
    heard, cache = Progress(), Cache(tmp_path, 1e-6)
    reader = Halver(dataset, cache, heard, bad="")
    scans = reader.read("01")
    assert heard.warnings == []  # nothing is prepared before it is asked for
    for scan in scans:
        assert len(scan.arrays)
    for _ in range(2):
        reader.read("01")
    assert [text.partition(".")[0] for text in heard.warnings] == ["The prepared cases of this run take 8"]
    assert "more than data.cache_gb=1e-06" in heard.warnings[0]
    assert heard.hints == [f"Set data.cache_gb=8.5e-06 to keep them, if {tmp_path} has room for it."]
    # A worker finds them all.
    entries = sorted(path.name for path in (tmp_path / "entries").iterdir())
    assert len(entries) == 2
    for scan in pickle.loads(pickle.dumps(scans)):
        assert len(scan.arrays)
    assert sorted(path.name for path in (tmp_path / "entries").iterdir()) == entries
    assert len(reader.read("4")[0].arrays)
    reader.read("")
    assert len(heard.warnings) == 2


def test_a_checksum_is_that_of_the_whole_file(tmp_path: Path) -> None:
    # Longer than what is read at once.
    content = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()
