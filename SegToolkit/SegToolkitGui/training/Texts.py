"""How states, times and figures of runs are told."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from slicer.i18n import tr as _

from SegToolkitGui.Phases import phaseText

WORKING = ("starting", "running", "stopping")
LIVE = ("waiting", *WORKING)
RESUMABLE = ("new", "stopped", "failed", "interrupted")
STATES = {
    "new": _("not started"),
    "waiting": _("waits"),
    "starting": _("starts"),
    "running": _("runs"),
    "stopping": _("stops"),
    "stopped": _("stopped"),
    "finished": _("finished"),
    "failed": _("failed"),
    "interrupted": _("interrupted"),
}
# Icons of QStyle.
ICONS = {
    "waiting": "SP_BrowserReload",
    "starting": "SP_BrowserReload",
    "running": "SP_MediaPlay",
    "stopping": "SP_BrowserStop",
    "stopped": "SP_MediaPause",
    "finished": "SP_DialogApplyButton",
    "failed": "SP_MessageBoxCritical",
    "interrupted": "SP_MessageBoxWarning",
}


def isLive(status: dict) -> bool:
    """Whether the run has a process of its own now."""
    return status["state"] in LIVE


def isWorking(status: dict) -> bool:
    """Whether it computes, and does not only wait for its turn."""
    return status["state"] in WORKING


def stateName(status: dict) -> str:
    """The state in one or two words."""
    return STATES.get(status["state"], status["state"])


def stepText(status: dict) -> str:
    """ "120 of 1000", or "" where nothing was done yet."""
    step, total = status.get("step"), status.get("total")
    if step is None:
        return ""
    return _("{step} of {total}").format(step=step, total=total) if total else str(step)


def bestText(status: dict) -> str:
    """The best validation: "dice 0.78", "" where there was none."""
    best = status.get("best") or {}
    if best.get("value") is None:
        return ""
    return f"{best.get('metric') or ''} {number(best['value'])}".strip()


def bestAtText(status: dict) -> str:
    """The same with its step."""
    text = bestText(status)
    return _("{best} (step {step})").format(best=text, step=status["best"].get("step")) if text else ""


def valuesText(status: dict) -> str:
    """The last measured values: "loss 0.41, dice 0.78"."""
    values = status.get("values") or {}
    return ", ".join(
        f"{name} {number(value)}" for name, value in values.items() if isinstance(value, (int, float))
    )


def errorText(status: dict) -> str:
    """What made a run fail, "" where nothing did."""
    error = status.get("error")
    if isinstance(error, dict):
        return " ".join(str(error[key]) for key in ("text", "hint") if error.get(key))
    return str(error or "")


def stateLine(status: dict) -> str:
    """What the run does, or what became of it, in one or two sentences."""
    state, step = status["state"], stepText(status)
    values, best = valuesText(status), bestAtText(status)
    reason = str(status.get("reason") or "")
    if state == "waiting":
        return reason or _("Waits for its turn.")
    if state == "starting":
        return reason or _("Starts: the data are being prepared.")
    if state in ("running", "stopping"):
        parts = [_("Step {step}").format(step=step) if step else _("Begins"), values]
        if best:
            parts.append(_("best {best}").format(best=best))
        if status.get("seconds_left") is not None and state == "running":
            parts.append(_("{time} left").format(time=duration(status["seconds_left"])))
        line = ", ".join(part for part in parts if part) + "."
        return _("Stops after this step. ") + line if state == "stopping" else line
    if state == "finished":
        early = _("Finished") if not status.get("total") or status.get("step") == status["total"] else ""
        line = (early or _("Finished early")) + (_(" after step {step}").format(step=step) if step else "")
        line += "." if not best else _("; best {best}.").format(best=best)
        return line + " " + (_("The model can be used.") if status.get("model") else _("There is no model."))
    if state == "stopped":
        return _("Stopped at step {step}. Resume goes on from there.").format(step=step or "0")
    if state == "failed":
        return errorText(status) or reason or _("It failed; the log says more.")
    if state == "interrupted":
        line = _("Interrupted at step {step}: its process ended unexpectedly.").format(step=step or "0")
        return f"{line} {reason or _('Resume goes on from the last checkpoint.')}"
    return reason or _("Not started yet.")


def number(value: float) -> str:
    """Three digits that count."""
    return str(value) if isinstance(value, int) else f"{value:.3g}"


def duration(seconds: float) -> str:
    """ "40 s", "12 min", "3 h 20 min", "2 days 4 h"."""
    seconds = max(0, round(seconds))
    if seconds < 90:
        return _("{n} s").format(n=seconds)
    minutes = round(seconds / 60)
    if minutes < 90:
        return _("{n} min").format(n=minutes)
    hours, minutes = divmod(minutes, 60)
    if hours < 36:
        return _("{h} h {m} min").format(h=hours, m=minutes) if minutes else _("{h} h").format(h=hours)
    days, hours = divmod(hours, 24)
    return _("{d} days {h} h").format(d=days, h=hours)


def memory(megabytes: float) -> str:
    """ "750 MB", "6.1 GB"."""
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def moment(value: Any) -> str:
    """Today's times as "14:02", those of this year as "11-20", others as "2025-11"; "" if not known."""
    try:
        when = datetime.fromtimestamp(float(value))
    except (TypeError, ValueError, OverflowError, OSError):
        return ""
    now = datetime.fromtimestamp(time.time())
    if when.date() == now.date():
        return when.strftime("%H:%M")
    return when.strftime("%m-%d" if when.year == now.year else "%Y-%m")


def progressText(event: dict) -> str:
    """A phase of the worker's: "making superpixels 3/12"."""
    step, total = event.get("step", 0), event.get("total", 0)
    phase = phaseText(str(event.get("phase", "")))
    return f"{phase} {step}/{total}" if total else phase
