"""Models on cases with masks: DSC and ASSD of their maps at all thresholds.

Source: released protocol of WSS-CMER. Real spacing, fusion, and thresholds from validation cases are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.dataset.batch import Failures
from SegToolkitLib.dataset.channels import read_channels
from SegToolkitLib.dataset.dataset import Case
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.summary import mean_of
from SegToolkitLib.evaluation.tables import write_csv, write_results
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.plan import DEFAULT_THRESHOLD, FUSED
from SegToolkitLib.methods.cmer.refine import refine
from SegToolkitLib.methods.cmer.refine_settings import RefineSettings
from SegToolkitLib.methods.cmer.scoring import THRESHOLDS, UNIT, Assd, CaseScores, MeanStd, Sweep, both_assd
from SegToolkitLib.methods.cmer.segment import CmerMapper, MapResult
from SegToolkitLib.methods.cmer.tags import from_mask
from SegToolkitLib.volume import Volume

# Masks, where maps have names.
REFINED, REFINED_AT_HALF = "refined", "refined at 0.5"
DEFINITIONS: tuple[Assd, ...] = ("directed", "pooled")


@dataclass(frozen=True)
class How:
    """How maps are scored.

    Attributes:
        kinds: of maps; empty takes the model's.
        gate: of the maps; None takes the model's.
        unit: voxels count as 1 x 1 x 1, as released.
        resample: bring modalities onto the voxels of the first.
        thresholds: to try.
        refining: how the maps of the first kind are refined; the masks are scored as maps of their own, at
            the model's thresholds (:data:`REFINED`) and at 0.5 (:data:`REFINED_AT_HALF`).
        ignore: label of what the masks leave open, where nothing counts; None where there is none.
    """

    kinds: tuple[str, ...] = ()
    gate: bool | None = None
    unit: bool = False
    resample: bool = False
    thresholds: tuple[float, ...] = THRESHOLDS
    refining: RefineSettings | None = None
    ignore: int | None = None


@dataclass
class Scores:
    """Scores of cases, joined over models that were tested on different ones.

    Attributes:
        cases: kind -> map -> definition of the ASSD -> case -> scores.
        at: kind -> map -> case -> the threshold of the model that segmented it.
        right: modality -> [slices whose tag was found, slices].
        failures: why cases were left out.
    """

    cases: dict[str, dict[str, dict[Assd, dict[str, CaseScores]]]] = field(default_factory=dict)
    at: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    right: dict[str, list[int]] = field(default_factory=dict)
    failures: Failures = field(default_factory=dict)

    def sweeps(self, thresholds: Sequence[float]) -> dict[str, dict[str, dict[Assd, Sweep]]]:
        """Kind -> map -> definition -> sweep.

        Raises:
            SegToolkitError: "no-cases".
        """
        return {
            kind: {
                name: {how: Sweep.of(scores, thresholds) for how, scores in by_how.items()}
                for name, by_how in by_map.items()
            }
            for kind, by_map in self.cases.items()
        }


def evaluate(
    mapper: CmerMapper,
    cases: Iterable[Case],
    values: Sequence[int],
    how: How,
    reporter: Reporter,
    into: Scores | None = None,
) -> Scores:
    """Make the maps of cases and score them on the cases' own voxels.

    Args:
        mapper: the model.
        cases: with masks.
        values: labels of the masks that are the object.
        how: see :class:`How`.
        reporter: hears of progress, and of cases that are left out.
        into: scores to add to.
    """
    scores, cases = into or Scores(), list(cases)
    for done, case in enumerate(cases, start=1):
        try:
            _score(mapper, case, values, how, scores)
        except SegToolkitError as error:
            scores.failures[case.id] = error
            reporter.warning(f"Case {case.id} is left out: {error.message}", error.hint)
        reporter.progress("evaluating", done, len(cases))
    return scores


def _score(mapper: CmerMapper, case: Case, values: Sequence[int], how: How, scores: Scores) -> None:
    images, label = read_channels(case, mapper.plan.modalities, resample=how.resample)
    if label is None:
        raise SegToolkitError("no-label", f"Case {case.id} has no mask.", "Choose other cases.")
    mask = np.isin(label.voxels, values)
    # As in the validation: what is found where nobody looked is neither right nor wrong.
    said = np.ones_like(mask) if how.ignore is None else label.voxels != how.ignore
    spacing = UNIT if how.unit else label.spacing[::-1]
    plan = mapper.plan.maps
    if how.gate is not None:
        plan = plan.model_copy(update={"gate": how.gate})
    for number, kind in enumerate(how.kinds or (plan.kind,)):
        result = mapper.maps(images, plan.model_copy(update={"kind": kind}))
        for name, volume in result.maps.items():
            by_how = scores.cases.setdefault(kind, {}).setdefault(name, {})
            for definition, one in both_assd(volume.voxels * said, mask, spacing, how.thresholds).items():
                by_how.setdefault(definition, {})[case.id] = one
            scores.at.setdefault(kind, {}).setdefault(name, {})[case.id] = result.thresholds[name]
        if number == 0 and how.refining is not None:
            _score_refined(result, images, mask, said, spacing, case.id, how, scores)
        if number == 0:
            left_open = [] if how.ignore is None else [how.ignore]
            shown, unsure = (result.stack.shown(label, one).tolist() for one in (values, left_open))
            tags = from_mask(shown, unsure)
            for name, present in result.present.items():
                counts = scores.right.setdefault(name, [0, 0])
                counts[0] += sum(tag == seen for tag, seen in zip(tags, present.tolist(), strict=True))
                counts[1] += len(tags) - tags.count(None)


def _score_refined(
    result: MapResult,
    images: Mapping[str, Volume],
    mask: NDArray[np.bool_],
    said: NDArray[np.bool_],
    spacing: Sequence[float],
    case: str,
    how: How,
    scores: Scores,
) -> None:
    kind = next(iter(scores.cases))
    # A mask is the same at every threshold of a sweep: it is scored once.
    for name, cuts in ((REFINED, result.thresholds), (REFINED_AT_HALF, DEFAULT_THRESHOLD)):
        found = refine(images, result.maps, how.refining, cuts).mask.voxels > 0
        found = found & said
        by_how = scores.cases[kind].setdefault(name, {})
        once = both_assd(found.astype(np.float32), mask, spacing, (DEFAULT_THRESHOLD,))
        for definition, one in once.items():
            repeated = (np.repeat(values, len(how.thresholds)) for values in one)
            by_how.setdefault(definition, {})[case] = CaseScores(*repeated)
        scores.at[kind].setdefault(name, {})[case] = how.thresholds[0]


def at_own(scores: Scores, kind: str, name: str, thresholds: Sequence[float], how: Assd) -> CaseScores:
    """Scores of each case [P] at its model's threshold, where that is among those tried (NaN elsewhere)."""
    rows = []
    for case, one in scores.cases[kind][name][how].items():
        near = np.flatnonzero(np.isclose(thresholds, scores.at[kind][name][case]))
        rows.append((one.dsc[near[0]], one.assd[near[0]]) if len(near) else (np.nan, np.nan))
    dsc, assd = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    return CaseScores(dsc, assd)


