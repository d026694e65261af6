"""A model's card as texts for the panel."""

from __future__ import annotations

from html import escape

from slicer.i18n import tr as _

from SegToolkitGui.run.Durations import duration


def searched(model: dict) -> str:
    """What the search looks through, in lower case."""
    names = [label["name"] for label in model["labels"]]
    texts = [model["name"], model["title"], model["description"], model["modality"], model["method"], *names]
    return " ".join(texts).casefold()


def html(model: dict) -> str:
    """The facts that count, and behind "Show details..." all the rest."""
    licence = model["licence"]
    terms = escape(licence["name"])
    if not licence["permissive"]:
        terms += " " + (_("(accepted)") if licence["accepted"] else _("(to be accepted first)"))
    rows = [
        (_("Name"), escape(model["name"])),
        (_("Organs"), escape(", ".join(label["name"] for label in model["labels"]))),
        (_("Images"), escape(model["modality"])),
        (_("Grid"), escape(model["grid"])),
        (_("Memory"), memoryText(model["memory_mb"])),
        (_("Time here"), escape(timeText(model["seconds_here"]))),
        (_("Terms"), terms),
        (_("Size"), _("{size:.3g} MB").format(size=model["size_mb"])),
    ]
    cells = "".join(
        f"<tr><td><b>{title}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>" for title, text in rows if text
    )
    details = escape(model["text"].strip()).replace("\n", "<br>")
    return f"<table>{cells}</table><br>{details}"


def memoryText(megabytes: int | None) -> str:
    """Peak of a graphics card's memory; "" where it was never measured."""
    return _("{size:.1f} GB of a graphics card").format(size=megabytes / 1000) if megabytes else ""


def timeText(seconds: dict[str, dict[str, float]]) -> str:
    """Usual times on this machine: device -> mode -> seconds."""
    titles = {"full": _("full {time}"), "quick": _("quick {time}")}
    devices = []
    for device, modes in seconds.items():
        times = [
            titles.get(mode, mode + " {time}").format(time=duration(value)) for mode, value in modes.items()
        ]
        if times:
            devices.append(_("{times} on {device}").format(times=", ".join(times), device=device))
    return "; ".join(devices) or _("not known yet")
