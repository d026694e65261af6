"""Models that are trained further: what their start has seen, and its terms, go with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cooperative_runs
import pdcr_runs
from cooperative_cases import made_dataset
from SegToolkitLib.automatic.begun import JOINT, Begun, is_share_alike
from SegToolkitLib.automatic.tested import OpenedModel, cases_to_test
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cooperative.checkpoints import export_authors
from SegToolkitLib.methods.pdcr_uafr.tested_cases import held_out
from SegToolkitLib.models.card import CARD_FILE, Licence, TrainedOn, read_card
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.validation import read_json

pytestmark = pytest.mark.usefixtures("one_thread")

FREE = Licence(name="CC0 1.0", permissive=True)
OPEN = Licence(name="CC BY 4.0", permissive=True)
SHARED = Licence(name="CC BY-SA 4.0", permissive=True, url="https://example.org/sa")
CLOSED = Licence(name="CC BY-NC 4.0", permissive=False, summary="No commerce.")


def begun(licence: Licence) -> Begun:
    return Begun("start", (TrainedOn(dataset="hearts", cases=["1_ED"], count=1),), licence)


def relicensed(model: Path, licence: Licence) -> None:
    """The model under another licence."""
    from SegToolkitLib.atomic import write_json

    values = read_json(model / CARD_FILE)
    write_json(model / CARD_FILE, {**values, "licence": licence.model_dump()})


@pytest.mark.parametrize(
    ("own", "start", "name", "permissive", "told"),
    [
        (FREE, FREE, "CC0 1.0", True, ""),
        (FREE, OPEN, "CC0 1.0 + CC BY 4.0", True, "begun with the weights of start, under CC BY 4.0"),
        (FREE, SHARED, "CC0 1.0 + CC BY-SA 4.0", True, "is share-alike"),
        (FREE, CLOSED, "CC0 1.0 + CC BY-NC 4.0", False, "No commerce. That licence is not permissive"),
        (CLOSED, FREE, "CC BY-NC 4.0 + CC0 1.0", False, "No commerce. It was begun"),
        (FREE, FREE.model_copy(update={"permissive": False}), "CC0 1.0", False, ""),
    ],
)
def test_the_terms_of_a_start_hold_for_the_new_model(
    own: Licence, start: Licence, name: str, permissive: bool, told: str
) -> None:
    found = begun(start).joined(own)
    assert (found.name, found.permissive) == (name, permissive)
    assert told in found.summary
    assert begun(found).joined(own) == found.model_copy(update={"summary": own.summary, "url": own.url}) or (
        begun(found).joined(own).name.count(JOINT) == found.name.count(JOINT)
    ), "a licence is named once, however often its weights are trained further"
    assert Begun().joined(own) == own


@pytest.mark.parametrize(
    ("name", "share_alike"),
    [
        ("CC BY-NC-SA 4.0", True),
        ("CC BY-SA 3.0", True),
        ("GPL-3.0", True),
        ("ODbL 1.0", True),
        ("CC BY 4.0", False),
        ("USA data", False),
        ("MIT", False),
    ],
)
def test_share_alike_is_told_by_the_name(name: str, share_alike: bool) -> None:
    assert is_share_alike(Licence(name=name, permissive=True)) is share_alike


@pytest.mark.parametrize(
    ("licence", "warned"),
    [(SHARED, "share-alike"), (CLOSED, "not permissive"), (OPEN, ""), (FREE, "")],
)
def test_terms_that_bind_are_told_at_the_start(tmp_path: Path, licence: Licence, warned: str) -> None:
    heard = pdcr_runs.Heard()
    begun(licence).tell(FREE, made_dataset(tmp_path / "hearts"), [], heard)
    assert [warned in text for text in heard.warnings] == [True] * bool(warned)


def test_a_run_remembers_what_it_began_with() -> None:
    kept = begun(SHARED).kept()
    assert Begun.of_run(kept) == begun(SHARED)
    assert Begun.of_run({"begun_with": kept["begun_with"]}).licence is None, (
        "a run from before terms were kept"
    )
    assert Begun.of_run({}) == Begun()


METHODS: dict[str, tuple[Any, Callable[[Path], Dataset]]] = {
    "cooperative": (cooperative_runs, made_dataset),
    "pdcr_uafr": (pdcr_runs, pdcr_runs.made_pictures),
}


@pytest.mark.parametrize("method", METHODS)
def test_what_a_start_has_seen_and_its_terms_are_in_the_new_card(tmp_path: Path, method: str) -> None:
    runs, made = METHODS[method]
    dataset = made(tmp_path / "data")
    first = runs.trained(dataset, tmp_path / "first", runs.tiny("optimiser.epochs=1", "data.fold=0"))
    relicensed(first, CLOSED)
    heard = pdcr_runs.Heard()
    other = runs.tiny("optimiser.epochs=1", "data.fold=1")
    model = runs.trained(dataset, tmp_path / "second", other, heard, start=tmp_path / "first")
    card, (before,) = read_card(model), read_card(first).trained_on
    assert card.trained_on[1:] == [before]
    assert not card.licence.permissive
    assert CLOSED.name in card.licence.name
    told = " ".join(heard.warnings)
    assert "begin with were trained on" in told
    assert "CC BY-NC 4.0, which is not permissive" in told
    with pytest.raises(SegToolkitError) as caught:
        cases_to_test(dataset, OpenedModel(model, card, 1), before.cases[0], held_out)
    assert caught.value.code == "trained-on-test"


def test_a_resumed_run_has_not_forgotten_its_start(tmp_path: Path) -> None:
    dataset = pdcr_runs.made_pictures(tmp_path / "data")
    first = pdcr_runs.trained(
        dataset, tmp_path / "first", pdcr_runs.tiny("optimiser.epochs=1", "data.fold=0")
    )
    relicensed(first, CLOSED)
    settings, run = pdcr_runs.tiny("data.fold=1"), tmp_path / "second"
    pdcr_runs.trained(dataset, run, settings, start=first)
    for path in (run / "checkpoints").iterdir():
        if "00000002" not in path.name:
            path.unlink()
    card = read_card(pdcr_runs.trained(dataset, run, settings, resume="must"))
    assert len(card.trained_on) == 2
    assert CLOSED.name in card.licence.name


def test_nobody_knows_the_terms_of_the_authors_files(tmp_path: Path) -> None:
    runs, dataset = cooperative_runs, made_dataset(tmp_path / "data")
    licence = {"name": "CC0 1.0", "permissive": True}
    free = dataset.description.model_copy(update={"licence": Licence.model_validate(licence)})
    free.save(tmp_path / "data" / "dataset.json")
    first = runs.trained(Dataset.open(tmp_path / "data"), tmp_path / "first", runs.tiny("optimiser.epochs=1"))
    assert read_card(first).licence.permissive
    export_authors(first, tmp_path / "five")
    heard = pdcr_runs.Heard()
    settings = runs.tiny("optimiser.epochs=1", "seed=9")
    model = runs.trained(
        Dataset.open(tmp_path / "data"), tmp_path / "second", settings, heard, start=tmp_path / "five"
    )
    assert read_card(model).licence.name == "CC0 1.0 + not stated"
    assert not read_card(model).licence.permissive
    assert any("not permissive" in text for text in heard.warnings)
    assert RunFolder(tmp_path / "second").settings()["data"]["begun_name"] == "five"
