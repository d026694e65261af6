"""Checks of the CSSN cases on the FLARE metrics."""

from __future__ import annotations

import numpy as np

from parity.case import Case, check
from SegToolkitLib.evaluation.flare import FLARE22, FREE_GPU_MB, SAMPLE_SECONDS, efficiency
from SegToolkitLib.evaluation.scoring import Organ, Protocol, score_case
from SegToolkitLib.evaluation.surface import surface_areas

# What the description of the released case says of ``nsd_1mm``: liver, spleen, pancreas.
AT_ONE_MM = (1, 3, 4)


@check("cssn", "flare22_metrics")
def flare22_metrics(case: Case) -> None:
    if "gt" in case.arrays:
        _scores(case)
    if "surfel_area" in case.arrays:
        x, y, z = (float(one) for one in case.arrays["spacing_xyz"])
        case.hold(surface_areas((x, y, z)), "surfel_area")
    if "gpu_mb" in case.arrays:
        _costs(case)


def _protocol(case: Case) -> Protocol:
    """Return the rules that the case states; what it leaves out is FLARE22's."""
    tolerances = case.settings.get("tolerance_mm", [organ.tolerance_mm for organ in FLARE22.organs])
    sliced = case.settings.get("sliced_organs", [organ.value for organ in FLARE22.organs if organ.sliced])
    organs = tuple(
        Organ(value, f"organ {value}", tolerance, value in sliced)
        for value, tolerance in enumerate(tolerances, start=1)
    )
    return Protocol("case", organs, both_empty=FLARE22.both_empty, digits=case.settings.get("digits"))


def _scores(case: Case) -> None:
    """Score label volumes that are indexed [x, y, z]."""
    truth, found = (case.arrays[name].T.astype(np.int16) for name in ("gt", "seg"))
    spacing_zyx = case.arrays["spacing_xyz"][::-1]
    rows = score_case(case.path.stem, truth, found, spacing_zyx, _protocol(case))
    case.hold(np.array([row.dsc for row in rows]), "dsc")
    case.hold(np.array([row.nsd for row in rows]), "nsd")
    plain = Protocol(
        "1 mm", tuple(Organ(value, f"organ {value}", 1.0) for value in AT_ONE_MM), both_empty=1.0
    )
    at_one = score_case(case.path.stem, truth, found, spacing_zyx, plain)
    case.hold(np.array([row.nsd for row in at_one]), "nsd_1mm")


def _costs(case: Case) -> None:
    assert case.settings.get("sample_interval_s", SAMPLE_SECONDS) == SAMPLE_SECONDS
    assert case.settings.get("gpu_tolerance_mb", FREE_GPU_MB) == FREE_GPU_MB
    idle = case.arrays["cpu_idle"].astype(np.float64)
    cost = efficiency(len(idle) * SAMPLE_SECONDS, case.arrays["gpu_mb"], 100 - idle)
    for name in ("max_gpu_mb", "auc_gpu_raw", "auc_gpu", "auc_cpu"):
        case.hold(np.array([getattr(cost, name)]), name)
