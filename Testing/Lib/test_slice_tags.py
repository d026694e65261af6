"""Tags of slices in a data set: rows, and that they come and go with their cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmer_runs import made_patient
from SegToolkitLib.dataset import nnunet_write
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.dataset.new_cases import NewCase
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.dataset.slice_tags import tag_rows, tagged_cases, with_cases
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.tags import from_csv

ABOUT = DatasetDescription(name="tags", modality="MR", labels={"background": 0})


def case(id: str, *visible: int) -> NewCase:
    return NewCase(id, made_patient()[0], tags={0: False, **dict.fromkeys(visible, True)})


@pytest.mark.parametrize(
    ("tags", "rows"),
    [
        ({}, []),
        ({3: True}, [("a", "3", 1)]),
        ({3: True, 2: True, 4: False, 5: False, 7: False}, [("a", "2-3", 1), ("a", "4-5", 0), ("a", "7", 0)]),
    ],
)
def test_neighbours_of_one_kind_are_a_range(tags: dict[int, bool], rows: list[tuple[str, str, int]]) -> None:
    assert tag_rows("a", tags) == rows


def test_what_a_file_says_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "tags.csv"
    file.write_text("who;visible;slice;case\nme;1;2-3;x", encoding="utf-8")
    text = with_cases(file, {"a": {0: True}})
    assert text == "who;visible;slice;case\nme;1;2-3;x\n;1;0;a\n"
    file.write_text("case,slice\n", encoding="utf-8")
    with pytest.raises(SegToolkitError) as caught:
        with_cases(file, {"a": {0: True}})
    assert caught.value.code == "bad-tags"


def test_tags_join_a_data_set_with_their_cases(tmp_path: Path) -> None:
    add_cases(tmp_path / "set", ABOUT, [case("a", 1, 2), NewCase("b", made_patient()[0])])
    add_cases(tmp_path / "set", None, [case("c", 3)])
    dataset = Dataset.open(tmp_path / "set")
    assert tagged_cases(dataset.folder) == {"a", "c"}
    given = from_csv(dataset.folder / "tags.csv", dict.fromkeys(dataset.ids, 8))
    assert given["a"][:4] == [False, True, True, None]
    assert not any(given["b"])


@pytest.mark.parametrize("before", [True, False], ids=["append", "create"])
def test_an_addition_that_fails_leaves_the_tags_as_they_were(
    before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "set"
    if before:
        add_cases(folder, ABOUT, [case("a", 1)])
    file = folder / "tags.csv"
    known = file.read_bytes() if before else None
    write = nnunet_write.write_json

    def failing(path: Path, value: object) -> None:
        if Path(path).name == "dataset.json":
            # By now the tags are in place.
            assert b"c," in file.read_bytes()
            raise OSError(28, "No space left on device")
        write(path, value)

    monkeypatch.setattr(nnunet_write, "write_json", failing)
    with pytest.raises(SegToolkitError) as caught:
        add_cases(folder, ABOUT, [case("c", 2)])
    assert caught.value.code == "write-failed"
    assert (file.read_bytes() if file.exists() else None) == known
    monkeypatch.undo()
    # The same where the process was killed there: the next addition puts the tags back.
    monkeypatch.setattr(nnunet_write, "write_json", failing)
    monkeypatch.setattr(nnunet_write, "sweep", lambda _folder: None)
    with pytest.raises(SegToolkitError):
        add_cases(folder, ABOUT, [case("c", 2)])
    assert b"c," in file.read_bytes()
    monkeypatch.undo()
    add_cases(folder, ABOUT, [case("d", 4)])
    assert tagged_cases(folder) == ({"a", "d"} if before else {"d"})
    assert not list(folder.glob(".adding-*"))


@pytest.mark.parametrize(("slice_", "code"), [(8, "bad-tags"), (-1, "bad-tags")])
def test_tags_of_slices_that_there_are_not_are_refused(slice_: int, code: str, tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError) as caught:
        add_cases(tmp_path / "set", ABOUT, [NewCase("a", made_patient()[0], tags={slice_: True})])
    assert caught.value.code == code
    assert not (tmp_path / "set").exists()


def test_tags_of_no_data_set_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("case,slice,visible\nz,1,1\n", encoding="utf-8")
    with pytest.raises(SegToolkitError) as caught:
        add_cases(tmp_path, ABOUT, [case("a", 1)])
    assert caught.value.code == "tags-exist"
    assert not (tmp_path / "dataset.json").exists()
