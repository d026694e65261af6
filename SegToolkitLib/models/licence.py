"""Terms that are shown, and accepted once, before a model is first used."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_json
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.home import home_folder
from SegToolkitLib.models.card import ModelCard


def default_record() -> Path:
    """File that remembers which licences this person has accepted."""
    return home_folder() / "accepted-licences.json"


def ensure_accepted(
    card: ModelCard,
    *,
    accept: bool = False,
    ask: Callable[[str], bool] | None = None,
    record: Path | None = None,
) -> None:
    """Return if the model's terms are permissive or accepted; otherwise ask, or stop.

    An acceptance holds for this model, these terms and these weights: if any of them changes, the
    question comes again. If the record cannot be written, the acceptance holds for this call only.

    Args:
        card: of the model about to be used.
        accept: the person accepts (``--accept-licence``).
        ask: shows the terms and returns whether the person accepts; None where nobody can be asked.
        record: file of acceptances; None takes accepted-licences.json in the home folder.

    Raises:
        SegToolkitError: "licence-not-accepted"; the message holds the terms.
    """
    if card.licence.permissive:
        return
    record = record or default_record()
    accepted = _read(record)
    key, terms = _key(card), card.licence.model_dump()
    entry = accepted.get(key)
    if isinstance(entry, dict) and entry.get("terms") == terms:
        return
    if not accept and not (ask is not None and ask(terms_text(card))):
        raise SegToolkitError(
            "licence-not-accepted",
            terms_text(card),
            "If you accept these terms, run the command with --accept-licence (from Python, with the model's"
            " card: SegToolkitLib.models.licence.ensure_accepted(card, accept=True)); you are asked once.",
        )
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with suppress(SegToolkitError):
        write_json(record, {**accepted, key: {"terms": terms, "accepted": when}})


def terms_text(card: ModelCard) -> str:
    """What a person reads before accepting."""
    licence = card.licence
    where = f" The whole text: {licence.url}." if licence.url else ""
    summary = f" {licence.summary}" if licence.summary else ""
    return f"The model {card.title} ({card.name}) comes under the licence: {licence.name}.{summary}{where}"


def _key(card: ModelCard) -> str:
    weights = card.weights.sha256 if card.weights else ""
    return f"{card.name} | {card.licence.name} | {weights}"


def _read(record: Path) -> dict[str, Any]:
    """The acceptances so far; a missing or damaged file has none, so that the question comes again."""
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
