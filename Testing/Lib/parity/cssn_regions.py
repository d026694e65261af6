"""Checks of the CSSN cases on components, regions and the way back to the image."""

from __future__ import annotations

from typing import Any

import numpy as np

from parity.case import Case, check
from SegToolkitLib.methods.cssn.frame import Frame
from SegToolkitLib.methods.cssn.plan import InferencePlan
from SegToolkitLib.methods.cssn.prepare import Box
from SegToolkitLib.methods.cssn.regions import least_voxels, organ_box, paint_parts, region_box
from SegToolkitLib.methods.cssn.weights import Stage
from SegToolkitLib.volume.grid import Grid


def _rules(settings: dict[str, Any]) -> InferencePlan:
    return InferencePlan(
        margin_mm=settings["extend_mm"],
        half_height_mm=settings.get("z_half_extent_mm"),
        coarse_least_mm3=settings["coarse_min_mm3"],
        fine_least_mm3=settings["fine_min_mm3"],
        components=dict(enumerate(settings["components_kept"], start=1)),
    )


def _spans(box: Box, *, inclusive: bool) -> np.ndarray:
    """[3, 2]: first and last (or past-the-last) voxel of z, y, x."""
    return np.array([box.start, np.array(box.stop) - int(inclusive)]).T


@check("cssn", "roi_and_postprocess")
def roi_and_postprocess(case: Case) -> None:
    rules = _rules(case.settings)
    # Kept as float32, whose 1.8 is not the 1.8 that the authors' code read.
    spacing = tuple(float(f"{mm:.6g}") for mm in case.arrays["spacing_zyx"])
    shape = tuple(int(n) for n in case.arrays["raw_shape"])

    def labels(stage: Stage, seen: tuple[int, ...], size: tuple[int, ...]) -> tuple[np.ndarray, float]:
        masks = case.arrays[f"{stage}_mask"] > 0
        found = np.zeros(masks.shape[1:], np.uint8)
        least = least_voxels(rules, stage, spacing, seen, size)
        for value, mask in enumerate(masks, start=1):
            paint_parts(found, mask, value, rules.components[value], least)
        return found, least

    size = case.arrays["coarse_mask"].shape[1:]
    coarse, coarse_least = labels("coarse", shape, size)
    zoom = [n / m for n, m in zip(shape, size, strict=True)]
    case.check("all", coarse, "coarse_label")
    case.check("all", np.float32(zoom), "zoom_zyx")
    whole = organ_box(coarse, None)
    height = rules.half_height_mm and rules.half_height_mm / (spacing[0] * zoom[0])
    used = organ_box(coarse, height)
    assert whole is not None
    assert used is not None
    case.check("all", _spans(whole, inclusive=True), "bbox_mask")
    case.check("all", _spans(used, inclusive=True), "bbox_used")
    raw = region_box(used, zoom, shape, spacing, 0)
    case.check("all", _spans(raw, inclusive=False).ravel(), "raw_bbox")
    crop = region_box(used, zoom, shape, spacing, rules.margin_mm)
    case.check("all", _spans(crop, inclusive=False).ravel(), "crop_box")
    fine, fine_least = labels("fine", crop.shape, case.settings["fine_network_size"])
    case.check("all", fine, "fine_label")
    case.check("all", np.float32([coarse_least, fine_least]), "area_least")

    z, y, x = case.settings["direction_zyx"]
    frame = Frame.of(Grid(shape, (1, 1, 1), (0, 0, 0), np.diag([x, y, z])))
    final = np.zeros(shape, np.uint8)
    frame.view(final)[crop.slices] = fine
    case.check("all", final, "final")
