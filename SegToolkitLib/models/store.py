"""Models by name, and the person's own collection of them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import replace as changed
from pathlib import Path

from safetensors import SafetensorError, deserialize

import SegToolkitLib
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.card import CARD_FILE, read_card
from SegToolkitLib.models.files import REMAKE, check_presence, install, read_weights
from SegToolkitLib.models.search import Entry, models_found, shipped_folders
from SegToolkitLib.models.search import user_folder as default_folder

Entries = list[Entry]
IN_RUN = Path("result", "model")


class ModelStore:
    """Models of $SEGTOOLKIT_MODELS, then the person's own, then the shipped ones.

    The first usable model of a name counts.

    Args:
        user_folder: the person's own models; None takes ``models`` in the home folder.
    """

    def __init__(self, user_folder: str | os.PathLike[str] | None = None) -> None:
        self.user_folder = Path(user_folder) if user_folder is not None else default_folder()

    def list(self) -> Entries:
        """All models in the order of the search; a later one of a taken name says so in ``problem``."""
        taken: dict[str, Path] = {}
        entries = []
        for entry in models_found(self.user_folder):
            if entry.usable and entry.name in taken:
                first = taken[entry.name]
                entry = changed(entry, problem=f"Hidden by the model of the same name in {first}.")
            elif entry.usable:
                taken[entry.name] = entry.folder
            entries.append(entry)
        return entries

    def find(self, name_or_path: str | os.PathLike[str]) -> Entry:
        """A usable model, by its name or by the path of its folder, its card or the run that made it.

        Raises:
            SegToolkitError: "unknown-model" (with the nearest name and the list), "bad-model" (there is
                one of that name, and why it cannot be used), or what is wrong with that path.
        """
        entries = self.list()
        named = [entry for entry in entries if entry.name == name_or_path]
        usable = [entry for entry in named if entry.usable]
        if usable:
            return usable[0]
        path = Path(name_or_path)
        path = path.parent if path.name == CARD_FILE else path
        # A finished run stands for its model.
        if (path / IN_RUN / CARD_FILE).is_file() and not (path / CARD_FILE).is_file():
            path = path / IN_RUN
        if (path / CARD_FILE).is_file() or _is_path(name_or_path):
            card = read_card(path)
            check_presence(path, card)
            return Entry(card.name, path, "path", card)
        if named:
            text = f"The model {named[0].name} cannot be used: {named[0].problem}"
            raise SegToolkitError("bad-model", text, REMAKE)
        raise _unknown(str(name_or_path), (entry.name for entry in entries if entry.usable))

    def add(self, folder: str | os.PathLike[str], replace: bool = False) -> Entry:
        """Copy a model into the person's folder, after checking its card and its weights' SHA-256.

        Only the card and the weights are copied.

        Args:
            folder: of the model.
            replace: replace a model of that name in the person's folder.

        Raises:
            SegToolkitError: "no-model", "bad-model-card", "bad-weights", "model-exists", "install-tree",
                "write-failed".
        """
        self._refuse_install_tree()
        card = read_card(folder)
        content = read_weights(folder, card)
        try:
            deserialize(content)
        except SafetensorError as error:
            text = f"The weights in {folder} are not a safetensors file ({error})."
            raise SegToolkitError("bad-weights", text, REMAKE) from error
        target = self.user_folder / card.name
        if (target / CARD_FILE).exists() and not replace:
            raise SegToolkitError(
                "model-exists",
                f"There is already a model {card.name} in {self.user_folder}.",
                "Remove it first, or ask to replace it.",
            )
        assert card.weights is not None  # read_card saw to it
        return Entry(card.name, target, "user", install(target, card, content, card.weights.dtype))

    def remove(self, name: str) -> None:
        """Delete a model's card and weights from the person's folder, and its folder if that is then empty.

        Raises:
            SegToolkitError: "unknown-model", "not-removable" (it is elsewhere), "install-tree",
                "write-failed".
        """
        self._refuse_install_tree()
        entries = self.list()
        own = [entry for entry in entries if entry.origin == "user"]
        chosen = [entry for entry in own if entry.name == name]
        elsewhere = [entry.folder for entry in entries if entry.name == name and entry.origin != "user"]
        if not chosen and elsewhere:
            raise SegToolkitError(
                "not-removable",
                f"The model {name} is in {elsewhere[0]}, not among your own models ({self.user_folder}).",
                "Only models that were added can be removed.",
            )
        if not chosen:
            raise _unknown(name, (entry.name for entry in own))
        try:
            for entry in chosen:
                _delete(entry.folder)
        except OSError as error:
            text = f"{error.filename} could not be deleted: {error.strerror}."
            raise SegToolkitError("write-failed", text, "Check its permissions.") from error

    def _refuse_install_tree(self) -> None:
        own = self.user_folder.resolve()
        for tree in (*shipped_folders(), Path(SegToolkitLib.__file__).parent):
            if own.is_relative_to(tree.resolve()):
                raise SegToolkitError(
                    "install-tree",
                    f"{self.user_folder} belongs to the installed library, which stays as it is.",
                    "Choose a folder of your own for models.",
                )


def _is_path(text: str | os.PathLike[str]) -> bool:
    return not isinstance(text, str) or "/" in text or os.sep in text


def _unknown(name: str, known: Iterable[str]) -> SegToolkitError:
    names = sorted(set(known))
    if not names:
        return SegToolkitError(
            "unknown-model", f"There is no model {name!r}; there are none.", "Add one first."
        )
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    return SegToolkitError(
        "unknown-model",
        f"There is no model {name!r}; there are {', '.join(names)}.",
        f"Did you mean {near[0]!r}?" if near else "Give one of these names, or the path of a model's folder.",
    )


def _delete(folder: Path) -> None:
    """Delete the card first, so that what is left after an interruption is no model any more."""
    if folder.is_symlink():
        folder.unlink()
        return
    (folder / CARD_FILE).unlink(missing_ok=True)
    for weights in folder.glob("*.safetensors"):
        weights.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
