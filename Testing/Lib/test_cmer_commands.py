"""WSS-CMER in use: maps on the input's grid, scores, pseudo-labels, tags, and the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from cmer_runs import NAMES, SLICES, made_dataset, made_patient, tiny, trained
from SegToolkitLib.atomic import write_json
from SegToolkitLib.cli import main
from SegToolkitLib.dataset.channels import read_channels
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.checkpoints import export_authors
from SegToolkitLib.methods.cmer.evaluate import How, at_own, by_fold, evaluate
from SegToolkitLib.methods.cmer.plan import FUSED, MapPlan
from SegToolkitLib.methods.cmer.pseudolabels import Cut, labelled
from SegToolkitLib.methods.cmer.scoring import THRESHOLDS
from SegToolkitLib.methods.cmer.segment import CmerMapper, load
from SegToolkitLib.models.card import read_card
from SegToolkitLib.volume import Volume, read_volume, write_volume

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(tmp_path_factory.mktemp("balls"))


@pytest.fixture(scope="module")
def model(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = trained(dataset, tmp_path_factory.mktemp("runs") / "run", tiny("validate_every=4"))
    return folder


@pytest.fixture(scope="module")
def mapper(model: Path) -> CmerMapper:
    return load(model)


def images_of(seed: int = 1) -> dict[str, Volume]:
    return dict(zip(NAMES, made_patient(seed), strict=False))


def test_maps_lie_on_the_grid_of_the_images_whatever_their_axes(mapper: CmerMapper) -> None:
    images = images_of()
    plan = MapPlan(gate=False)
    straight = mapper.maps(images, plan)
    turned = {
        name: Volume(one.voxels.transpose(2, 0, 1), (1.5, 5.0, 1.5), one.origin, one.direction[:, [1, 2, 0]])
        for name, one in images.items()
    }
    found = mapper.maps(turned, plan)
    for name in (*NAMES, FUSED):
        volume = straight.maps[name]
        assert volume.same_grid(images["T2"])
        assert volume.voxels.min() >= 0
        assert volume.voxels.max() <= 1
        assert found.maps[name].same_grid(turned["T2"])
    assert {name: len(one) for name, one in straight.probability.items()} == dict.fromkeys(NAMES, SLICES)


def test_the_fused_map_is_the_mean_of_the_gated_ones(mapper: CmerMapper) -> None:
    result = mapper.maps(images_of())
    mean = np.mean([result.maps[name].voxels for name in NAMES], axis=0)
    np.testing.assert_allclose(result.maps[FUSED].voxels, mean, atol=1e-6)
    for name in NAMES:
        shown = result.slices[name].any(axis=(1, 2))
        assert not shown[~result.present[name]].any()


def test_a_mask_is_what_lies_above_the_threshold(mapper: CmerMapper) -> None:
    result = mapper.maps(images_of(), MapPlan(gate=False))
    map_ = result.maps["T2"].voxels
    np.testing.assert_array_equal(result.mask("T2", 0.4).voxels, map_ > 0.4)
    np.testing.assert_array_equal(result.mask("T2").voxels, map_ > mapper.plan.thresholds["T2"])


def test_small_and_whole_find_the_same_and_empty_slices_are_blank(mapper: CmerMapper) -> None:
    images = images_of()
    images["T2"].voxels[3] = 0
    whole, small = (mapper.maps(images, MapPlan(gate=False), small=one) for one in (False, True))
    np.testing.assert_allclose(whole.maps[FUSED].voxels, small.maps[FUSED].voxels, atol=1e-5)
    assert not whole.slices["T2"][3].any()
    assert not whole.present["T2"][3]


def test_a_modality_that_is_missing_is_named(mapper: CmerMapper) -> None:
    with pytest.raises(SegToolkitError) as caught:
        mapper.maps({"t2": images_of()["T2"]})
    assert caught.value.code == "missing-modality"
    assert "ADC" in caught.value.message


def test_scores_are_those_of_the_maps_at_each_threshold(mapper: CmerMapper, dataset: Dataset) -> None:
    case = dataset.case("1")
    scores = evaluate(mapper, [case], (1,), How(kinds=("cam", "gradcam++"), gate=False), Reporter())
    assert list(scores.cases) == ["cam", "gradcam++"]
    images, label = read_channels(case)
    assert label is not None
    map_ = mapper.maps(images, MapPlan(gate=False)).maps[FUSED].voxels
    both, whole = ((map_ > 0.3) & (label.voxels > 0)).sum(), (map_ > 0.3).sum() + (label.voxels > 0).sum()
    assert scores.cases["cam"][FUSED]["directed"]["1"].dsc[1] == pytest.approx(2 * both / whole)
    own = at_own(scores, "cam", FUSED, THRESHOLDS, "directed").dsc
    place = THRESHOLDS.index(mapper.plan.fused_threshold)
    assert own[0] == scores.cases["cam"][FUSED]["directed"]["1"].dsc[place]
    assert by_fold(scores, {"1": 0}, THRESHOLDS)[FUSED]["folds"]["0"][0] == pytest.approx(own[0])


def test_pseudo_labels_leave_out_what_is_uncertain_and_what_is_tagged_as_absent() -> None:
    t2 = made_patient()[0]
    voxels = np.zeros(t2.shape, np.float32)
    voxels[:, 2, 2], voxels[:, 3, 3], voxels[:, 4, 4] = 0.9, 0.5, 0.3
    tags = [False, True, None, True, True, True, True, True]
    label = labelled(t2.with_voxels(voxels), Cut(FUSED, 0.3, 0.6), tags).voxels
    assert label[:, 2, 2].tolist() == [0] + [1] * 7
    assert label[:, 3, 3].tolist() == [0] + [2] * 7
    assert not label[:, 4, 4].any()
    assert set(
        np.unique(labelled(t2.with_voxels(voxels), Cut(FUSED, 0.3, 0.6, "background"), None).voxels)
    ) == {
        0,
        1,
    }


def test_the_command_maps_writes_maps_and_masks(model: Path, dataset: Dataset, tmp_path: Path) -> None:
    case = dataset.case("2")
    given = [f"--image={name}={file}" for name, file in case.images.items()]
    common = ["maps", "cmer", "--model", str(model), "--accept-licence", "--device", "cpu"]
    assert main([*common, *given, "-o", str(tmp_path / "one"), "--name", "anna", "--threshold", "0.4"]) == 0
    map_ = read_volume(tmp_path / "one" / "anna_T2_cam.nii.gz")
    mask = read_volume(tmp_path / "one" / "anna_T2_cam_mask.nii.gz")
    assert map_.same_grid(read_volume(case.image), 0.01)
    np.testing.assert_array_equal(mask.voxels, map_.voxels > 0.4)
    assert (tmp_path / "one" / "anna_fused_cam.nii.gz").is_file()
    many = [*common, "--dataset", str(dataset.folder), "-o", str(tmp_path / "all"), "--kind", "gradcam++"]
    assert main([*many, "--no-masks"]) == 0
    assert len(list((tmp_path / "all").glob("*.nii.gz"))) == 4 * 3
    assert (tmp_path / "all" / "agreement.csv").is_file()
    assert main([*common, "-o", str(tmp_path / "none")]) != 0


def test_the_command_evaluate_scores_held_out_cases(model: Path, dataset: Dataset, tmp_path: Path) -> None:
    command = ["evaluate", "cmer", "--model", str(model), "--accept-licence", "--device", "cpu"]
    command += ["--dataset", str(dataset.folder), "--out", str(tmp_path / "scores")]
    assert main(command) == 0
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    held_out = json.loads((model.parents[1] / "settings.json").read_text())["data"]["held_out"]
    assert scores["cases"] == held_out
    entry = scores["kinds"]["cam"]["T2"]
    assert set(entry["dsc"]) == set(entry["assd_pooled"]) == {f"{one:g}" for one in THRESHOLDS}
    with (tmp_path / "scores" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(held_out) * 3 * len(THRESHOLDS)
    assert scores["unit_spacing"] is False
    assert main([*command, "--cases", "all"]) != 0  # it was trained on some of them


def test_without_a_spacing_distances_are_in_voxels(
    model: Path, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    described = dataset.description.model_copy(
        update={"spacing_known": False, "folder": str(dataset.folder.resolve())}
    )
    write_json(tmp_path / "dataset.json", described.model_dump(mode="json", exclude_none=True))
    command = ["evaluate", "cmer", "--model", str(model), "--accept-licence", "--device", "cpu"]
    command += ["--dataset", str(tmp_path / "dataset.json"), "--out", str(tmp_path / "scores")]
    assert main(command) == 0
    assert json.loads((tmp_path / "scores" / "scores.json").read_text())["unit_spacing"] is True
    assert "distances are in voxels" in capsys.readouterr().err


def test_thresholds_that_are_chosen_go_into_the_card(model: Path, dataset: Dataset, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    command = ["evaluate", "cmer", "--model", str(copy), "--accept-licence", "--device", "cpu", "--choose"]
    command += ["--dataset", str(dataset.folder), "--out", str(tmp_path / "scores")]
    assert main([*command, "--thresholds", "0.11", "0.12"]) == 0
    plan = read_card(copy).settings
    assert set(plan["thresholds"].values()) | {plan["fused_threshold"]} <= {0.11, 0.12, 0.5}
    assert load(copy).plan.threshold("T2") == plan["thresholds"]["T2"]


def test_pseudo_labels_are_a_data_set_of_their_own(model: Path, dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "pseudo"
    command = ["export-pseudolabels", "cmer", "--model", str(model), "--accept-licence", "--device", "cpu"]
    assert main([*command, "--dataset", str(dataset.folder), "--out", str(out), "--cases", "1,3"]) == 0
    made = Dataset.open(out)
    assert made.ids == ["1", "3"]
    assert made.description.labels == {"background": 0, "ball": 1, "ignore": 2}
    images, label = read_channels(made.case("3"))
    assert list(images) == list(NAMES)
    assert label is not None
    assert set(np.unique(label.voxels)) <= {0, 1, 2}
    np.testing.assert_array_equal(images["ADC"].voxels, made_patient(3)[1].voxels)


def test_the_command_tags_reads_masks_and_joins_files(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("case;slice;visible\n2;0;yes\n")
    command = ["tags", "cmer", "--dataset", str(dataset.folder), "--out", str(tmp_path / "tags.csv")]
    assert main([*command, "--from-masks", "--merge", str(tmp_path / "mine.csv")]) == 0
    lines = (tmp_path / "tags.csv").read_text().splitlines()
    assert lines[1:4] == ["1,0-1,0", "1,2-5,1", "1,6-7,0"]
    assert lines[4:6] == ["2,0,1", "2,1,0"]
    assert main(command) != 0


def test_crossval_scores_every_case_once(dataset: Dataset, tmp_path: Path) -> None:
    config = tmp_path / "tiny.json"
    config.write_text(tiny().model_dump_json())
    command = ["crossval", "cmer", "--dataset", str(dataset.folder), "--config", str(config), "--folds", "2"]
    command += ["--run", str(tmp_path / "cv"), "--device", "cpu", "--steps", "1"]
    command += ["--place", f"cache={tmp_path / 'cache'}"]
    assert main(command) == 0
    scores = json.loads((tmp_path / "cv" / "scores" / "scores.json").read_text())
    assert set(scores["fold_of_case"]) == set(dataset.ids)
    assert set(scores["at_own_threshold"]["fused"]["folds"]) == {"0", "1"}
    # What is trained is not trained again.
    before = (tmp_path / "cv" / "fold0" / "events.jsonl").read_text()
    assert main(command) == 0
    assert (tmp_path / "cv" / "fold0" / "events.jsonl").read_text() == before


def test_the_authors_files_and_settings_come_and_go(model: Path, tmp_path: Path) -> None:
    files = tmp_path / "authors"
    export_authors(model, files)
    command = ["models", "import", "cmer", "--from", str(files), "--out", str(tmp_path / "again")]
    assert main([*command, "--modalities", "T2,ADC"]) == 0
    assert read_card(tmp_path / "again").settings["modalities"] == ["T2", "ADC"]
    (tmp_path / "config.json").write_text(json.dumps({"modality": "T1,T2", "num_models": 2, "lmda": 0.25}))
    command = [
        "convert-settings",
        "cmer",
        str(tmp_path / "config.json"),
        "--out",
        str(tmp_path / "ours.json"),
    ]
    assert main(command) == 0
    ours = json.loads((tmp_path / "ours.json").read_text())
    assert (ours["data"]["modalities"], ours["loss"]["kl_weight"]) == (["T1", "T2"], 0.25)


def test_the_authors_configuration_trains_and_png_slices_become_a_data_set(
    dataset: Dataset, tmp_path: Path
) -> None:
    config = tmp_path / "authors.json"
    config.write_text(
        json.dumps({"modality": "T2,ADC", "downsize_nb_filters_factor": 32, "batch_size": 4, "seed": 3})
    )
    command = [
        "train",
        "cmer",
        "--dataset",
        str(dataset.folder),
        "--config",
        str(config),
        "--preset",
        "quick",
    ]
    command += ["--set", "input.size=16", "--steps", "1", "--run", str(tmp_path / "run"), "--device", "cpu"]
    assert main([*command, "--set", "validate_every=0", "--place", f"cache={tmp_path / 'cache'}"]) == 0
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())["settings"]
    assert (settings["network"]["width_factor"], settings["optimiser"]["batch"], settings["seed"]) == (
        32,
        4,
        3,
    )
    from PIL import Image

    for place in ("T2", "ADC", "GT"):
        file = tmp_path / "png" / "train" / place / "p_1.png"
        file.parent.mkdir(parents=True)
        Image.fromarray(np.eye(16, dtype=np.uint8) * 9).save(file)
    command = ["prepare", "cmer", "--png", str(tmp_path / "png"), "--out", str(tmp_path / "made")]
    assert main([*command, "--modalities", "T2,ADC", "--structure", "prostate"]) == 0
    assert Dataset.open(tmp_path / "made").description.labels == {"background": 0, "prostate": 1}


def test_images_on_other_voxels_need_a_word(mapper: CmerMapper, tmp_path: Path) -> None:
    images = images_of()
    adc = images["ADC"]
    images["ADC"] = Volume(adc.voxels[:, ::2, ::2], (3.0, 3.0, 5.0), adc.origin, adc.direction)
    with pytest.raises(SegToolkitError) as caught:
        mapper.maps(images)
    assert caught.value.code == "channel-grid"
    assert mapper.maps(images, resample=True).maps["ADC"].same_grid(images["T2"])
    write_volume(images["ADC"], tmp_path / "adc.nii.gz")
