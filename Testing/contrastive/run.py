"""What PDCR and UAFR are worth in 2-D, by the product's own commands; see docs/pdcr-uafr.md.

    python Testing/contrastive/run.py --data FOLDER_OF_DATA_SETS --out runs/contrastive

For each data set, seed and share of the labels: the same training without both parts, with each and with
both. A seed has a fold of its own for the test, and draws its own share of the training cases. What is
finished is not done again, nor what ``scores.json`` beside this file keeps (``--keep`` adds to it; ``--anew``
asks for all): stop the command and give it once more as you like.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_json

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from experiment import ROOT, Kept, Shell, add_keeping, describe, run_all, settings_words  # noqa: E402
from table import table  # noqa: E402

SETS = ["isic2017", "acdc"]
# Variant of the command line -> what it is called in the table.
ROWS = {"baseline": "cross-entropy alone", "h-pdcr": "+ PDCR", "uafr": "+ UAFR", "full": "both"}
MEASURES = {"foreground_dice": "Dice", "foreground_iou": "IoU"}


@dataclass(frozen=True)
class Training:
    """One data set, share of the labels, seed and variant; its files lie below ``out``."""

    name: str
    share: float
    seed: int
    row: str
    plan: dict[str, Any]
    data: Path
    out: Path
    threads: int
    kept: Kept

    @property
    def key(self) -> str:
        """Of its scores among those that are kept."""
        return f"{self.name}/{round(100 * self.share)}/seed{self.seed}/{self.row}"

    def run(self) -> None:
        """Train and test, as far as it is not done."""
        if self.scores() is not None:
            return
        self.out.mkdir(parents=True, exist_ok=True)
        describe(ROOT / self.plan["description"], self.out / "dataset.json", self.plan["folds"])
        write_json(self.out / "settings.json", self.plan["training"])
        settings = {
            "data.fold": self.seed % self.plan["folds"],
            "data.fraction": self.share,
            "seed": self.seed,
            "use_best": False,  # the held-out fold is the test and may decide nothing
        }
        shell = Shell(self.out / "log.txt", self.threads)
        shell.train(
            self.out / "run", "pdcr_uafr", "--config", self.out / "settings.json", "--variant", self.row,
            *self._dataset, *settings_words(settings), "--name", f"{self.name}-{self.row}-{self.seed}",
        )  # fmt: skip
        shell.segtoolkit(
            "evaluate", "pdcr_uafr", "--model", self.out / "run" / "result" / "model", *self._dataset,
            "--accept-licence", "--out", self._results.parent,
        )  # fmt: skip
        print(f"{self.key}: {self.scores()}", flush=True)

    def scores(self) -> dict[str, float] | None:
        """Means over the test images in per cent; None if it is not done."""
        if not self._results.is_file():
            found: dict[str, float] | None = self.kept.of(self.key)
            return found
        macro = json.loads(self._results.read_text(encoding="utf-8"))["means"]["first"]["macro"]
        return {measure: 100 * macro[measure]["mean"] for measure in MEASURES}

    @property
    def _dataset(self) -> tuple[Any, ...]:
        return "--dataset", self.out / "dataset.json", "--data", self.data

    @property
    def _results(self) -> Path:
        return self.out / "test" / "results.json"


def main() -> int:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each data set")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "contrastive")
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--shares", nargs="+", type=float, default=[0.25, 1.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--at-once", type=int, default=2, help="trainings that run at the same time")
    parser.add_argument("--threads", type=int, default=1, help="of each of them")
    add_keeping(parser)
    options = parser.parse_args()
    out = options.out.resolve()
    plans = {name: json.loads((HERE / f"{name}.json").read_text(encoding="utf-8")) for name in SETS}
    kept = Kept(HERE / "scores.json", plans, options.anew)
    trainings = [
        Training(name, share, seed, row, plans[name], options.data.resolve() / name,
                 out / name / f"{round(100 * share)}" / f"seed{seed}" / row, options.threads, kept)
        for seed in options.seeds
        for name in options.sets
        for share in options.shares
        for row in ROWS
    ]  # fmt: skip
    with kept.adding(trainings, options.keep):
        run_all(trainings, options.at_once)
    ordered = sorted(trainings, key=lambda one: (one.name, one.share, list(ROWS).index(one.row)))
    print(table(ordered, out, ROWS, MEASURES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
