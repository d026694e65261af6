"""Models by name, and the person's collection."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import SegToolkitLib.models.search as search
import SegToolkitLib.models.store as store_module
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.folder import load_state, save_model
from SegToolkitLib.models.store import ModelStore
from test_models_card import make_card


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and an installation of their own, so that no test sees or touches the real ones."""
    home, shipped = tmp_path / "home", tmp_path / "installed" / "Resources" / "Models"
    shipped.mkdir(parents=True)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.delenv("SEGTOOLKIT_MODELS", raising=False)
    for module in (search, store_module):
        monkeypatch.setattr(module, "shipped_folders", lambda: [shipped, tmp_path / "not there"])
    return home


def a_model(folder: Path, value: float = 1.0, **changes: object) -> Path:
    save_model(folder, make_card(**changes), {"w": torch.full((2,), value)})
    return folder


def shipped(home: Path) -> Path:
    return home.parent / "installed" / "Resources" / "Models"


def test_the_shipped_folders_lie_beside_the_library() -> None:
    root = Path(__file__).parents[2]
    assert search.shipped_folders() == [root / "Resources" / "Models", root / "SegToolkitModels"]


def test_nothing_is_listed_and_nothing_made_in_a_fresh_home(home: Path) -> None:
    assert ModelStore().list() == []
    assert not home.exists()


def test_environment_comes_before_user_and_user_before_shipped(
    home: Path, tmp_path: Path, monkeypatch
) -> None:
    places = {
        "environment": tmp_path / "a" / "toy",
        "user": home / ".SegToolkit" / "models" / "toy",
        "shipped": shipped(home) / "toy",
    }
    for folder in places.values():
        a_model(folder)
    monkeypatch.setenv(
        "SEGTOOLKIT_MODELS", os.pathsep.join([str(tmp_path / "a"), "", str(tmp_path / "typo")])
    )
    store = ModelStore()
    for origin, folder in places.items():
        found = store.find("toy")
        assert (found.origin, found.folder) == (origin, folder)
        hidden = [entry for entry in store.list() if "Hidden by" in entry.problem]
        assert all(str(folder) in entry.problem for entry in hidden)
        (folder / "model.json").unlink()
        (folder / "weights.safetensors").unlink()
    [typo] = store.list()
    assert "which is no folder" in typo.problem


def test_an_unusable_model_is_listed_with_the_reason(home: Path) -> None:
    a_model(shipped(home) / "fine", name="fine")
    a_model(shipped(home) / "cut", name="cut")
    (shipped(home) / "cut" / "weights.safetensors").write_bytes(b"short")
    a_model(shipped(home) / "halfway")
    (shipped(home) / "halfway" / "model.json").unlink()
    a_model(shipped(home) / "garbled")
    (shipped(home) / "garbled" / "model.json").write_text("{}")
    (shipped(home) / "unrelated").mkdir()
    problems = {entry.name: entry.problem for entry in ModelStore().list()}
    assert problems.keys() == {"fine", "cut", "halfway", "garbled"}
    assert problems["fine"] == ""
    assert "its card says" in problems["cut"]
    assert "holds no model.json" in problems["halfway"]
    assert "'name' is missing" in problems["garbled"]
    with pytest.raises(SegToolkitError, match=r"cut cannot be used: .*its card says"):
        ModelStore().find("cut")


def test_an_unusable_model_does_not_hide_a_usable_one(home: Path) -> None:
    own = a_model(home / ".SegToolkit" / "models" / "toy")
    (own / "weights.safetensors").unlink()
    a_model(shipped(home) / "toy")
    assert ModelStore().find("toy").origin == "shipped"