def by_fold(
    scores: Scores, folds: Mapping[str, int], thresholds: Sequence[float]
) -> dict[str, dict[str, Any]]:
    """DSC at the models' own thresholds, by map of the first kind: mean and deviation over all cases
    ("cases"), and over those of each fold ("folds")."""
    kind = next(iter(scores.cases))
    table: dict[str, dict[str, Any]] = {}
    for name, at in scores.at[kind].items():
        dsc = dict(zip(at, at_own(scores, kind, name, thresholds, "directed").dsc.tolist(), strict=True))
        each = {
            str(fold): _mean([value for case, value in dsc.items() if folds[case] == fold])
            for fold in sorted(set(folds.values()))
        }
        table[name] = {"cases": _mean(list(dsc.values())), "folds": each}
    return table


def _mean(values: Sequence[float]) -> list[float]:
    """Mean and deviation of those that have a value."""
    mean = mean_of(values)
    return [mean.mean, mean.std]


def told(scores: Scores, thresholds: Sequence[float]) -> list[str]:
    """The sweep as lines for a person; * marks the best mean DSC."""
    lines = []
    for kind, by_map in scores.sweeps(thresholds).items():
        for name, by_how in by_map.items():
            sweep, best = by_how["directed"], by_how["directed"].best()
            lines.append(f"{kind} of {name}, {len(sweep.cases)} cases")
            lines.append(f"  {'threshold':>9} {'DSC':>15} {'ASSD':>15} {'ASSD pooled':>15} {'missing':>8}")
            dsc, directed = sweep.dsc_over_cases(), sweep.assd_over_cases()
            pooled = by_how["pooled"].assd_over_cases()
            for place, threshold in enumerate(thresholds):
                parts = " ".join(f"{_pair(one, place):>15}" for one in (dsc, directed, pooled))
                mark = "*" if threshold == best else ""
                lines.append(f"  {threshold:9.2f} {parts} {int(directed.missing[place]):8d} {mark}".rstrip())
            own = at_own(scores, kind, name, thresholds, "directed")
            lines.append(
                f"  at the model's own threshold: DSC {np.nanmean(own.dsc):.4f} ± {np.nanstd(own.dsc):.4f}"
                if np.isfinite(own.dsc).any()
                else "  the model's own threshold is none of these"
            )
    for name, (right, count) in scores.right.items():
        lines.append(f"{name}: tag found in {right} of {count} slices ({right / max(count, 1):.1%})")
    return lines


