"""WSS-CMER: refinement and agreement by the commands."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cmer_runs import SLICES, made_dataset, made_patient, run
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import read_volume, write_volume
from test_cmer_worker import SEEDS, made_model


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(tmp_path_factory.mktemp("balls"), 2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "balls"
    made_model(folder)
    return folder


def test_maps_tell_how_far_modalities_and_seeds_agree(dataset: Dataset, model: Path, tmp_path: Path) -> None:
    run(
        "maps",
        "--model",
        model,
        "--dataset",
        dataset.folder,
        "--cases",
        "1",
        "-o",
        tmp_path,
        "--device",
        "cpu",
    )
    with (tmp_path / "agreement.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["case", "slice", "modalities", "seeds"]
    assert [(row["case"], row["slice"]) for row in rows] == [("1", str(k)) for k in range(SLICES)]
    told = [float(row["seeds"]) for row in rows if row["seeds"]]
    assert told
    assert all(0 <= one <= 1 for one in told)
    assert SEEDS == 3


def test_maps_in_a_folder_become_masks(dataset: Dataset, model: Path, tmp_path: Path) -> None:
    words = ["--model", model, "--dataset", dataset.folder, "--device", "cpu", "-o", tmp_path]
    made = run("maps", *words, "--cases", "1,2", "--refine", "--refine-set", "smallest_ml=0")
    refined = [Path(file) for file in made["files"]["1"] if file.endswith("1_refined.nii.gz")]
    assert len(refined) == 1
    out = tmp_path / "masks"
    words = ["--maps", tmp_path, "--dataset", dataset.folder, "--cases", "1", "-o", out]
    done = run("refine", *words, "--refine-set", "smallest_ml=0", "--threshold", "0.2")
    mask = read_volume(Path(done["masks"]["1"]["file"]), label=True)
    assert mask.same_grid(read_volume(dataset.case("1").image))
    assert int(mask.voxels.sum()) == done["masks"]["1"]["after"]
    tags = tmp_path / "t.csv"
    tags.write_text(f"case,slice,visible\n1,0-{SLICES - 1},0\n", encoding="utf-8")
    assert run("refine", *words, "--tags", tags)["masks"]["1"]["after"] == 0
    # The same of one patient's files.
    t2, adc, _ = made_patient(1)
    for name, volume in (("t2", t2), ("adc", adc)):
        write_volume(volume, tmp_path / f"{name}.nrrd")
    images = ["-i", f"T2={tmp_path / 't2.nrrd'}", "-i", f"ADC={tmp_path / 'adc.nrrd'}", "--name", "1"]
    words = ["--maps", tmp_path, *images, "-o", tmp_path / "own"]
    again = run("refine", *words, "--refine-set", "smallest_ml=0", "--threshold", "0.2")
    assert again["masks"]["1"]["after"] == done["masks"]["1"]["after"]


def test_maps_in_a_folder_are_cut_where_their_model_says(
    dataset: Dataset, model: Path, tmp_path: Path
) -> None:
    shutil.copytree(model, tmp_path / "model")
    card = json.loads((tmp_path / "model" / "model.json").read_text(encoding="utf-8"))
    card["settings"] |= {"thresholds": dict.fromkeys(("T2", "ADC"), 0.2), "fused_threshold": 0.2}
    (tmp_path / "model" / "model.json").write_text(json.dumps(card), encoding="utf-8")
    maps, plain = tmp_path / "maps", ["--refine-set", "smallest_ml=0", "--refine-set", "smoothing=none"]
    words = ["--dataset", dataset.folder, "--cases", "1", *plain]
    at_once = [*words, "--model", tmp_path / "model", "--device", "cpu", "--refine", "-o", maps]
    run("maps", *at_once)
    run("refine", "--maps", maps, *words, "-o", tmp_path / "later")
    first, later = (read_volume(f / "1_refined.nii.gz", label=True) for f in (maps, tmp_path / "later"))
    np.testing.assert_array_equal(first.voxels, later.voxels)
    run("refine", "--maps", maps, *words, "--threshold", "0.5", "-o", tmp_path / "half")
    half = read_volume(tmp_path / "half" / "1_refined.nii.gz", label=True)
    assert 0 < half.voxels.sum() < first.voxels.sum()
    (maps / "thresholds.json").unlink()
    run("refine", "--maps", maps, *words, "-o", tmp_path / "unknown")
    unknown = read_volume(tmp_path / "unknown" / "1_refined.nii.gz", label=True)
    np.testing.assert_array_equal(unknown.voxels, half.voxels)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--kind", "gradcam"], "no-map"),
        (["--cases", "9"], "no-case"),
        (["--refine-set", "smoothing=crf"], "description"),
        (["-i", "T2=a.nrrd"], "no-image"),
    ],
)
def test_what_cannot_be_refined_is_told(
    words: list[str], code: str, dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(SegToolkitError) as caught:
        run("refine", "--maps", tmp_path, "--dataset", dataset.folder, "-o", tmp_path / "out", *words)
    assert caught.value.code == code
    assert not (tmp_path / "out").exists()


def test_pseudo_labels_and_scores_can_be_of_refined_maps(
    dataset: Dataset, model: Path, tmp_path: Path
) -> None:
    words = ["--model", model, "--dataset", dataset.folder, "--device", "cpu"]
    made = ["--refine", "--refine-set", "smallest_ml=0", "--refine-set", "smoothing=none"]
    run("export-pseudolabels", *words, *made, "--between", "background", "--out", tmp_path / "pseudo")
    pseudo = Dataset.open(tmp_path / "pseudo")
    assert len(pseudo.cases) == 2
    run("maps", *words, "--cases", "1", *made, "-o", tmp_path / "maps")
    label = read_volume(pseudo.case("1").label or Path(), label=True)
    mask = read_volume(tmp_path / "maps" / "1_refined.nii.gz", label=True)
    np.testing.assert_array_equal(label.voxels, mask.voxels)
    run("evaluate", *words, *made, "--cases", "all", "--choose", "--out", tmp_path / "scores")
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text(encoding="utf-8"))["kinds"]["cam"]
    assert set(scores) == {"T2", "ADC", "fused", "refined", "refined at 0.5"}
    # Without smoothing the refined mask is the fused map's, cut.
    expected = scores["fused"]["dsc"]["0.5"]
    np.testing.assert_allclose(scores["refined at 0.5"]["dsc"]["0.5"], expected, atol=1e-6)
    assert len({tuple(one) for one in scores["refined"]["dsc"].values()}) == 1
