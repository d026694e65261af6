"""What cooperative training is worth on worse images, by the product's own commands; see docs/cooperative.md.

    python Testing/robustness/run.py --data FOLDER_OF_DATA_SETS --out runs/robustness

For each seed, standard and cooperative training on the same ten patients, with as many updates and the same
batches; the patients of the seed's fold, whom neither has seen, are the test, as they are and with each kind
of artefact. What is finished is not done again: stop the command and give it once more as you like.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.splits import make_splits

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from experiment import ROOT, Shell, describe, run_all, settings_words  # noqa: E402

MODES = ("standard", "cooperative")


@dataclass(frozen=True)
class Training:
    """One mode and seed; its files lie below ``out``."""

    mode: str
    seed: int
    plan: dict[str, Any]
    data: Path
    out: Path
    threads: int

    def run(self) -> None:
        """Train."""
        self.out.mkdir(parents=True, exist_ok=True)
        description, config = self.out / "dataset.json", self.out / "settings.json"
        describe(ROOT / self.plan["description"], description, self.plan["folds"])
        write_json(config, self.plan["training"])
        settings = {
            "step.mode": self.mode,
            "data.fold": self.seed % self.plan["folds"],
            "data.cases": self._cases(description),
            "seed": self.seed,
            "use_best": False,  # the held-out fold is the test and may decide nothing
        }
        Shell(self.out / "log.txt", self.threads).train(
            self.folder, "cooperative", "--config", config, "--dataset", description, "--data", self.data,
            *settings_words(settings), "--name", f"acdc-{self.mode}-{self.seed}",
        )  # fmt: skip

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


def main() -> int:
    """Train what is missing, then test all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each data set")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "robustness")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--updates", type=int, help="of each training (default: as planned, 2000)")
    parser.add_argument("--at-once", type=int, default=2, help="trainings that run at the same time")
    parser.add_argument("--threads", type=int, default=1, help="of each of them")
    options = parser.parse_args()
    plan = json.loads((HERE / "acdc.json").read_text(encoding="utf-8"))
    if options.updates is not None:
        optimiser = plan["training"]["optimiser"]
        optimiser["epochs"] = max(1, options.updates // optimiser["steps_per_epoch"])
    out, data = options.out.resolve(), options.data.resolve() / "acdc"
    trainings = [
        Training(mode, seed, plan, data, out / f"seed{seed}" / mode, options.threads)
        for seed in options.seeds
        for mode in MODES
    ]
    run_all(trainings, options.at_once)
    models = [
        word
        for one in sorted(trainings, key=lambda one: MODES.index(one.mode))
        for word in ("--model", f"{one.mode}={one.folder / 'result' / 'model'}")
    ]
    Shell(out / "log.txt", options.at_once * options.threads).segtoolkit(
        "evaluate", "cooperative", *models, "--dataset", trainings[0].out / "dataset.json", "--data", data,
        "--kinds", "all", "--repeats", plan["repeats"], "--tolerance", "none", "--accept-licence",
        "--out", out / "test",
    )  # fmt: skip
    print((out / "test" / "table.md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
