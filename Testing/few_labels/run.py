"""What unlabelled volumes are worth where few are labelled, by the product's own commands; see docs/cssn.md.

    python Testing/few_labels/run.py --data FOLDER_OF_DATA_SETS --out runs/few-labels

For each data set and seed: a coarse model of the labelled volumes, then four fine ones: labels alone, cross
supervision by the released and by the corrected rule, and the corrected one with unlabelled volumes chosen by
reliability. A seed has a fold of its own for the test, so with as many seeds as folds each patient is tested
once. What is finished is not done again: stop the command and give it once more as you like.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_json, write_text
from SegToolkitLib.evaluation.tables import write_csv

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from experiment import ROOT, Shell, describe, run_all, settings_words, spread  # noqa: E402

ROWS = {
    "supervised": {"cross.enabled": False},
    "released": {"cross.pseudo_labels": "released"},
    "corrected": {"cross.pseudo_labels": "corrected"},
    "corrected-uif": {"cross.pseudo_labels": "corrected"},
}
TITLES = {
    "supervised": "labels alone",
    "released": "cross supervision, released rule",
    "corrected": "cross supervision, corrected rule",
    "corrected-uif": "the same, unlabelled volumes chosen by reliability",
}


@dataclass(frozen=True)
class Trial:
    """One data set and seed; its files lie below ``out``."""

    name: str
    seed: int
    plan: dict[str, Any]
    data: Path
    out: Path
    threads: int

    def run(self) -> None:
        """Everything that is not there yet."""
        self.out.mkdir(parents=True, exist_ok=True)
        self._describe()
        self._train("coarse", "coarse", {"cross.enabled": False})
        self._train("supervised", "fine", ROWS["supervised"])
        table = self.out / "selection.csv"
        if not table.is_file():
            self._shell.segtoolkit(
                "select-unlabeled", "cssn", "--run", self.out / "supervised", *self._dataset,
                "--count", self.plan["keep"], "--keep", 1, "--truth", "--accept-licence", "--out", table,
            )  # fmt: skip
        for row, settings in ROWS.items():
            if row != "supervised":
                self._train(row, "fine", settings, selection=table if row == "corrected-uif" else None)
        for row in ROWS:
            self._test(row)

    @property
    def _dataset(self) -> tuple[Any, ...]:
        return "--dataset", self.out / "dataset.json", "--data", self.data

    @property
    def _shell(self) -> Shell:
        return Shell(self.out / "log.txt", self.threads)

    def _describe(self) -> None:
        describe(ROOT / self.plan["description"], self.out / "dataset.json", self.plan["folds"])
        for stage in ("coarse", "fine"):
            write_json(self.out / f"{stage}.json", self.plan[stage])

    def _train(self, row: str, stage: str, settings: dict[str, Any], selection: Path | None = None) -> None:
        places = {"coarse": self.out / "coarse" / "result" / "model"} if stage == "fine" else {}
        if selection is not None:
            places["selection"] = selection
        chosen = {
            "data.fold": self.seed % self.plan["folds"],
            "data.labelled_count": self.plan["labelled"],
            "seed": self.seed,
            "use_best": False,  # the held-out fold is the test and may decide nothing
            **settings,
        }
        self._shell.train(
            self.out / row, "cssn", "--stage", stage, "--config", self.out / f"{stage}.json", *self._dataset,
            *settings_words(chosen),
            *(word for name, path in places.items() for word in ("--place", f"{name}={path}")),
            "--name", f"{self.name}-{row}-{self.seed}",
        )  # fmt: skip

    def _test(self, row: str) -> None:
        results = self.out / row / "test"
        if (results / "results.json").is_file():
            return
        model = self.out / row / "result" / "model"
        self._shell.segtoolkit(
            "evaluate", "cssn", "--protocol", "generic", "--tolerance", self.plan["tolerance_mm"],
            "--model", model, *self._dataset, "--accept-licence", "--out", results,
        )  # fmt: skip


def table(trials: Iterable[Trial], out: Path) -> str:
    """Collect the finished tests: a CSV beside them, and a Markdown table of means over the seeds.

    A seed's figure is the mean over its test cases and organs; the spread is the standard deviation over
    seeds. "Gain" compares with labels alone, seed by seed.
    """
    found: dict[tuple[str, str], dict[int, dict[str, float]]] = {}
    records = []
    for trial in trials:
        for row in ROWS:
            path = trial.out / row / "test" / "results.json"
            if path.is_file():
                scores = json.loads(path.read_text(encoding="utf-8"))["summary"]
                figures = {measure: 100 * scores[measure]["cases"]["mean"] for measure in ("dsc", "nsd")}
                found.setdefault((trial.name, row), {})[trial.seed] = figures
                records.append({"set": trial.name, "row": row, "seed": trial.seed, **figures})
    write_csv(out / "table.csv", records)
    lines = ["| data set | training | seeds | DSC | NSD | gain in DSC |", "|---|---|---|---|---|---|"]
    for (name, row), seeds in found.items():
        base = found.get((name, "supervised"), {})
        gains = [figures["dsc"] - base[seed]["dsc"] for seed, figures in seeds.items() if seed in base]
        cells = [spread([figures[measure] for figures in seeds.values()]) for measure in ("dsc", "nsd")]
        gain = spread(gains, sign="+") if row != "supervised" and gains else ""
        lines.append(f"| {name} | {TITLES[row]} | {len(seeds)} | {' | '.join(cells)} | {gain} |")
    text = "\n".join(lines)
    write_text(out / "table.md", text + "\n")
    return text


def main() -> int:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each data set")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "few-labels")
    parser.add_argument("--sets", nargs="+", default=["chaos_mr_t2", "openkbp_ct"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--at-once", type=int, default=2, help="trials that run at the same time")
    parser.add_argument("--threads", type=int, default=1, help="of each of them")
    options = parser.parse_args()
    trials = [
        Trial(name, seed, json.loads((HERE / f"{name}.json").read_text(encoding="utf-8")),
              options.data / name, options.out.resolve() / name / f"seed{seed}", options.threads)
        for seed in options.seeds
        for name in options.sets
    ]  # fmt: skip
    run_all(trials, options.at_once)
    print(table(trials, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
