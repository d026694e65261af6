"""What maps taught by slice tags are worth, by the product's own commands; see docs/cmer.md.

    python Testing/weak_labels/run.py --data FOLDER_OF_DATA_SETS --out runs/weak_labels

Every patient is the test once, and nothing else: the others train, three of brats2015 and one of ms_lesion.
None can be spared for validation, so the masks of the training patients, which no loss of tags sees, choose
weights, thresholds, and which map is taken: a modality's or the fused one. Tags are those of the masks. Maps
are refined and learnt by the second stage twice: those of the corrected loss, and those of the training that
did best on the training patients. The second stage learns the refined maps of these, which choose its weights
and threshold as well; where maps show nothing in these patients, it counts as having found nothing. What is
finished is not done again, nor what ``scores.json`` beside this file keeps (``--keep`` adds to it; ``--anew``
asks for all): stop the command and give it once more as you like.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.atomic import write_json, write_text
from SegToolkitLib.dataset.channels import read_channels
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.methods.cmer.cases import object_values
from SegToolkitLib.methods.cmer.plan import FUSED
from SegToolkitLib.methods.cmer.refine import refine
from SegToolkitLib.methods.cmer.refine_settings import RefineSettings
from SegToolkitLib.methods.cmer.segment import CmerMapper, MapResult, load
from SegToolkitLib.volume import read_volume

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from experiment import ROOT, Kept, Shell, add_keeping, run_all, settings_words  # noqa: E402

FULL = "fully supervised"
REFINEMENT, SECOND = "{}, refined", "{}, second stage"
BEST = "best"
HALF = 0.5

Bools = NDArray[np.bool_]


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
    kept: Kept

    @property
    def key(self) -> str:
        """Of its scores among those that are kept."""
        return f"{self.name}/test{self.test}/seed{self.seed}"

    def run(self) -> None:
        """Do what is not done yet."""
        for arm in self.arms:
            if arm in self.scores():
                continue
            taught_by = self._taught_by(arm)
            if taught_by in self.scores() and taught_by != arm:
                # Both second stages learn from the same maps where the corrected loss did best.
                found = {**self.scores().get(SECOND.format(taught_by), {}), "of": taught_by}
                if "taken" in found:
                    write_json(self._done, {**self.scores(), arm: found})
                    continue
            if taught_by != arm and not self._finds(taught_by):
                # A second stage has nothing to learn from empty maps: like these, it finds nothing.
                found = {"map": FUSED, "choosing": 0.0, "taken": {"own": 0.0, "half": 0.0}, "of": taught_by}
                write_json(self._done, {**self.scores(), arm: found})
                continue
            found = {**self._scored(arm, self._trained(arm, taught_by)), "of": taught_by}
            write_json(self._done, {**self.scores(), arm: found})

    def scores(self) -> dict[str, Any]:
        """Of the trainings that are done, by arm."""
        if not self._done.is_file():
            kept: dict[str, Any] = self.kept.of(self.key) or {}
            return kept
        found: dict[str, Any] = json.loads(self._done.read_text(encoding="utf-8"))
        return found

    def best(self) -> str:
        """The arm that did best on the training patients."""
        found = {arm: one["choosing"] for arm, one in self.scores().items() if arm in self.plan["arms"]}
        return max(found, key=lambda arm: found[arm])

    def rows(self) -> dict[str, dict[str, float]]:
        """Row of the table -> DSC of the test patient."""
        scores = self.scores()
        rows = {arm: found["taken"] for arm, found in scores.items()}
        for name, arm in (("corrected", "corrected"), (BEST, self.best())):
            if "refined" in scores.get(arm, {}):
                rows[REFINEMENT.format(name)] = scores[arm]["refined"]
        rows[BEST] = rows[self.best()]
        return rows

    @property
    def _done(self) -> Path:
        return self.out / "scores.json"

    @property
    def dataset(self) -> Dataset:
        """Of the patients."""
        return Dataset.open(self.plan["data_sets"][self.name]["description"], self.data / self.name)

    @property
    def others(self) -> list[str]:
        """Patients that are not the test: they train, and choose."""
        return [id for id in self.dataset.ids if id != self.test]

    def _taught_by(self, arm: str) -> str:
        """The arm whose maps a second stage learns; the arm itself where it is none."""
        of = {SECOND.format("corrected"): "corrected", SECOND.format(BEST): BEST}.get(arm, arm)
        return self.best() if of == BEST else of

    def _shell(self) -> Shell:
        self.out.mkdir(parents=True, exist_ok=True)
        return Shell(self.out / "log.txt")

    def _trained(self, arm: str, taught_by: str) -> Path:
        masks = taught_by != arm or arm == FULL
        name = SECOND.format(taught_by) if taught_by != arm else arm
        run = self.out / name.replace(", ", "-").replace(" ", "-")
        changes: dict[str, Any] = {
            "data.modalities": self.plan["data_sets"][self.name]["modalities"],
            "data.cases": self.others,
            "data.fold": None,
            "data.object_name": "lesion",
            "seed": self.seed,
            **(self.plan["masks"] if masks else {**self.plan["arms"], **self.plan["ideas"]}[arm]),
        }
        if self.steps is not None:
            changes |= {"optimiser.epochs": 1, "optimiser.steps_per_epoch": self.steps, "validate_every": 0}
        words: list[Any] = ["--dataset", self._pseudo_labels(taught_by)] if taught_by != arm else self._given
        self._shell().train(
            run, "cmer", "--config", ROOT / self.plan["settings"], *words, *settings_words(changes),
            "--name", f"{self.name}-{self.test}-{run.name}-{self.seed}",
        )  # fmt: skip
        return run / "result" / "model"

    @property
    def _given(self) -> list[Any]:
        description = ROOT / self.plan["data_sets"][self.name]["description"]
        return ["--dataset", description, "--data", self.data / self.name]

    def _pseudo_labels(self, arm: str) -> Path:
        """The refined maps of all patients but the test, where tags say that there is an object."""
        folder = self.out / f"pseudo-{arm}".replace(", ", "-").replace(" ", "-")
        if (folder / "dataset.json").is_file():
            return folder
        tags = self.out / "tags.csv"
        shell = self._shell()
        modality = self.plan["data_sets"][self.name]["modalities"][0]
        shell.segtoolkit("tags", "cmer", *self._given, "--from-masks", "--modality", modality, "--out", tags)
        shell.segtoolkit(
            "export-pseudolabels", "cmer", "--model", self._trained(arm, arm), *self._given,
            "--accept-licence", "--cases", ",".join(self.others), "--tags", tags, "--refine",
            *self._refine_words(self.scores()[arm]["map"]), "--between", "background", "--out", folder,
        )  # fmt: skip
        return folder

    def _finds(self, arm: str) -> bool:
        """Whether the refined maps of an arm show anything in the training patients."""
        labels = Dataset.open(self._pseudo_labels(arm))
        files = [labels.case(id).label for id in labels.ids]
        values = object_values(labels, None)
        return any(np.isin(read_volume(one, label=True).voxels, values).any() for one in files if one)

    def _refine_words(self, name: str) -> list[str]:
        return [] if name == FUSED else ["--refine-set", f"modalities={json.dumps([name])}"]

    def _scored(self, arm: str, model: Path) -> dict[str, Any]:
        """DSC of the test patient, by map, at the model's threshold ("own") and at 0.5 ("half").

        "map" is the one that did best on the training patients, "choosing" its mean DSC there, "taken" that
        map's DSC of the test patient.
        """
        mapper = load(model)
        own = {name: mapper.plan.threshold(name) for name in mapper.plan.map_names}
        of_others = [self._by_map(mapper, patient, own) for patient in self.others]
        choosing = {name: statistics.mean(one[name]["own"] for one in of_others) for name in own}
        taken = max(choosing, key=lambda name: choosing[name])
        refining = None
        if arm in self.plan["arms"]:
            refining = RefineSettings(modalities=None if taken == FUSED else (taken,))
        found: dict[str, Any] = {"thresholds": own, "map": taken, "choosing": choosing[taken]}
        found |= self._by_map(mapper, self.test, own, refining)
        found["taken"] = found[taken]
        return found

    def _by_map(
        self, mapper: CmerMapper, patient: str, own: dict[str, float], refining: RefineSettings | None = None
    ) -> dict[str, dict[str, float]]:
        result, mask, maps = self._seen(mapper, patient)
        found = {
            name: {"own": dsc(one > own[name], mask), "half": dsc(one > HALF, mask)}
            for name, one in maps.items()
        }
        if refining is not None:
            images = read_channels(self.dataset.case(patient), mapper.plan.modalities)[0]
            found["refined"] = {
                which: dsc(refine(images, result.maps, refining, cut).mask.voxels > 0, mask)
                for which, cut in (("own", result.thresholds), ("half", HALF))
            }
        return found

    def _seen(self, mapper: CmerMapper, patient: str) -> tuple[MapResult, Bools, dict[str, Any]]:
        """What the model makes of a patient, the mask of that one, and the voxels of the maps."""
        images, label = read_channels(self.dataset.case(patient), mapper.plan.modalities)
        assert label is not None
        result = mapper.maps(images)
        mask = np.isin(label.voxels, object_values(self.dataset, None))
        return result, mask, {name: one.voxels for name, one in result.maps.items()}


def dsc(found: Bools, mask: Bools) -> float:
    """Of two masks, 0 to 1."""
    return float(2 * (found & mask).sum() / max(1, found.sum() + mask.sum()))


def table(pieces: list[Piece], plan: dict[str, Any], order: list[str]) -> tuple[str, dict[str, Any]]:
    """Mean over patients and seeds; the spread is that of the means of the seeds, and that of patients."""
    lines, results = [], {}
    for name in plan["data_sets"]:
        own = [piece for piece in pieces if piece.name == name]
        if not own:
            continue
        every = [(piece, piece.rows()) for piece in own if piece.scores()]
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
    parser.add_argument("--table", action="store_true", help="of what is finished; train nothing")
    add_keeping(parser)
    options = parser.parse_args()
    if options.keep and options.steps is not None:
        parser.error("scores of a trial (--steps) are not to be kept")
    plan = json.loads((HERE / "plan.json").read_text(encoding="utf-8"))
    settings = json.loads((ROOT / plan["settings"]).read_text(encoding="utf-8"))
    kept = Kept(HERE / "scores.json", [plan, settings, options.steps], options.anew)
    for one in plan["data_sets"].values():
        one["description"] = str(ROOT / one["description"])
    seconds = [SECOND.format(name) for name in ("corrected", BEST)]
    arms = tuple(options.arms or [*plan["arms"], *seconds, FULL])
    out, data = options.out.resolve(), options.data.resolve()
    pieces = []
    for seed in options.seeds:
        for name, one in plan["data_sets"].items():
            if options.only is not None and name not in options.only:
                continue
            for test in Dataset.open(one["description"], data / name).ids:
                if options.tests is None or test in options.tests:
                    folder = out / name / f"test{test}" / f"seed{seed}"
                    pieces.append(Piece(name, test, seed, plan, data, folder, options.steps, arms, kept))
    with kept.adding(pieces, options.keep):
        if not options.table:
            run_all(pieces, options.at_once)
    kinds = (BEST, REFINEMENT.format(BEST), SECOND.format(BEST))
    order = [*plan["arms"], *(row.format("corrected") for row in (REFINEMENT, SECOND)), *kinds,
             *plan["ideas"], FULL]  # fmt: skip
    text, results = table(pieces, plan, order)
    write_text(out / "table.md", text + "\n")
    write_json(out / "table.json", results)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
