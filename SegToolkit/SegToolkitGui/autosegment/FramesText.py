"""What is said of a run over all frames."""

from __future__ import annotations

from slicer.i18n import tr as _

from SegToolkitGui.run.Durations import duration

# Different notes that are shown; the log has all.
MOST_NOTES = 3


def summary(run) -> list[str]:
    """Sentences about what a FramesRun found, failures apart."""
    text = _("{done} of {count} frames segmented ({time}).")
    texts = [text.format(done=len(run.results), count=run.frames, time=duration(run.seconds))]
    empty = [result.frame for result in run.results if not result.segmentIds]
    if empty:
        texts.append(_("None of the organs was found in {frames}.").format(frames=named(empty)))
    notes: dict[str, list[int]] = {}
    for result in run.results:
        for note in result.notes:
            notes.setdefault(note, []).append(result.frame)
    texts += [f"{named(frames)}: {note}" for note, frames in list(notes.items())[:MOST_NOTES]]
    if len(notes) > MOST_NOTES:
        texts.append(_("The log has further notes."))
    return texts


def heart(run) -> str:
    """What the ventricles do, a line each, and how far that holds."""
    line = _(
        "<b>{name}</b>: EDV {edv:.1f} ml (frame {ed}), ESV {esv:.1f} ml (frame {es}), stroke volume"
        " {stroke:.1f} ml, ejection fraction <b>{ef:.0f} %</b>."
    )
    lines = [
        line.format(
            name=one["name"],
            edv=one["edv_ml"],
            ed=one["end_diastole"] + 1,
            esv=one["esv_ml"],
            es=one["end_systole"] + 1,
            stroke=one["stroke_ml"],
            ef=100 * one["ejection_fraction"],
        )
        for one in run.ventricles
    ]
    return "<br>".join([*lines, *run.heartNotes])


def named(frames: list[int]) -> str:
    """Frames from 0 as a person counts them: "frame 3", "frames 1 to 4, 9"."""
    parts: list[list[int]] = []
    for frame in sorted(frames):
        if parts and frame == parts[-1][-1] + 1:
            parts[-1].append(frame)
        else:
            parts.append([frame])
    texts = [
        _("{first} to {last}").format(first=part[0] + 1, last=part[-1] + 1)
        if len(part) > 2
        else ", ".join(str(frame + 1) for frame in part)
        for part in parts
    ]
    return (_("frame {list}") if len(frames) == 1 else _("frames {list}")).format(list=", ".join(texts))
