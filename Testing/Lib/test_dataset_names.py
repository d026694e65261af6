"""Names of cases in a data set that come from their images, and tags of cases that are not there."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from cmer_runs import NAMES, made_patient
from SegToolkitLib.cli import main
from SegToolkitLib.dataset import nnunet_write
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.dataset.new_cases import NewCase, without_channel
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.tags import from_csv
from SegToolkitLib.volume import write_volume
from SegToolkitLib.worker.dataset_answers import dataset_add, dataset_check

ABOUT = DatasetDescription(name="tags", modality="MR", labels={"background": 0})


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("images")
    for name, volume in zip(NAMES, made_patient(), strict=False):
        write_volume(volume, folder / f"anna_{name}.nii.gz")
    return {name: str(folder / f"anna_{name}.nii.gz") for name in NAMES}


@pytest.mark.parametrize(
    ("id", "taken", "expected"),
    [
        ("anna_FLAIR", (), "anna"),
        ("anna.flair", (), "anna"),
        ("T1c-anna_2", (), "anna_2"),
        ("anna_T1_map", (), "anna"),
        ("anna_FLAIR", ("Anna",), "anna_FLAIR"),
        ("annaFLAIR", (), "annaFLAIR"),
        ("FLAIR", (), "FLAIR"),
        ("anna_FLAIR_2", (), "anna_FLAIR_2"),
    ],
)
def test_a_case_is_not_called_after_one_of_its_images(id: str, taken: tuple[str, ...], expected: str) -> None:
    assert without_channel(id, ["FLAIR", "T1c", "T1 map"], taken) == expected


def test_cases_of_a_window_leave_their_modality_out_where_the_name_is_free(
    images: dict[str, str], tmp_path: Path
) -> None:
    def add(*cases: str, append: bool = True) -> Any:
        items = [{"case": case, "images": images} for case in cases]
        request = {"folder": str(tmp_path / "set"), "modality": "MR", "items": items, "append": append}
        return dataset_add(request, Reporter())["cases"]

    assert add("anna_T2", "bert_ADC", "bert_T2", append=False) == ["anna", "bert", "bert_T2"]
    assert add("anna_T2") == ["anna_T2"]
    with pytest.raises(SegToolkitError) as caught:
        add("anna_T2")
    assert caught.value.code == "case-exists"


def test_cases_of_files_leave_their_channel_out_unless_they_are_named(
    images: dict[str, str], tmp_path: Path
) -> None:
    words = ["--image", f"T2={images['T2']}", "--channel", f"ADC={images['ADC']}"]
    assert main(["dataset", "create", str(tmp_path / "set"), "--modality", "MR", *words]) == 0
    assert main(["dataset", "add", str(tmp_path / "set"), *words, "--name", "bert_T2"]) == 0
    assert Dataset.open(tmp_path / "set").ids == ["anna", "bert_T2"]


@pytest.mark.skipif(os.name != "posix", reason="needs fork")
def test_tags_of_an_addition_that_was_killed_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "set"
    add_cases(folder, ABOUT, [NewCase("a", made_patient()[0], tags={0: True})])
    child = os.fork()
    if child == 0:
        write = nnunet_write.write_json

        def killed(path: Path, value: object) -> None:
            if Path(path).name == "dataset.json":
                os.kill(os.getpid(), signal.SIGKILL)
            write(path, value)

        monkeypatch.setattr(nnunet_write, "write_json", killed)
        add_cases(folder, None, [NewCase("b", made_patient()[0], tags={1: False})])
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert "b,1,0" in (folder / "tags.csv").read_text(encoding="utf-8")
    assert from_csv(folder / "tags.csv", {"a": 8})["a"][:2] == [True, None]
    told = dataset_check({"path": str(folder)}, Reporter())
    assert told["tagged"] == 1
    assert "bad-tags" not in [one["code"] for one in told["problems"]]  # type: ignore[attr-defined]
    # Another file of tags is a person's own, and is read to the letter.
    (folder / "mine.csv").write_text("case,slice,visible\nb,1,0\n", encoding="utf-8")
    with pytest.raises(SegToolkitError):
        from_csv(folder / "mine.csv", {"a": 8})
    add_cases(folder, None, [NewCase("c", made_patient()[0])])
    assert "b," not in (folder / "tags.csv").read_text(encoding="utf-8")


def test_the_check_names_tags_of_cases_that_there_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    add_cases(folder, ABOUT, [NewCase("a", made_patient()[0], tags={0: True})])
    with (folder / "tags.csv").open("a", encoding="utf-8") as file:
        file.write("ghost,1,1\n")
    problems = dataset_check({"path": str(folder)}, Reporter())["problems"]
    told = [one["text"] for one in problems if one["code"] == "bad-tags"]  # type: ignore[attr-defined]
    assert len(told) == 1
    assert "ghost" in told[0]
