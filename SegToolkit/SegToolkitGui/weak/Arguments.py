"""What scripts hand to the logic, checked: images, tags, thresholds, beside what every module takes."""

from __future__ import annotations

import os
from collections.abc import Mapping

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Paths import absolute
from SegToolkitGui.run.Arguments import SEGMENTATION, VOLUME, callback, node, number, text, whole, wrong
from SegToolkitGui.scene import Geometry
from SegToolkitGui.weak.Images import Images

__all__ = [
    "SEGMENTATION",
    "callback",
    "folder",
    "image",
    "images",
    "module",
    "node",
    "segmentation",
    "tags",
    "text",
    "thresholds",
    "whole",
]


def image(value, argument: str):
    """A volume node with voxels.

    Raises:
        UserError: "bad-argument", as everywhere here.
    """
    found = node(value, VOLUME, argument)
    if min(Geometry.dimensions(found)) == 0:
        raise wrong(argument, _("a volume with voxels"), value)
    return found


def images(value) -> Images:
    """Named volumes; their order counts."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise wrong("images", _("a dictionary, modality -> volume node"), value)
    nodes = [image(one, "images") for one in value.values()]
    return Images(tuple(value), tuple(one.GetID() for one in nodes))


def tags(value) -> dict[int, bool]:
    """Slice -> tag; numpy's numbers as well."""
    if not isinstance(value, Mapping):
        raise wrong("tags", _("a dictionary, slice -> True or False"), value)
    return {whole(key, "tags"): None if tag is None else bool(tag) for key, tag in value.items()}


def thresholds(value, maps: list[str]) -> dict[str, float]:
    """Map -> threshold, or one for all maps."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return dict.fromkeys(maps, number(value, "thresholds"))
    strange = [name for name in value if name not in maps]
    if strange:
        raise wrong("thresholds", _("for maps among {maps}").format(maps=", ".join(maps)), strange[0])
    return {name: number(one, "thresholds") for name, one in value.items()}


def segmentation(value):
    """A segmentation node, by itself or by its MRML ID."""
    found = slicer.mrmlScene.GetNodeByID(value) if isinstance(value, str) and value else value
    return node(found, SEGMENTATION, "segmentation")


def folder(value) -> str:
    """Path of a folder."""
    if not isinstance(value, (str, os.PathLike)):
        raise wrong("folder", _("the path of a folder"), value)
    return absolute(str(value))


def module(logic):
    """The logic of the module SegToolkit: Training.

    Raises:
        UserError: "no-module".
    """
    if logic is None:
        raise UserError(
            "no-module",
            _("The module SegToolkit: Training is not loaded."),
            _("Allow it in Slicer's settings (Modules), and start Slicer again."),
        )
    return logic
