"""What maps taught by slice tags are worth, by the product's own commands; see docs/cmer.md.

    python Testing/weak_labels/run.py --data FOLDER_OF_DATA_SETS --out runs/weak_labels

Every patient is the test once, and nothing else: of the others one validates (it chooses weights and
thresholds) and the rest train. With brats2015 that is 2 + 1 + 1. ms_lesion has two patients: one trains, with
the last weights kept and the threshold chosen on that same patient, and the other is the test. Tags are those
of the masks. The second stage learns the refined maps of the patients that are not the test, which choose its
weights and threshold as well; the threshold of those maps was chosen on the validation patient's mask. What
is finished is not done again: stop the command and give it once more as you like.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_json, write_text
from SegToolkitLib.dataset.dataset import Case, Dataset
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.cases import object_values
from SegToolkitLib.methods.cmer.evaluate import (
    REFINED,
    REFINED_AT_HALF,
    How,
    chosen_thresholds,
    evaluate,
)
from SegToolkitLib.methods.cmer.plan import FUSED
from SegToolkitLib.methods.cmer.refine_settings import RefineSettings
from SegToolkitLib.methods.cmer.scoring import THRESHOLDS
from SegToolkitLib.methods.cmer.segment import load
from SegToolkitLib.models.card import read_card, write_card

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from experiment import ROOT, Shell, run_all, settings_words  # noqa: E402

SECOND, FULL, REFINEMENT = "second stage", "fully supervised", "corrected, refined"
HALF = 0.5


@dataclass(frozen=True)
class Piece:
    """All trainings of one data set, test patient and seed; their files lie below ``out``."""

    name: str
    test: str
    seed: int
    plan: dict[str, Any]
    data: Path
    out: Path
    steps: int | None
    arms: tuple[str, ...]

    def run(self) -> None:
        """Do what is not done yet."""
        done = self.out / "scores.json"
        scores: dict[str, Any] = json.loads(done.read_text(encoding="utf-8")) if done.is_file() else {}
        for arm in self.arms:
            if arm in scores:
                continue
            scores[arm] = self._scored(arm, self._trained(arm))
            write_json(done, scores)

    @property
    def dataset(self) -> Dataset:
        """Of the patients."""
        return Dataset.open(self.plan["data_sets"][self.name]["description"], self.data / self.name)

    @property
    def others(self) -> list[str]:
        """Patients that are not the test; the first of them validates, if there are several."""
        ids = self.dataset.ids
        at = ids.index(self.test)
        return [*ids[at + 1 :], *ids[:at]]

    def _shell(self) -> Shell:
        self.out.mkdir(parents=True, exist_ok=True)
        return Shell(self.out / "log.txt")

    def _trained(self, arm: str) -> Path:
        run = self.out / arm.replace(", ", "-").replace(" ", "-")
        masks = arm in (SECOND, FULL)
        changes: dict[str, Any] = {
            "data.modalities": self.plan["data_sets"][self.name]["modalities"],
            # Patients are sorted: the fold of the first of the others.
            "data.cases": self.others,
            "data.fold": sorted(self.others).index(self.others[0]) if len(self.others) > 1 else None,
            "data.object_name": "lesion",
            "seed": self.seed,
            "use_best": len(self.others) > 1,
            **(self.plan["masks"] if masks else {**self.plan["arms"], **self.plan["ideas"]}[arm]),
        }
        if self.steps is not None:
            changes |= {"optimiser.epochs": 1, "optimiser.steps_per_epoch": self.steps, "validate_every": 0}
        words = [
            "--dataset",
            ROOT / self.plan["data_sets"][self.name]["description"],
            "--data",
            self.data / self.name,
        ]
        if arm == SECOND:
            words = ["--dataset", self._pseudo_labels()]
        self._shell().train(
            run, "cmer", "--config", ROOT / self.plan["settings"], *words, *settings_words(changes),
            "--name", f"{self.name}-{self.test}-{arm.replace(', ', '-').replace(' ', '-')}-{self.seed}",
        )  # fmt: skip
        model = run / "result" / "model"
        if len(self.others) == 1 and arm != SECOND:
            self._choose_on(model, [self.dataset.case(self.others[0])])
        return model

    def _pseudo_labels(self) -> Path:
        """The refined maps of all patients but the test, where tags say that there is an object."""
        folder = self.out / "pseudo"
        if (folder / "dataset.json").is_file():
            return folder
        dataset = [
            "--dataset",
            ROOT / self.plan["data_sets"][self.name]["description"],
            "--data",
            self.data / self.name,
        ]
        tags = self.out / "tags.csv"
        shell = self._shell()
        modality = self.plan["data_sets"][self.name]["modalities"][0]
        shell.segtoolkit("tags", "cmer", *dataset, "--from-masks", "--modality", modality, "--out", tags)
        shell.segtoolkit(
            "export-pseudolabels", "cmer", "--model", self._trained(self.plan["second_stage_of"]), *dataset,
            "--accept-licence", "--cases", ",".join(self.others), "--tags", tags, "--refine",
            "--between", "background", "--out", folder,
        )  # fmt: skip
        return folder

    def _choose_on(self, model: Path, cases: list[Case]) -> None:
        """Write the thresholds that are best for cases into a card."""
        mapper = load(model)
        scores = evaluate(mapper, cases, self._values, How(), Reporter())
        own, fused = chosen_thresholds(scores, mapper.plan.maps.kind, THRESHOLDS)
        plan = mapper.plan.model_copy(update={"thresholds": own, "fused_threshold": fused})
        card = read_card(model)
        write_card(model, card.model_copy(update={"settings": plan.model_dump(mode="json")}))

    @property
    def _values(self) -> tuple[int, ...]:
        return object_values(self.dataset, None)

    def _scored(self, arm: str, model: Path) -> dict[str, Any]:
        """DSC of the test patient, by map: at the model's threshold, and at 0.5."""
        mapper = load(model)
        own = {name: mapper.plan.threshold(name) for name in mapper.plan.map_names}
        how = How(
            thresholds=tuple(sorted({HALF, *own.values()})),
            refining=RefineSettings() if arm == self.plan["second_stage_of"] else None,
        )
        scores = evaluate(mapper, [self.dataset.case(self.test)], self._values, how, Reporter())
        if scores.failures:
            raise next(iter(scores.failures.values()))
        (by_map,) = scores.cases.values()
        found: dict[str, Any] = {"thresholds": own}
        for name, by_how in by_map.items():
            dsc = dict(zip(how.thresholds, by_how["directed"][self.test].dsc.tolist(), strict=True))
            found[name] = {"own": dsc[own.get(name, HALF)], "half": dsc[HALF]}
        return found