def write(out: Path, scores: Scores, how: How, about: Mapping[str, Any]) -> None:
    """Write ``scores.json`` (the sweeps, as released: map -> threshold -> [mean, deviation]) and
    ``scores.csv`` (a row for each case, map and threshold)."""
    sweeps = scores.sweeps(how.thresholds)
    results: dict[str, Any] = {**about, "thresholds": list(how.thresholds), "kinds": {}}
    rows = []
    for kind, by_map in sweeps.items():
        results["kinds"][kind] = {}
        for name, by_how in by_map.items():
            sweep = by_how["directed"]
            entry: dict[str, Any] = {
                "best_threshold": sweep.best(),
                "dsc": _table(sweep.dsc_over_cases(), how),
            }
            for definition in DEFINITIONS:
                entry[f"assd_{definition}"] = _table(by_how[definition].assd_over_cases(), how)
            own = at_own(scores, kind, name, how.thresholds, "directed")
            if np.isfinite(own.dsc).any():
                entry["at_own_threshold"] = {
                    "dsc": [float(np.nanmean(own.dsc)), float(np.nanstd(own.dsc))],
                    "cases": dict(zip(sweep.cases, own.dsc.tolist(), strict=True)),
                }
            results["kinds"][kind][name] = entry
            for p, case in enumerate(sweep.cases):
                for t, threshold in enumerate(how.thresholds):
                    rows.append(
                        {
                            "kind": kind,
                            "map": name,
                            "case": case,
                            "threshold": threshold,
                            "dsc": float(sweep.dsc[p, t]),
                            "assd_directed": float(by_how["directed"].assd[p, t]),
                            "assd_pooled": float(by_how["pooled"].assd[p, t]),
                        }
                    )
    results["accuracy"] = {name: right / max(count, 1) for name, (right, count) in scores.right.items()}
    write_results(out / "scores.json", results)
    write_csv(out / "scores.csv", rows)


def chosen_thresholds(
    scores: Scores, kind: str, thresholds: Sequence[float]
) -> tuple[dict[str, float], float]:
    """Best threshold of each modality, and of the fused map."""
    best = {
        name: by_how["directed"].best()
        for name, by_how in scores.sweeps(thresholds)[kind].items()
        if name not in (REFINED, REFINED_AT_HALF)
    }
    return {name: value for name, value in best.items() if name != FUSED}, best[FUSED]


def _table(values: MeanStd, how: How) -> dict[str, list[float]]:
    return {
        f"{threshold:g}": [float(values.mean[place]), float(values.std[place])]
        for place, threshold in enumerate(how.thresholds)
    }


def _pair(values: MeanStd, place: int) -> str:
    return f"{values.mean[place]:.4g} ± {values.std[place]:.3g}"
