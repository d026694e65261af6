"""The experiments and the bench of PDCR and UAFR: who is trained on, what is compared, what is told."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.evaluation.scoring import OrganScore

TESTING = Path(__file__).parents[1]
CONTRASTIVE = TESTING / "contrastive"
ROWS = {"baseline": "alone", "pdcr": "+ PDCR"}
PLAN: dict[str, Any] = json.loads((CONTRASTIVE / "hippocampus.json").read_text(encoding="utf-8"))


def loaded(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def experiments() -> Iterator[dict[str, ModuleType]]:
    """The modules by name, found as they are when their folder's scripts run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TESTING))
        patch.syspath_prepend(str(CONTRASTIVE))
        files = [CONTRASTIVE / "table.py", CONTRASTIVE / "hippocampus.py", TESTING / "bench_contrastive.py"]
        yield {file.stem: loaded(file) for file in files}
        for file in files:
            sys.modules.pop(file.stem, None)


@dataclass(frozen=True)
class Done:
    """A training of the table."""

    row: str
    seed: int
    dice: float | None
    name: str = "made"
    share: float = 0.25

    def scores(self) -> dict[str, float] | None:
        return None if self.dice is None else {"dice": self.dice, "nsd": 90.0}


def test_gains_are_taken_seed_by_seed_and_what_is_not_done_is_left_out(
    experiments: dict[str, ModuleType], tmp_path: Path
) -> None:
    trainings = [
        *(Done("baseline", seed, dice) for seed, dice in enumerate((50.0, 70.0, None))),
        # The third has nothing to compare with; its score counts.
        *(Done("pdcr", seed, dice) for seed, dice in enumerate((53.0, 71.0, 80.0))),
    ]
    text = experiments["table"].table(trainings, tmp_path, ROWS, {"dice": "Dice", "nsd": "NSD"})
    lines = text.splitlines()
    assert lines[0] == "| data set | labels | training | seeds | Dice | NSD | gain in Dice |"
    assert lines[2] == "| made | 25 % | alone | 2 | 60.0 ± 14.1 | 90.0 ± 0.0 |  |"
    assert lines[3] == "| made | 25 % | + PDCR | 3 | 68.0 ± 13.7 | 90.0 ± 0.0 | +2.0 ± 1.4 |"
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == text + "\n"
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["0", "1", "0", "1", "2"]


def test_no_case_of_the_test_trains_and_a_share_is_a_part_of_all_labels(
    experiments: dict[str, ModuleType], tmp_path: Path
) -> None:
    for number in range(1, 25):
        for kind in ("image", "label"):
            (tmp_path / f"{kind}_{number:03d}.nii.gz").touch()
    (tmp_path / "description.json").write_text(json.dumps(PLAN["dataset"]), encoding="utf-8")
    dataset = Dataset.open(tmp_path / "description.json", tmp_path)
    hippocampus = experiments["hippocampus"]
    splits = hippocampus.splits_of(dataset, PLAN)
    assert len(splits) == len(PLAN["shares"]) * len(PLAN["seeds"])
    by_seed = {}
    for seed in PLAN["seeds"]:
        quarter, full = (splits[hippocampus.fold_of(PLAN, share, seed)] for share in (0.25, 1.0))
        assert quarter.val == full.val
        assert set(full.train) | set(full.val) == set(dataset.ids)
        assert not set(full.train) & set(full.val)
        assert set(quarter.train) < set(full.train)
        assert len(quarter.train) == len(full.train) / 4
        by_seed[seed] = quarter
    assert sorted(id for one in by_seed.values() for id in one.val) == sorted(dataset.ids)


def test_plans_are_cut_down_alike_for_all_and_say_the_budget(experiments: dict[str, ModuleType]) -> None:
    kernels = [[3, 3, 3]] * 4
    planned = {
        "plans_name": "nnUNetPlans",
        "configurations": {
            "3d_fullres": {
                "batch_size": 9,
                "spacing": [1, 1, 1],
                "architecture": {
                    "arch_kwargs": {"features_per_stage": [32, 64, 128, 256], "kernel_sizes": kernels}
                },
            }
        },
    }
    before = json.dumps(planned)
    found = experiments["hippocampus"].cut_down(planned, PLAN)
    assert json.dumps(planned) == before
    configuration = found["configurations"]["3d_fullres"]
    assert (configuration["batch_size"], configuration["spacing"]) == (2, [1, 1, 1])
    assert configuration["architecture"]["arch_kwargs"] == {**PLAN["network"], "kernel_sizes": kernels}
    # The network halves three times.
    assert all(size % 8 == 0 for size in configuration["patch_size"])
    assert found["plans_name"] != planned["plans_name"]
    assert found["budget"] == PLAN["budget"]


def test_means_are_of_structures_then_of_cases(experiments: dict[str, ModuleType]) -> None:
    def scored(case: str, dsc: float, nsd: float) -> OrganScore:
        return OrganScore(case, "any", 1, dsc, nsd, 1.0, 1.0, 1.0, 1.0)

    rows = [
        scored("1", 0.8, 1.0),
        scored("1", 0.5, 0.5),
        scored("2", 1.0, 0.9),
        scored("2", math.nan, math.nan),
    ]
    found = experiments["hippocampus"].means_of(rows)
    assert found == pytest.approx(
        {"dice": (65 + 100) / 2, "iou": ((80 / 1.2 + 50 / 1.5) / 2 + 100) / 2, "nsd": (75 + 90) / 2}
    )


@pytest.mark.parametrize(("slower", "misses"), [(1.2, 0), (1.3, 1)])
def test_costs_are_ratios_within_a_round_and_too_high_ones_are_told(
    experiments: dict[str, ModuleType], slower: float, misses: int
) -> None:
    bench = experiments["bench_contrastive"]

    def rows(factor: float) -> list[dict[str, float]]:
        # The machine gets slower; the ratio stays.
        return [
            {"seconds": 2 * factor * base, "computing_seconds": factor * base, "peak_memory_mb": 100 * base}
            for base in (1.0, 2.0, 8.0)
        ]

    found = bench.summary({"baseline": rows(1.0), "pdcr": rows(slower)})
    assert found["pdcr"]["times_computing_seconds"] == pytest.approx(slower)
    assert found["pdcr"]["times_seconds_range"] == pytest.approx([slower, slower])
    assert found["pdcr"]["times_seconds_quickest"] == pytest.approx(slower)
    assert found["pdcr"]["peak_memory_mb"] == 800
    assert found["baseline"]["seconds"] == 4
    told = bench.misses_of({"3-D": {"train": found}})
    assert len(told) == misses
    assert all("3-D, train, pdcr: 1.300 times" in one for one in told)
