"""Cases in which nobody looked for a structure: they neither teach that it is background nor measure it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dataset_cases import case
from SegToolkitLib.automatic.tested import OpenedModel, cases_to_test
from SegToolkitLib.dataset import Dataset, DatasetDescription
from SegToolkitLib.dataset.classes import not_looked_for
from SegToolkitLib.dataset.labelled import roles_of, tell_roles
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.dataset.roles import sides_of
from SegToolkitLib.dataset.splits import Split, make_splits
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.nnunet.settings import DataSettings as NnunetData
from SegToolkitLib.methods.pdcr_uafr.settings import DataSettings
from SegToolkitLib.models.card import Label, Licence, ModelCard, Preprocessing, Training
from small_runs import Heard

BOTH, LIVER = tuple("0345"), tuple("12")
MR = DatasetDescription(name="made", modality="MR", labels={"background": 0})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Six labelled cases, of which two name the liver alone, and one without a label."""
    folder = tmp_path_factory.mktemp("livers")
    labelled = [
        case(id, int(id), liver=1, **({"spleen": 2} if id in BOTH else {})) for id in sorted(BOTH + LIVER)
    ]
    add_cases(folder, MR, [*labelled, case("6", 6)])
    return Dataset.open(folder)


def test_what_was_not_looked_for_is_told_by_the_names_of_the_labels(dataset: Dataset) -> None:
    assert not_looked_for(dataset, "1") == ["spleen"]
    assert not_looked_for(dataset, "1", {1}) == []
    assert not_looked_for(dataset, "0") == []
    facts = dataset.description.model_copy(update={"not_annotated": {"0": ["SPLEEN ", "gone"]}})
    assert not_looked_for(Dataset(facts, dataset.folder, dataset.listing), "0") == ["spleen"]


def test_they_are_on_neither_side_of_a_fold(dataset: Dataset) -> None:
    split = Split(tuple("0136"), tuple("245"))
    sides = sides_of(dataset, split, None, "data.fold")
    assert (sides.labelled, sides.unlabelled, sides.held_out) == (("0", "3"), ("6",), ("4", "5"))
    assert (sides.incomplete, sides.incomplete_held_out) == (("1",), ("2",))
    # Who learns the liver alone can use them.
    sides = sides_of(dataset, split, None, "data.fold", {1})
    assert (sides.labelled, sides.held_out) == (("0", "1", "3"), ("2", "4", "5"))
    assert sides.incomplete == sides.incomplete_held_out == ()


def test_a_training_side_of_nothing_else_is_told(dataset: Dataset) -> None:
    with pytest.raises(
        SegToolkitError, match="all structures were looked for; in 1, spleen was not"
    ) as refused:
        sides_of(dataset, Split(("1", "6"), ("0",)), None, "data.fold")
    assert refused.value.code == "no-labels"


@pytest.mark.parametrize("settings", [DataSettings(fold=0), NnunetData(fold=0)], ids=["pdcr_uafr", "nnunet"])
def test_a_run_that_learns_from_labels_leaves_them_out_and_says_so(dataset: Dataset, settings: Any) -> None:
    roles = roles_of(dataset, settings, 0)
    assert sorted((*roles.train, *roles.held_out)) == list(BOTH)
    assert set(roles.incomplete) == set(LIVER)
    heard = Heard()
    tell_roles(roles, True, heard)
    assert any("2 case(s) are left out, because not all structures" in text for text in heard.warnings)


def test_a_run_that_learns_other_structures_takes_them(dataset: Dataset) -> None:
    roles = roles_of(dataset, DataSettings(fold=0, classes={1: 1}), 0)
    assert sorted((*roles.train, *roles.held_out)) == sorted(BOTH + LIVER)
    assert roles.incomplete == ()


def opened(*names: str, **data: Any) -> OpenedModel:
    card = ModelCard(
        name="tiny",
        title="tiny",
        method="cssn",
        labels=[Label(value=value, name=name) for value, name in enumerate(names, start=1)],
        preprocessing=Preprocessing(modality="MR"),
        licence=Licence(name="CC BY 4.0", permissive=True),
        training=Training(settings={"data": {"fold": 0, **data}}),
    )
    return OpenedModel(Path("tiny"), card, 0)


def _held_out(dataset: Dataset, model: OpenedModel) -> Sequence[str]:
    return make_splits(dataset, 2)[0].val


@pytest.mark.parametrize(
    ("names", "data", "tested"),
    [
        (("liver", "spleen"), {}, BOTH),
        (("Liver",), {}, BOTH + LIVER),
        (("liver", "left kidney"), {}, BOTH + LIVER),
        (("liver + spleen",), {}, BOTH),
        (("object",), {"structures": ["spleen"]}, BOTH),
        (("object",), {"structures": None}, BOTH),
        (("spleen",), {}, BOTH),
    ],
    ids=lambda value: str(value),
)
def test_they_do_not_measure_what_was_not_looked_for(
    dataset: Dataset, names: tuple[str, ...], data: Any, tested: tuple[str, ...]
) -> None:
    heard, which = Heard(), "0,1,2,3,4,5"
    found = cases_to_test(dataset, opened(*names, **data), which, _held_out, reporter=heard)
    assert [one.id for one in found] == sorted(tested)
    told = [
        "2 case(s) are not tested, because nobody looked for all structures of tiny in them: 1 (spleen), 2."
    ]
    assert heard.warnings == ([] if len(tested) == 6 else told)


def test_the_held_out_ones_are_not_measured_either_and_without_a_reporter_stderr_says_so(
    dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    held = set(_held_out(dataset, opened()))
    assert held & set(LIVER)
    found = cases_to_test(dataset, opened("liver", "spleen"), "held-out", _held_out)
    assert {one.id for one in found} == held - set(LIVER)
    assert "nobody looked for all structures of tiny" in capsys.readouterr().err


def test_where_no_other_case_is_left_there_is_nothing_to_test(dataset: Dataset) -> None:
    with pytest.raises(SegToolkitError, match="no completely labelled case") as refused:
        cases_to_test(dataset, opened("liver", "spleen"), "1,2", _held_out, reporter=Heard())
    assert refused.value.code == "no-cases"
