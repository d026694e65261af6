"""The models at hand, adding one, and accepting its terms; needs no torch."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import Field

from SegToolkitLib.archive import extract, opened
from SegToolkitLib.automatic.timing import seconds_here
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.registry import METHODS, Recognises, automatic, automatic_of, service_of
from SegToolkitLib.models.card import CARD_FILE, ModelCard
from SegToolkitLib.models.licence import ensure_accepted
from SegToolkitLib.models.search import Entry
from SegToolkitLib.models.store import ModelStore
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import validated

CHECKPOINT_SUFFIXES = (".pth", ".pt")
LIMIT_BYTES = 4 << 30

# Of models that need more than a volume.
NOT_AUTOMATIC: dict[str, object] = {
    "automatic": False,
    "grid": "",
    "modes": [],
    "maps": {},
    "small": False,
    "memory_mb": None,
    "seconds_here": {},
}

# Of models of methods that take one image.
ONE_IMAGE: dict[str, object] = {"modalities": [], "thresholds": {}, "seeds": 1}

# Turns a checkpoint (a request of the method) into a model folder.
Importer = Callable[[Mapping[str, Any]], object]


@runtime_checkable
class _Describes(Protocol):
    """A service that says more of a model than all models have."""

    def describe(self, card: ModelCard) -> dict[str, object]:
        """Further fields of the answer; imports no torch."""
        ...


class _Request(Settings):
    id: str | int
    do: str
    method: str | None = None


class _Accept(_Request):
    model: str = Field(min_length=1)


class _Add(_Request):
    """``add_model``; of a checkpoint, ``method`` or ``automatic`` says whose it is.

    Attributes:
        modality, mean, std: of a few-shot checkpoint.
        options: of the method that takes the checkpoint in.
        automatic: the checkpoint is of a network that segments by itself.
    """

    path: str = Field(min_length=1)
    modality: Literal["MR", "CT"] | None = None
    mean: float | None = None
    std: float | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    automatic: bool = False
    replace: bool = False


def list_models(values: Mapping[str, Any]) -> dict[str, object]:
    """Answer ``models``: of one method, or of all; models that cannot be used say why."""
    method = _read(_Request, values).method
    store = ModelStore()
    entries = [e for e in store.list() if method is None or e.card is None or e.card.method == method]
    return {"models": [_described(entry) for entry in entries], "folder": str(store.user_folder)}


def _described(entry: Entry) -> dict[str, object]:
    basic: dict[str, object] = {
        "name": entry.name,
        "folder": str(entry.folder),
        "origin": entry.origin,
        "usable": entry.usable,
        "problem": entry.problem,
    }
    card = entry.card
    if card is None:
        empty = {"title": entry.name, "description": "", "method": "", "modality": "", "structures": []}
        terms = {"name": "", "summary": "", "permissive": False, "accepted": False}
        about = {
            "size_mb": 0.0,
            "metrics": {},
            "text": entry.problem,
            "labels": [],
            **NOT_AUTOMATIC,
            **ONE_IMAGE,
        }
        return {**basic, **empty, "licence": terms, **about}
    licence = card.licence
    return {
        **basic,
        "title": card.title,
        "description": card.description,
        "method": card.method,
        "modality": card.preprocessing.modality,
        "structures": [label.name for label in card.labels],
        "licence": {
            "name": licence.name,
            "summary": licence.summary,
            "url": licence.url,
            "permissive": licence.permissive,
            "accepted": _is_accepted(card),
        },
        "size_mb": round(card.weights.bytes / 1e6, 1) if card.weights else 0.0,
        "metrics": card.metrics,
        "text": card_as_text(card),
        "labels": [label.model_dump(mode="json") for label in card.labels],
        **_use(card),
    }


def _use(card: ModelCard) -> dict[str, object]:
    """How the model segments by itself and how long it takes here, or which images it needs together."""
    try:
        if card.method not in automatic():
            service = service_of(card.method) if card.method in METHODS else None
            known = {**NOT_AUTOMATIC, **ONE_IMAGE}
            return {**known, **service.describe(card)} if isinstance(service, _Describes) else known
        described = automatic_of(card.method).describe(card)
    except SegToolkitError as error:
        return {**NOT_AUTOMATIC, **ONE_IMAGE, "usable": False, "problem": error.message}
    return {"automatic": True, **ONE_IMAGE, **described, "seconds_here": seconds_here(card)}


def _is_accepted(card: ModelCard) -> bool:
    try:
        ensure_accepted(card)
    except SegToolkitError:
        return False
    return True


def card_as_text(card: ModelCard) -> str:
    """What a person wants to know of a model, in lines."""
    licence, prepared = card.licence, card.preprocessing
    spacing = " x ".join("any" if s is None else f"{s:g}" for s in prepared.spacing)
    grid = str(_use(card)["grid"]) or f"voxels of {spacing} mm"
    lines = [
        card.title,
        card.description,
        "",
        f"Method: {card.method}",
        f"Modality: {prepared.modality}; {grid}",
    ]
    if card.labels:
        lines.append(f"Structures: {', '.join(label.name for label in card.labels)}")
    for data in card.trained_on:
        count = data.count or len(data.cases)
        number = f", {count} volume{'s' * (count != 1)}" if count else ""
        terms = f", {data.licence}" if data.licence else ""
        lines.append(f"Trained on: {data.dataset}{number}{terms}")
        if data.citation:
            lines.append(f"  {data.citation}")
    lines += [f"Licence: {licence.name}", *([f"  {licence.summary}"] if licence.summary else [])]
    lines += [f"  {licence.url}"] if licence.url else []
    lines.append(f"Limits: {card.limits}")
    if card.weights:
        lines.append(f"Size: {card.weights.bytes / 1e6:.1f} MB ({card.weights.dtype})")
    return "\n".join(line for number, line in enumerate(lines) if line or number == 2)


def accept_licence(values: Mapping[str, Any]) -> dict[str, object]:
    """Answer ``accept_licence``: remember that the person accepts a model's terms.

    Returns:
        Whether it could be written down; if not, requests have to carry ``accept_licence``.
    """
    card = ModelStore().find(_read(_Accept, values).model).card
    assert card is not None  # find returns usable models only
    ensure_accepted(card, accept=True)
    return {"remembered": _is_accepted(card)}


def add_model(values: Mapping[str, Any], import_checkpoint: Importer) -> dict[str, object]:
    """Answer ``add_model``: a model's folder, a zip of one, or a checkpoint of the authors' code.

    Raises:
        SegToolkitError: "missing-file", "modality-needed" (a checkpoint does not say it), or what the
            store, the archive or the importer raises.
    """
    request = _read(_Add, values)
    path = Path(request.path)
    if not path.exists():
        raise SegToolkitError("missing-file", f"{path} does not exist.", "Check the path.")
    store = ModelStore()
    if path.is_dir() or path.name == CARD_FILE:
        return _added(store, path if path.is_dir() else path.parent, request.replace)
    with tempfile.TemporaryDirectory(prefix="segtoolkit-", ignore_cleanup_errors=True) as name:
        folder = Path(name) / "model"
        if path.suffix.lower() in CHECKPOINT_SUFFIXES:
            import_checkpoint(_order(request, path, folder))
        elif zipfile.is_zipfile(path):
            _unpack(path, folder)
        else:
            raise SegToolkitError(
                "not-a-model",
                f"{path} is neither a model's folder, nor a zip of one, nor a checkpoint (.pth, .pt).",
                "Choose one of these.",
            )
        return _added(store, folder, request.replace)


def _order(request: _Add, path: Path, folder: Path) -> dict[str, Any]:
    """What a method is asked for, so that it makes a model's folder of a checkpoint."""
    own = {"id": request.id, "do": "import_checkpoint", "path": str(path), "out": str(folder)}
    method = request.method
    if method is None and request.automatic:
        method = _importer_of(path)
        if method is None:
            raise SegToolkitError(
                "not-a-model",
                f"No method can take in the checkpoint {path.name}.",
                "Choose a model's folder.",
            )
    if method in automatic():
        return {**request.options, **own, "method": method}
    if request.modality is None:
        raise SegToolkitError(
            "modality-needed",
            f"{path.name} is a checkpoint, which does not say what it was trained on.",
            "Choose MR or CT (for CT with the mean and the deviation of the training scans).",
        )
    numbers = {"modality": request.modality, "mean": request.mean, "std": request.std}
    return {**own, **numbers, "method": method}