def test_a_model_is_found_by_its_path(home: Path, tmp_path: Path, monkeypatch) -> None:
    folder = a_model(tmp_path / "somewhere" / "renamed")
    for given in (folder, str(folder), folder / "model.json"):
        found = ModelStore().find(given)
        assert (found.name, found.folder, found.origin) == ("toy", folder, "path")
    monkeypatch.chdir(folder.parent)
    assert ModelStore().find("renamed").folder == Path("renamed")
    with pytest.raises(SegToolkitError, match=r"holds no model\.json"):
        ModelStore().find(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("asked", "hint"), [("alpnet-compct-mr", "'alpnet-compact-mr'"), ("xyzzy", "one of these names")]
)
def test_an_unknown_name_gets_the_nearest_and_the_list(home: Path, asked: str, hint: str) -> None:
    for name in ("alpnet-compact-mr", "cssn-la"):
        a_model(shipped(home) / name, name=name)
    with pytest.raises(SegToolkitError) as caught:
        ModelStore().find(asked)
    assert caught.value.code == "unknown-model"
    assert "alpnet-compact-mr, cssn-la" in caught.value.message
    assert hint in caught.value.hint


def test_a_finished_run_stands_for_its_model(home: Path, tmp_path: Path) -> None:
    model = a_model(tmp_path / "run" / "result" / "model")
    assert ModelStore().find(tmp_path / "run").folder == model


def test_an_added_model_is_a_copy_of_card_and_weights_only(home: Path, tmp_path: Path) -> None:
    source = a_model(tmp_path / "download", 3.0)
    (source / "setup.exe").write_text("no")
    added = ModelStore().add(source)
    assert added.folder == home / ".SegToolkit" / "models" / "toy"
    assert sorted(path.name for path in added.folder.iterdir()) == ["model.json", "weights.safetensors"]
    assert torch.equal(load_state(ModelStore().find("toy").folder)["w"], torch.full((2,), 3.0))


def test_a_name_that_is_taken_is_replaced_only_on_demand(home: Path, tmp_path: Path) -> None:
    store = ModelStore()
    store.add(a_model(tmp_path / "one", 1.0))
    other = a_model(tmp_path / "two", 2.0)
    with pytest.raises(SegToolkitError, match="already a model toy"):
        store.add(other)
    assert load_state(store.find("toy").folder)["w"][0] == 1
    store.add(other, replace=True)
    assert load_state(store.find("toy").folder)["w"][0] == 2


def test_a_damaged_model_is_not_added(home: Path, tmp_path: Path) -> None:
    source = a_model(tmp_path / "download")
    content = bytearray((source / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (source / "weights.safetensors").write_bytes(content)
    with pytest.raises(SegToolkitError, match="another SHA-256"):
        ModelStore().add(source)
    assert not home.exists()


def test_only_own_models_are_removed(home: Path, tmp_path: Path) -> None:
    store = ModelStore()
    a_model(shipped(home) / "given", name="given")
    added = store.add(a_model(tmp_path / "one"))
    (added.folder / "notes.txt").write_text("mine")
    with pytest.raises(SegToolkitError) as caught:
        store.remove("given")
    assert caught.value.code == "not-removable"
    with pytest.raises(SegToolkitError, match="no model 'tyo'") as caught:
        store.remove("tyo")
    assert "'toy'" in caught.value.hint
    store.remove("toy")
    assert [entry.name for entry in store.list()] == ["given"]
    assert [path.name for path in added.folder.iterdir()] == ["notes.txt"]


def test_removing_a_linked_model_keeps_what_it_links_to(home: Path, tmp_path: Path) -> None:
    target = a_model(tmp_path / "one")
    own = home / ".SegToolkit" / "models"
    own.mkdir(parents=True)
    (own / "toy").symlink_to(target)
    ModelStore().remove("toy")
    assert not (own / "toy").exists()
    assert (target / "model.json").exists()


@pytest.mark.parametrize("below", ["", "mine"])
def test_the_install_tree_is_never_written(home: Path, tmp_path: Path, below: str) -> None:
    a_model(shipped(home) / below / "given", name="given")
    before = sorted(shipped(home).rglob("*"))
    store = ModelStore(shipped(home) / below)
    for action in (lambda: store.add(a_model(tmp_path / "one")), lambda: store.remove("given")):
        with pytest.raises(SegToolkitError) as caught:
            action()
        assert caught.value.code == "install-tree"
    assert sorted(shipped(home).rglob("*")) == before
