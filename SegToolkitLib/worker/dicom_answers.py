"""A window's request to write a segmentation as a DICOM SEG file; needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from SegToolkitLib.events import Reporter
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import validated

Text = Annotated[str, Field(min_length=1)]
Channel = Annotated[float, Field(ge=0, le=1)]


class _Segment(Settings):
    value: int = Field(ge=1)
    name: Text
    terminology: str = ""
    colour: tuple[Channel, Channel, Channel] = (0.5, 0.5, 0.5)


class _Export(Settings):
    id: str | int | None = None
    do: str | None = None
    labels: Text
    files: list[Text] = Field(min_length=1)
    out: Text
    segments: list[_Segment] = Field(min_length=1)
    algorithm: str = ""
    version: str = ""
    description: str = ""


def export_dicom_seg(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    """Answer ``export_dicom_seg``: labels and the DICOM files they were made on as one DICOM SEG file."""
    from SegToolkitLib.dicom_seg import Algorithm, write_dicom_seg
    from SegToolkitLib.volume import Segment, Segmentation, as_label, read_volume

    request = validated(_Export, values, "The request")
    reporter.progress("writing DICOM", 0, 1)
    segments = [Segment(s.value, s.name, s.colour, s.terminology) for s in request.segments]
    written = write_dicom_seg(
        Segmentation(as_label(read_volume(request.labels)), segments),
        request.files,
        Path(request.out),
        algorithm=Algorithm(request.algorithm, request.version) if request.algorithm else None,
        description=request.description,
    )
    reporter.progress("writing DICOM", 1, 1)
    notes = []
    if written.left_out:
        notes.append(f"Without a voxel, and so left out: {', '.join(written.left_out)}.")
    return {
        "path": str(written.path),
        "series_uid": written.series_uid,
        "instance_uid": written.instance_uid,
        "segments": list(written.segments),
        "frames": written.frames,
        "notes": notes,
    }


VERBS: dict[str, Callable[[Mapping[str, Any], Reporter], dict[str, object]]] = {
    "export_dicom_seg": export_dicom_seg
}