def _importer_of(path: Path) -> str | None:
    """The automatic method that knows a checkpoint, else the first that takes what it cannot tell."""
    services = {name: service_of(name) for name in automatic()}
    able = {name: one for name, one in services.items() if "import_checkpoint" in one.verbs}
    known = [name for name, one in able.items() if isinstance(one, Recognises) and one.recognises(path)]
    others = [name for name, one in able.items() if not isinstance(one, Recognises)]
    return next(iter(known + others), None)


def _added(store: ModelStore, folder: Path, replace: bool) -> dict[str, object]:
    entry = store.add(folder, replace)
    return {"name": entry.name, "folder": str(entry.folder)}


def _unpack(path: Path, folder: Path) -> None:
    """Card and weights of the one model in an archive, wherever in it they lie."""
    with opened(path, LIMIT_BYTES) as archive:
        names = [PurePosixPath(name) for name in archive.namelist() if not name.startswith("__MACOSX")]
        cards = [name for name in names if name.name == CARD_FILE]
        if len(cards) != 1:
            raise SegToolkitError(
                "no-model",
                f"{path} holds {len(cards)} files {CARD_FILE}; exactly one is needed.",
                "Choose a zip of one model's folder.",
            )
        inside = [n for n in names if n.parent == cards[0].parent and n.suffix == ".safetensors"]
        try:
            for name in [cards[0], *inside]:
                extract(archive, str(name), folder / name.name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _read(kind: type[Any], values: Mapping[str, Any]) -> Any:
    try:
        return validated(kind, values, f"The request {values.get('do')!r}")
    except SegToolkitError as error:
        raise SegToolkitError("bad-request", error.message, error.hint) from error
