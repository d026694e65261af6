"""Requests about training: which methods there are, whether settings are right, what a run will cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from pydantic import Field

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import trainable, training_of
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import problems, validated

ROOT = Path(__file__).resolve().parents[2]


class _Check(Settings):
    id: Any = None
    do: str
    method: str
    values: dict[str, Any] = Field(default_factory=dict)


class _Estimate(Settings):
    id: Any = None
    do: str
    method: str
    dataset: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    device: str = "auto"


def methods(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    """Answer ``methods``: every method that can be trained, with presets and the schema of its settings."""
    return {"methods": [_described(name) for name in trainable()]}


def _described(name: str) -> dict[str, object]:
    method = training_of(name)
    return {
        "name": method.name,
        "title": method.title,
        "summary": method.summary,
        "metric": list(method.metric) if method.metric else None,
        "needs_dataset": method.needs_dataset,
        "places": [{"name": p.name, "kind": p.kind, "help": p.help, "made": p.made} for p in method.places],
        "presets": [
            {
                "name": preset.name,
                "title": preset.title,
                "help": preset.help,
                "values": preset.settings.model_dump(mode="json"),
            }
            for preset in method.presets.values()
        ],
        "schema": method.settings.model_json_schema(),
    }


def check_settings(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    """Answer ``check_settings``: what is wrong with each field, or the settings as they will be used.

    Raises:
        SegToolkitError: "bad-request", "unknown-method".
    """
    request = _read(_Check, values)
    kind = training_of(request.method).settings
    found = problems(kind, request.values)
    complete = request.values if found else kind.model_validate(request.values).model_dump(mode="json")
    return {"problems": [{"field": field, "text": text} for field, text in found], "values": complete}


def estimate(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    """Answer ``estimate``: a child process measures, so that its memory is its own and goes with it.

    Raises:
        SegToolkitError: what the child says, or "estimate-failed" where it ended without a word.
    """
    request = _read(_Estimate, values)
    training_of(request.method)
    with tempfile.TemporaryDirectory(prefix="segtoolkit-", ignore_cleanup_errors=True) as folder:
        config = Path(folder) / "settings.json"
        config.write_text(json.dumps(request.settings), encoding="utf-8")
        call = ["estimate", request.method, "--json", "--config", str(config), "--device", request.device]
        if request.dataset:
            call += ["--dataset", str(Path(request.dataset).absolute())]
        return _child(call, reporter)


def _child(call: list[str], reporter: Reporter) -> dict[str, object]:
    """Run ``segtoolkit`` in a process of its own, pass its progress on and return its outputs."""
    child = subprocess.Popen(
        [sys.executable, "-m", "SegToolkitLib", *call],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONUTF8": "1"},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        encoding="utf-8",
        errors="replace",
    )
    assert child.stdout is not None
    assert child.stderr is not None
    last_words: deque[str] = deque(maxlen=5)
    listener = threading.Thread(target=_listen, args=(child.stderr, last_words), daemon=True)
    listener.start()
    try:
        for line in child.stdout:
            event = _event(line)
            if event.get("t") == "progress":
                reporter.progress(event["phase"], event["step"], event["total"])
            elif event.get("t") == "warning":
                reporter.warning(event["text"], event["hint"])
            elif event.get("t") == "error":
                raise SegToolkitError(event["code"], event["text"], event["hint"])
            elif event.get("t") == "done":
                outputs: dict[str, object] = event["outputs"]
                return outputs
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    listener.join(1)
    raise SegToolkitError(
        "estimate-failed",
        f"The trial run ended without a result ({' '.join(last_words).strip()[-300:] or 'no word'}).",
        "It may have needed more memory than there is: choose a smaller network.",
    )


def _listen(stream: IO[str], last_words: deque[str]) -> None:
    with stream:
        last_words.extend(stream)


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _read(kind: type[Any], values: Mapping[str, Any]) -> Any:
    try:
        return validated(kind, values, f"The request {values.get('do')!r}")
    except SegToolkitError as error:
        raise SegToolkitError("bad-request", error.message, error.hint) from error


VERBS = {"methods": methods, "check_settings": check_settings, "estimate": estimate}
