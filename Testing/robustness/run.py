"""What cooperative training is worth on worse images, by the product's own commands; see docs/cooperative.md.

    python Testing/robustness/run.py --data FOLDER_OF_DATA_SETS --out runs/robustness

For each seed, standard and cooperative training on the same ten patients, with as many updates and the same
batches, the cooperative one with a warm-up; the patients of the seed's fold, whom neither has seen, are the
test, as they are and with each kind of artefact. What is finished is not done again, nor what
``scores.json`` beside this file keeps (``--keep`` adds to it; ``--anew`` asks for all): stop the command and
give it once more as you like.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_json, write_text
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.splits import make_splits

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from experiment import ROOT, Kept, Shell, add_keeping, describe, run_all, settings_words, spread  # noqa: E402

MODES = ("standard", "cooperative")
CLEAN, MEAN = "clean", "mean"
# Way of use -> structure (or MEAN) -> set of volumes -> mean Dice in per cent.
Scores = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Training:
    """One mode and seed; its files lie below ``out``."""

    mode: str
    seed: int
    plan: dict[str, Any]
    data: Path
    out: Path
    threads: int
    kept: Kept

    @property
    def key(self) -> str:
        """Of its scores among those that are kept."""
        return f"seed{self.seed}/{self.mode}"

    def run(self) -> None:
        """Train and test, as far as it is not done."""
        if self.scores() is not None:
            return
        self.out.mkdir(parents=True, exist_ok=True)
        description, config = self.out / "dataset.json", self.out / "settings.json"
        describe(ROOT / self.plan["description"], description, self.plan["folds"])
        write_json(config, self.plan["training"])
        settings = {
            "step.mode": self.mode,
            **({"optimiser.warm_up": self._warm_up} if self.mode == "cooperative" else {}),
            "data.fold": self.seed % self.plan["folds"],
            "data.cases": self._cases(description),
            "seed": self.seed,
            "use_best": False,  # the held-out fold is the test and may decide nothing
        }
        shell = Shell(self.out / "log.txt", self.threads)
        shell.train(
            self.folder, "cooperative", "--config", config, "--dataset", description, "--data", self.data,
            *settings_words(settings), "--name", f"acdc-{self.mode}-{self.seed}",
        )  # fmt: skip
        shell.segtoolkit(
            "evaluate", "cooperative", "--model", f"{self.mode}={self.folder / 'result' / 'model'}",
            "--dataset", description, "--data", self.data, "--kinds", "all",
            "--repeats", self.plan["repeats"], "--tolerance", "none", "--accept-licence", "--out", self._test,
        )  # fmt: skip
        write_json(self._done, _means(self._test / "scores.csv"))
        print(f"{self.key}: {self.scores()}", flush=True)

    def scores(self) -> Scores | None:
        """None if it is not done."""
        if not self._done.is_file():
            kept: Scores | None = self.kept.of(self.key)
            return kept
        found: Scores = json.loads(self._done.read_text(encoding="utf-8"))
        return found

    @property
    def _warm_up(self) -> int:
        """Updates without hard examples."""
        optimiser = self.plan["training"]["optimiser"]
        return round(self.plan["warm_up"] * optimiser["epochs"] * optimiser["steps_per_epoch"])

    @property
    def _test(self) -> Path:
        return self.out / "test"

    @property
    def _done(self) -> Path:
        return self.out / "scores.json"

    @property
    def folder(self) -> Path:
        """Of the run."""
        return self.out / "run"

    def _cases(self, description: Path) -> list[str]:
        """Of the first patients of the fold's training, as many as the plan says."""
        dataset = Dataset.open(description, self.data)
        train = make_splits(dataset, self.plan["folds"])[self.seed % self.plan["folds"]].train
        patients = sorted({dataset.patients[id] for id in train})[: self.plan["patients"]]
        return [id for id in train if dataset.patients[id] in patients]


def _means(path: Path) -> Scores:
    """Means over the test volumes of a CSV; what neither label nor result has counts for nothing."""
    values: dict[str, dict[str, dict[str, list[float]]]] = {}
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["dsc"] != "nan":
                by_set = values.setdefault(row["variant"], {}).setdefault(row["organ"], {})
                by_set.setdefault(row["set"], []).append(100 * float(row["dsc"]))
    found: Scores = {}
    for variant, organs in values.items():
        means = {
            organ: {name: statistics.mean(own) for name, own in by_set.items()}
            for organ, by_set in organs.items()
        }
        sets = next(iter(means.values()))
        together = {name: statistics.mean(one[name] for one in means.values()) for name in sets}
        found[variant] = {**means, MEAN: together}
    return found


def table(trainings: Iterable[Training]) -> str:
    """A Markdown table of means and deviations over the seeds; last the mean of all artefacts."""
    found: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    for one in trainings:
        for variant, organs in (one.scores() or {}).items():
            for organ, sets in organs.items():
                worse = statistics.mean(dice for name, dice in sets.items() if name != CLEAN)
                found.setdefault((one.mode, variant, organ), []).append({**sets, "worse images": worse})
    if not found:
        return "Nothing is finished."
    sets = list(next(iter(found.values()))[0])
    lines = [f"| training | structure | seeds | {' | '.join(sets)} |", f"|---|---|---|{'---|' * len(sets)}"]
    for (mode, variant, organ), seeds in found.items():
        cells = [spread([one[name] for one in seeds]) for name in sets]
        lines.append(f"| {mode}, {variant} | {organ} | {len(seeds)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Train and test what is missing, then write the table."""
    plan = json.loads((HERE / "acdc.json").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each data set")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "robustness")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--updates", type=int, help="of each training, if not as planned")
    parser.add_argument("--at-once", type=int, default=2, help="trainings that run at the same time")
    parser.add_argument("--threads", type=int, default=1, help="of each of them")
    add_keeping(parser)
    options = parser.parse_args()
    if options.updates is not None:
        optimiser = plan["training"]["optimiser"]
        optimiser["epochs"] = max(1, options.updates // optimiser["steps_per_epoch"])
    out, data = options.out.resolve(), options.data.resolve() / "acdc"
    kept = Kept(HERE / "scores.json", plan, options.anew)
    trainings = [
        Training(mode, seed, plan, data, out / f"seed{seed}" / mode, options.threads, kept)
        for seed in options.seeds
        for mode in MODES
    ]
    with kept.adding(trainings, options.keep):
        run_all(trainings, options.at_once)
    text = table(sorted(trainings, key=lambda one: MODES.index(one.mode)))
    write_text(out / "table.md", text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
