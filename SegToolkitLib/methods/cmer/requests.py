"""What the worker may be asked about this method, as validated data; docs/worker.md is the reference.

Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from SegToolkitLib.methods.cmer.refine_settings import RefineSettings
from SegToolkitLib.models.request import Request, Text

Number = Annotated[int, Field(ge=0)]
Threshold = Annotated[float, Field(ge=0, le=1)]
Images = Annotated[dict[Text, Text], Field(min_length=1, max_length=16)]


class ModelRequest(Request):
    """A request for which a model is loaded."""

    model: Text
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    accept_licence: bool = False


class MapsRequest(ModelRequest):
    """``maps``: of registered images, by the modalities of the model.

    Attributes:
        images: file of each modality; the first one's voxels are those of the maps.
        out: folder for the maps.
        kind: of map; None takes the model's.
        gate: whether slices that a network takes to be without the object are blank; None takes the model's.
        resample: bring the others onto the voxels of the first.
    """

    images: Images
    out: Text
    kind: Literal["cam", "gradcam", "gradcam++"] | None = None
    gate: bool | None = None
    resample: bool = False


class RefineRequest(Request):
    """``refine``: one mask of maps; see :func:`refine.refine`.

    Attributes:
        images: file of each image in which edges are looked for, on the maps' voxels (or ``resample``).
        maps: file of each map.
        threshold: of all maps, or by name.
        tags: slice -> whether the object is visible in it.
        slices: that are refined; None takes all.
        resample: bring images onto the voxels of the maps.
    """

    images: dict[Text, Text] = Field(default_factory=dict, max_length=16)
    maps: Images
    threshold: Threshold | dict[Text, Threshold] | None = None
    tags: dict[Number, bool] | None = None
    slices: list[Number] | None = None
    settings: RefineSettings = RefineSettings()
    resample: bool = False
    out: Text


def file_names(id: str | int, names: Sequence[str]) -> dict[str, str]:
    """A file's name for each map, safe on every system whatever the modalities are called: "7-FLAIR"."""
    found: dict[str, str] = {}
    for name in names:
        plain = "-".join(filter(None, (_plain(str(id)), _plain(name))))
        taken = {one.casefold() for one in found.values()}
        free = (
            text
            for n in range(len(names) + 1)
            if (text := f"{plain}-{n}" if n else plain).casefold() not in taken
        )
        found[name] = next(free)
    return found


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text)[:60].strip("-")
