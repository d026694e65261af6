"""What the worker may be asked about ALPNet, as validated data; docs/worker.md is the reference."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from SegToolkitLib.methods.alpnet.support_set import SupportItem
from SegToolkitLib.models import request
from SegToolkitLib.models.request import Request, Text
from SegToolkitLib.settings import Settings

Number = Annotated[int, Field(ge=0)]
Axis = Literal[0, 1, 2]


class ModelRequest(Request):
    """A request for which a model is loaded."""

    model: Text
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    accept_licence: bool = False


class Query(Settings):
    """The volume to segment, and the axis along which its slices are counted."""

    image: Text
    axis: Axis | None = None


class Options(Settings):
    """See :meth:`FewShotSegmenter.segment`."""

    keep_largest: bool = False
    as_published: bool = False


class SegmentRequest(ModelRequest):
    """``segment``; ``slices`` of one slice is a preview of it.

    Attributes:
        axis: slice axis of the query as the caller counts it; the query's own field says the same.
        slices: first and last slice that hold the structures; None looks everywhere.
        preview: compute this slice alone, with ``slices`` still saying where the structures are.
        out: folder for the results.
        confidence: also write the confidence map.
    """

    plane: Literal["axial", "coronal", "sagittal"]
    axis: Axis | None = None
    supports: list[SupportItem] = Field(min_length=1)
    query: Query
    slices: tuple[Number, Number] | None = None
    preview: Number | None = None
    structures: list[Text] | None = None
    options: Options = Options()
    out: Text
    confidence: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> SegmentRequest:
        if self.slices is not None and self.slices[0] > self.slices[1]:
            raise ValueError(f"'slices' begin at {self.slices[0]} and end at {self.slices[1]}")
        if None not in (self.axis, self.query.axis) and self.axis != self.query.axis:
            raise ValueError(f"'axis' is {self.axis} and 'query.axis' is {self.query.axis}")
        return self


class PackRequest(Request):
    """``pack_support``: write support examples as one file."""

    path: Text
    items: list[SupportItem] = Field(min_length=1)


class UnpackRequest(Request):
    """``unpack_support``: read them into an empty folder."""

    path: Text
    folder: Text


class ImportRequest(request.ImportRequest):
    """``import_checkpoint``: the file does not say what it was trained on."""

    modality: Literal["MR", "CT"]
    mean: float | None = None
    std: float | None = None
