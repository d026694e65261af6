"""What PDCR and UAFR are worth in 3-D, by nnU-Net's own commands; see docs/pdcr-uafr.md.

    python Testing/contrastive/hippocampus.py --data FOLDER_OF_DATA_SETS --out runs/hippocampus

For each seed and share of the labels: nnU-Net's trainer, with each part and with both, from the same weights
on the same batches. A seed has a third of the patients for the test, and draws its own share of the others.
nnU-Net plans and preprocesses; its plans are then cut down in patch, batch, channels and convolutions
(``hippocampus.json``), for all trainings alike. What is finished is not done again, nor what
``hippocampus-scores.json`` beside this file keeps (``--keep`` adds to it; ``--anew`` asks for all), and what
was cut off goes on (``--c``): stop the command and give it once more as you like.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.roles import drawn_cases
from SegToolkitLib.dataset.splits import (
    NNUNET_NAME,
    Split,
    file_identifier,
    make_splits,
    write_nnunet_splits,
)
from SegToolkitLib.evaluation.scoring import OrganScore, generic, score_case
from SegToolkitLib.evaluation.tables import write_csv
from SegToolkitLib.methods.nnunet.package import environment, require_nnunet
from SegToolkitLib.volume import read_volume

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from experiment import ROOT, Kept, Shell, add_keeping, run_all  # noqa: E402
from table import table  # noqa: E402

FOLDER = "msd_hippocampus"
# Row -> what it is called in the table, and the trainer.
ROWS = {"baseline": "nnU-Net alone", "pdcr": "+ PDCR", "uafr": "+ UAFR", "both": "both"}
TRAINERS = {
    "baseline": "SeededTrainer",
    "pdcr": "SeededPDCR",
    "uafr": "SeededUAFR",
    "both": "SeededPDCR_UAFR",
}
MEASURES = {"dice": "Dice", "iou": "IoU", "nsd": "NSD"}
CONFIGURATION, PLANS, SMALL = "3d_fullres", "nnUNetPlans", "smallPlans"
# Of timm, which nnU-Net imports while it looks for trainers, and nothing here needs.
STANDINS = ROOT / "Testing" / "Lib" / "nnunet_standins"


@dataclass(frozen=True)
class Home:
    """nnU-Net's folders below ``out``, and the data set in them.

    Args:
        plan: content of ``hippocampus.json``.
        data: folder of the volumes.
        out: of the experiment.
        threads: of each program.
    """

    plan: dict[str, Any]
    data: Path
    out: Path
    threads: int = 1

    @property
    def dataset(self) -> Dataset:
        """Of the patients, each with one scan."""
        return Dataset.open(self.out / "dataset.json", self.data)

    @property
    def name(self) -> str:
        """Of the data set for nnU-Net."""
        return f"Dataset{self.plan['number']:03d}_{self.plan['dataset']['name']}"

    def program(self, log: Path, name: str, *words: Any, augmenting: int = 0) -> None:
        """Run one of nnU-Net's programs; one that fails ends the experiment.

        Args:
            log: file that grows.
            name: of the program.
            words: its arguments.
            augmenting: processes that draw batches; 0 draws in the training's own.
        """
        command = [str(Path(sys.executable).with_name(name)), *map(str, words)]
        variables = {
            **environment(self.out / "nnunet"),
            "nnUNet_def_n_proc": "1",
            "nnUNet_n_proc_DA": str(augmenting),
            "nnUNet_compile": "0",
            "MPLBACKEND": "Agg",
            # glibc keeps freed memory: its pages would be cleared anew in each step.
            "MALLOC_MMAP_MAX_": "0",
            "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
            "OMP_NUM_THREADS": str(self.threads),
        }
        variables["nnUNet_extTrainer"] += os.pathsep + str(HERE / "nnunet_trainers")
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        if None in map(importlib.util.find_spec, ("timm", "torchvision")):
            paths.append(str(STANDINS))
        variables["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"$ {' '.join([name, *command[1:]])}\n")
            file.flush()
            subprocess.run(command, check=True, stdout=file, stderr=file, env={**os.environ, **variables})

    def prepare(self) -> None:
        """Bring the cases to nnU-Net, let it plan and preprocess, and cut its plans down."""
        self.out.mkdir(parents=True, exist_ok=True)
        preprocessed = self.out / "nnunet" / "preprocessed" / self.name
        small, log = preprocessed / f"{SMALL}.json", self.out / "prepare.txt"
        write_json(self.out / "dataset.json", self.plan["dataset"])
        if not (self.out / "nnunet" / "raw" / self.name).is_dir():
            Shell(log, self.threads).segtoolkit(
                "prepare", "nnunet", "--dataset", self.out / "dataset.json", "--data", self.data,
                "--home", self.out / "nnunet", "--number", self.plan["number"],
            )  # fmt: skip
        if not small.is_file():
            # Planning takes the processes that augment for threads, of which it wants one.
            self.program(
                log, "nnUNetv2_plan_and_preprocess", "-d", self.plan["number"], "-c", CONFIGURATION,
                "-npfp", 1, "-np", 1, "--verify_dataset_integrity", augmenting=1,
            )  # fmt: skip
        dataset = self.dataset
        write_nnunet_splits(dataset, splits_of(dataset, self.plan), preprocessed / NNUNET_NAME)
        planned = json.loads((preprocessed / f"{PLANS}.json").read_text(encoding="utf-8"))
        plans = cut_down(planned, self.plan)
        if small.is_file() and json.loads(small.read_text(encoding="utf-8")) != plans:
            raise SystemExit(
                f"{self.out} was begun with other plans or another budget: choose another --out."
            )
        write_json(small, plans)


def splits_of(dataset: Dataset, plan: dict[str, Any]) -> list[Split]:
    """A fold of nnU-Net's for each share and seed, as :func:`fold_of` numbers them.

    Its "val" is the test: nnU-Net segments it with the last weights, and nothing is chosen by it.
    """
    splits = make_splits(dataset, plan["folds"])
    found = []
    for share in plan["shares"]:
        for seed in plan["seeds"]:
            one = splits[seed % plan["folds"]]
            count = max(1, round(share * len(one.train)))
            found.append(Split(drawn_cases(one.train, count, seed), one.val))
    return found


def fold_of(plan: dict[str, Any], share: float, seed: int) -> int:
    """Number of the fold of a share and seed."""
    return int(plan["shares"].index(share) * len(plan["seeds"]) + plan["seeds"].index(seed))


def cut_down(planned: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    """nnU-Net's plans with the experiment's patch, batch, channels and budget."""
    found: dict[str, Any] = {**json.loads(json.dumps(planned)), "plans_name": SMALL, "budget": plan["budget"]}
    configuration = found["configurations"][CONFIGURATION]
    configuration |= plan["configuration"]
    configuration["architecture"]["arch_kwargs"] |= plan["network"]
    return found


@dataclass(frozen=True)
class Training:
    """One share of the labels, seed and row."""

    home: Home
    share: float
    seed: int
    row: str
    kept: Kept
    name: str = "hippocampus"

    @property
    def key(self) -> str:
        """Of its scores among those that are kept."""
        return f"{round(100 * self.share)}/seed{self.seed}/{self.row}"

    def run(self) -> None:
        """Train and test, as far as it is not done."""
        if self.scores() is not None:
            return
        if not (self._folder / "validation" / "summary.json").is_file():
            self._results.parent.mkdir(parents=True, exist_ok=True)
            begun = any(self._folder.glob("checkpoint_*.pth"))
            self.home.program(
                self._results.parent / "log.txt", "nnUNetv2_train", self.home.plan["number"], CONFIGURATION,
                fold_of(self.home.plan, self.share, self.seed), "-tr", TRAINERS[self.row], "-p", SMALL,
                "-device", "cpu", *(["--c"] if begun else []),
            )  # fmt: skip
        rows = self._tested()
        write_csv(self._results.with_name("cases.csv"), rows)
        write_json(self._results, means_of(rows))
        print(f"{self.row:8} {100 * self.share:g} % seed {self.seed}: {self.scores()}", flush=True)

    def scores(self) -> dict[str, float] | None:
        """Means over the test cases in per cent; None if it is not done."""
        if not self._results.is_file():
            kept: dict[str, float] | None = self.kept.of(self.key)
            return kept
        found: dict[str, float] = json.loads(self._results.read_text(encoding="utf-8"))
        return found

    def _tested(self) -> list[OrganScore]:
        dataset, plan = self.home.dataset, self.home.plan
        protocol = generic(plan["dataset"]["labels"], plan["tolerance_mm"])
        rows = []
        for id in splits_of(dataset, plan)[fold_of(plan, self.share, self.seed)].val:
            case = dataset.case(id)
            assert case.label is not None
            reference = read_volume(case.label, label=True)
            result = read_volume(self._folder / "validation" / f"{file_identifier(case)}.nii.gz", label=True)
            assert result.same_grid(reference), f"{case.id} lies elsewhere"
            rows += score_case(id, reference.voxels, result.voxels, reference.spacing[::-1], protocol)
        return rows

    @property
    def _folder(self) -> Path:
        model = f"{TRAINERS[self.row]}__{SMALL}__{CONFIGURATION}"
        fold = f"fold_{fold_of(self.home.plan, self.share, self.seed)}"
        return self.home.out / "nnunet" / "results" / self.home.name / model / fold

    @property
    def _results(self) -> Path:
        return self.home.out / "test" / self.key / "results.json"


def means_of(rows: Sequence[OrganScore]) -> dict[str, float]:
    """Mean over the structures of a case, then over the cases, in per cent; of what has a value."""
    cases: dict[str, list[OrganScore]] = {}
    for row in rows:
        if not math.isnan(row.dsc):
            cases.setdefault(row.case, []).append(row)
    values = {
        "dice": lambda row: row.dsc,
        "iou": lambda row: row.dsc / (2 - row.dsc),
        "nsd": lambda row: row.nsd,
    }
    return {
        name: 100 * statistics.mean(statistics.mean(map(value, own)) for own in cases.values())
        for name, value in values.items()
    }


def main() -> int:
    """Run what is missing, then write the table."""
    plan = json.loads((HERE / "hippocampus.json").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help=f"folder with the folder {FOLDER}")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "hippocampus")
    parser.add_argument("--shares", nargs="+", type=float, default=plan["shares"], choices=plan["shares"])
    parser.add_argument("--seeds", nargs="+", type=int, default=plan["seeds"], choices=plan["seeds"])
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--steps", type=int, help="of each training, to try the command")
    parser.add_argument("--at-once", type=int, default=2, help="trainings that run at the same time")
    parser.add_argument("--threads", type=int, default=1, help="of each of them")
    add_keeping(parser)
    options = parser.parse_args()
    if options.keep and options.steps is not None:
        parser.error("scores of a trial (--steps) are not to be kept")
    require_nnunet(finds_trainers=True)
    if options.steps is not None:
        plan["budget"] = {"epochs": 1, "iterations_per_epoch": options.steps, "save_every": 1}
    home = Home(plan, options.data.resolve() / FOLDER, options.out.resolve(), options.threads)
    kept = Kept(HERE / "hippocampus-scores.json", plan, options.anew)
    trainings = [
        Training(home, share, seed, row, kept)
        for seed in options.seeds
        for share in options.shares
        for row in options.rows
    ]
    if (home.out / "nnunet").exists() or any(one.scores() is None for one in trainings):
        home.prepare()
    with kept.adding(trainings, options.keep):
        run_all(trainings, options.at_once)
    ordered = sorted(trainings, key=lambda one: (one.share, list(ROWS).index(one.row)))
    print(table(ordered, home.out, ROWS, MEASURES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