def rows_of(scores: dict[str, Any], plan: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Of one piece: arm -> DSC of the fused map at both thresholds."""
    rows = {arm: found[FUSED] for arm, found in scores.items()}
    refined = scores.get(plan["second_stage_of"])
    if refined is not None:
        rows[REFINEMENT] = {"own": refined[REFINED]["own"], "half": refined[REFINED_AT_HALF]["half"]}
    return rows


def table(pieces: list[Piece], plan: dict[str, Any], order: list[str]) -> tuple[str, dict[str, Any]]:
    """Mean over patients and seeds; the spread is that of the means of the seeds, and that of patients."""
    lines, results = [], {}
    for name in plan["data_sets"]:
        own = [piece for piece in pieces if piece.name == name]
        if not own:
            continue
        every = [
            (piece, rows_of(json.loads((piece.out / "scores.json").read_text(encoding="utf-8")), plan))
            for piece in own
        ]
        lines += [
            f"| {name} | DSC at the chosen threshold | over seeds | over patients | DSC at 0.5 | over seeds"
            " | over patients |",
            "|---|---|---|---|---|---|---|",
        ]
        results[name] = {}
        for arm in order:
            cells, facts = [], {}
            for which in ("own", "half"):
                values = [(piece, rows[arm][which]) for piece, rows in every if arm in rows]
                if not values:
                    break
                by_seed = _means([(piece.seed, value) for piece, value in values])
                by_patient = _means([(piece.test, value) for piece, value in values])
                mean = statistics.mean(value for _, value in values)
                cells += [f"{mean:.3f}", _spread(by_seed), _spread(by_patient)]
                facts[which] = {"mean": mean, "by_seed": by_seed, "by_patient": by_patient}
            if cells:
                lines.append(f"| {arm} | {' | '.join(cells)} |")
                results[name][arm] = facts
        lines.append("")
    return "\n".join(lines), results


def _means(values: list[tuple[Any, float]]) -> dict[str, float]:
    keys = sorted({str(key) for key, _ in values})
    return {key: statistics.mean(value for own, value in values if str(own) == key) for key in keys}


def _spread(means: dict[str, float]) -> str:
    return f"± {statistics.stdev(means.values()):.3f}" if len(means) > 1 else "-"


def main() -> int:
    """Train and score what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each data set")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "weak_labels")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", help="data sets (default: all)")
    parser.add_argument("--tests", nargs="+", help="test patients (default: all)")
    parser.add_argument("--arms", nargs="+", help="trainings (default: all but the ideas)")
    parser.add_argument("--steps", type=int, help="of each training, to try the command")
    parser.add_argument("--at-once", type=int, default=2, help="trainings that run at the same time")
    options = parser.parse_args()
    plan = json.loads((HERE / "plan.json").read_text(encoding="utf-8"))
    for one in plan["data_sets"].values():
        one["description"] = str(ROOT / one["description"])
    arms = tuple(options.arms or [*plan["arms"], SECOND, FULL])
    out, data = options.out.resolve(), options.data.resolve()
    pieces = []
    for seed in options.seeds:
        for name, one in plan["data_sets"].items():
            if options.only is not None and name not in options.only:
                continue
            for test in Dataset.open(one["description"], data / name).ids:
                if options.tests is None or test in options.tests:
                    folder = out / name / f"test{test}" / f"seed{seed}"
                    pieces.append(Piece(name, test, seed, plan, data, folder, options.steps, arms))
    run_all(pieces, options.at_once)
    order = [*plan["arms"], REFINEMENT, *plan["ideas"], SECOND, FULL]
    text, results = table(pieces, plan, order)
    write_text(out / "table.md", text + "\n")
    write_json(out / "table.json", results)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
