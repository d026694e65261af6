"""Trained models of nnU-Net as ours: imported, segmenting by their card alone, as nnU-Net itself does."""

from __future__ import annotations

import importlib.util
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnunet_models import REGIONS, dataset, made_model, plans
from nnunet_runs import TRAINERS, made_case, needs_nnunet
from SegToolkitLib.automatic.run import check_options, segment_volume
from SegToolkitLib.automatic.segmenter import AutomaticOptions
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.nnunet.plan import CONFIDENCE, UNCERTAINTY, NnunetPlan
from SegToolkitLib.methods.registry import automatic_of
from SegToolkitLib.models.card import ModelCard, read_card
from SegToolkitLib.models.folder import load_state
from SegToolkitLib.volume import Reorient, Volume, read_volume, write_volume

pytestmark = needs_nnunet
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _surroundings(one_thread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks here are tiny; nnU-Net's own predictor needs to find the trainers."""
    monkeypatch.setenv("nnUNet_extTrainer", str(TRAINERS))


def trainer(name: str = "nnUNetTrainer") -> type[Any]:
    from SegToolkitLib.methods.nnunet.package import trainer_of

    found: type[Any] = trainer_of(name)
    return found


def imported(source: Path, out: Path, **options: Any) -> ModelCard:
    from SegToolkitLib.methods.nnunet.importing import import_trained

    return import_trained(source, out, **options)


def segmented(folder: Path, volume: Volume, **options: Any) -> Any:
    """By the card alone, as command line and window do."""
    card = read_card(folder)
    method = automatic_of(card.method)
    described = method.describe(card)
    wanted = check_options(AutomaticOptions(**options), card, described)
    return segment_volume(method.load(folder, card, CPU, "auto"), card, volume, wanted)


def by_nnunet(source: Path, image: Path, out: Path, folds: tuple[Any, ...]) -> Volume:
    """What nnU-Net's own predictor writes."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=CPU, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(source), folds)
    predictor.predict_from_files_sequential([[str(image)]], [str(out)], overwrite=True)
    return read_volume(f"{out}.nii.gz", label=True)


def turned(volume: Volume) -> Volume:
    """Oblique, with unlike spacings."""
    angle = 0.3
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    return Volume(volume.voxels, (0.9, 1.1, 2.4), (10.0, -20.0, 30.0), rotation)


CASES: list[Any] = [
    pytest.param("nnUNetTrainer", plans(), dataset(), (0,), id="plain"),
    pytest.param("nnUNetTrainerUAFR", plans(), dataset(), (0, 1), id="uafr, two folds"),
    pytest.param(
        "nnUNetTrainerPDCR_UAFR", plans(kind="ResidualEncoderUNet"), dataset(), ("all",), id="both, residual"
    ),
    pytest.param("nnUNetTrainerPDCR_UAFR", plans(dims=2), dataset(), (0,), id="both, slices"),
    pytest.param(
        "nnUNetTrainerUAFR", plans(), dataset(REGIONS, regions_class_order=[1, 2]), (0,), id="regions"
    ),
]


@pytest.mark.parametrize(("name", "given", "data", "folds"), CASES)
def test_an_imported_model_segments_as_nnunet_itself_does(
    tmp_path: Path, name: str, given: dict[str, Any], data: dict[str, Any], folds: tuple[Any, ...]
) -> None:
    axes = (0, 1) if "2d" in given["configurations"] else (0, 1, 2)
    source = made_model(tmp_path / "trained", trainer(name), given, data, folds, axes)
    imported(source, tmp_path / "model")
    image = tmp_path / "case_0000.nii.gz"
    write_volume(turned(made_case(3, (12, 22, 18))[0]), image)
    ours = segmented(tmp_path / "model", read_volume(image)).result.labels
    theirs = by_nnunet(source, image, tmp_path / "theirs", folds)
    assert ours.same_grid(theirs)
    assert ours.voxels.dtype == np.uint8
    assert len(np.unique(theirs.voxels)) > 1, "there is something to compare"
    assert np.array_equal(ours.voxels, theirs.voxels)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uafr")
    imported(
        made_model(folder / "trained", trainer("nnUNetTrainerUAFR")), folder / "model", name="Small UAFR"
    )
    return folder / "model"


def test_the_card_says_all_that_is_needed(model: Path) -> None:
    card = read_card(model)
    assert (card.name, card.method) == ("small-uafr", "nnunet")
    assert [(label.value, label.name) for label in card.labels] == [(1, "anterior"), (2, "posterior")]
    assert card.licence.name == "not stated"
    described = automatic_of("nnunet").describe(card)
    assert described["grid"] == "patches of 16 x 16 x 16 voxels of 1 x 1 x 1 mm"
    assert described["modes"] == ["full", "quick"]
    assert described["maps"] == {UNCERTAINTY: "Uncertainty", CONFIDENCE: "Feature confidence"}
    assert sorted(file.name for file in model.iterdir()) == ["model.json", "weights.safetensors"]
    # nnU-Net lists tensors up to four times; the file has each once.
    keys = list(load_state(model))
    assert not any("all_modules" in key and key.replace("all_modules.0", "conv") in keys for key in keys)
    assert not any("decoder.encoder" in key for key in keys)


def test_maps_lie_on_the_grid_of_the_input(model: Path) -> None:
    volume = turned(made_case(4, (14, 20, 18))[0])
    finished = segmented(model, volume, maps=[CONFIDENCE, UNCERTAINTY])
    assert set(finished.result.maps) == {CONFIDENCE, UNCERTAINTY}
    for found in finished.result.maps.values():
        assert found.same_grid(volume)
        assert 0 <= found.voxels.min() < found.voxels.max() <= 1
    assert {"prepare", "network", "restore", "confidence"} <= set(finished.seconds)


def test_wanted_structures_alone_are_given(model: Path) -> None:
    volume = made_case(5, (16, 20, 18))[0]
    whole = segmented(model, volume).result.labels.voxels
    one = segmented(model, volume, labels=[2]).result.labels.voxels
    assert np.array_equal(one, np.where(whole == 2, 2, 0))
    quick = segmented(model, volume, mode="quick").result.labels
    assert quick.same_grid(volume)


def test_progress_is_told_patch_by_patch_and_can_end_the_work(model: Path) -> None:
    card = read_card(model)
    segmenter = automatic_of("nnunet").load(model, card, CPU, "auto")
    volume = made_case(6, (20, 24, 18))[0]
    told: list[tuple[int, int]] = []

    def tell(phase: str, done: int, total: int) -> None:
        if phase == "network":
            told.append((done, total))

    segmenter.segment(volume, AutomaticOptions(), tell)
    assert told == [(done, 8) for done in range(9)]

    def stop(phase: str, done: int, total: int) -> None:
        if phase == "network" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segmenter.segment(volume, AutomaticOptions(), stop)
    assert segmenter.segment(volume, AutomaticOptions()).labels.same_grid(volume), "it can be used again"


def test_nothing_of_nnunet_reaches_stdout(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # Programs read events there, one a line.
    segmented(model, made_case(7, (16, 18, 18))[0], maps=[CONFIDENCE])
    assert capfd.readouterr().out == ""


def test_volumes_are_turned_to_the_orientation_of_the_training(tmp_path: Path) -> None:
    source = made_model(tmp_path / "trained", trainer())
    imported(source, tmp_path / "model", orientation="RAS")
    volume = Reorient("RAS").apply(made_case(8, (16, 20, 18))[0])[0]
    other = Reorient("ILP").apply(volume)[0]
    straight = segmented(tmp_path / "model", volume).result.labels
    back = segmented(tmp_path / "model", other).result.labels
    assert back.same_grid(other)
    assert np.array_equal(Reorient("RAS").apply(back)[0].voxels, straight.voxels)


def test_colour_pictures_are_segmented_by_models_for_pictures(tmp_path: Path) -> None:
    given = plans(dims=2, reader="NaturalImage2DIO")
    configuration = given["configurations"]["2d"]
    configuration |= {"normalization_schemes": ["RGBTo01Normalization"] * 3, "use_mask_for_norm": [False] * 3}
    given["foreground_intensity_properties_per_channel"] = {
        str(n): {"mean": 1.0, "std": 1.0} for n in range(3)
    }
    data = dataset(channel_names={"0": "R", "1": "G", "2": "B"}, file_ending=".png")
    source = made_model(tmp_path / "trained", trainer("nnUNetTrainerUAFR"), given, data, mirrored=(0, 1))
    card = imported(source, tmp_path / "model")
    assert card.preprocessing.modality == "picture"
    pixels = np.random.default_rng(0).integers(0, 255, (1, 30, 40, 3)).astype(np.uint8)
    picture = Volume(pixels, (1, 1, 1), (0, 0, 0), np.eye(3))
    labels = segmented(tmp_path / "model", picture).result.labels
    assert labels.shape == (1, 30, 40)
    with pytest.raises(SegToolkitError, match="1 channels, not 3"):
        segmented(tmp_path / "model", Volume(pixels[..., 0], (1, 1, 1), (0, 0, 0), np.eye(3)))


def _without(name: str) -> Any:
    def change(folder: Path) -> None:
        (folder / name).unlink()

    return change


def _edit(change: Any) -> Any:
    def apply(folder: Path) -> None:
        import json

        for file in ("plans.json", "dataset.json"):
            values = json.loads((folder / file).read_text(encoding="utf-8"))
            change(file, values)
            (folder / file).write_text(json.dumps(values), encoding="utf-8")

    return apply


def _other_network(file: str, values: dict[str, Any]) -> None:
    if file == "plans.json":
        values["configurations"]["3d_fullres"]["architecture"]["network_class_name"] = "subprocess.Popen"


def _other_part(file: str, values: dict[str, Any]) -> None:
    if file == "plans.json":
        values["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]["nonlin"] = "os.system"


def _second_stage(file: str, values: dict[str, Any]) -> None:
    if file == "plans.json":
        values["configurations"]["3d_fullres"]["previous_stage"] = "3d_lowres"


def _two_channels(file: str, values: dict[str, Any]) -> None:
    if file == "dataset.json":
        values["channel_names"] = {"0": "T1", "1": "T2"}


def _wider(file: str, values: dict[str, Any]) -> None:
    if file == "plans.json":
        values["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]["features_per_stage"] = [
            4,
            8,
            9,
        ]


REFUSED: list[Any] = [
    pytest.param(_without("plans.json"), {}, "no-trained-model", "holds no plans.json", id="no plans"),
    pytest.param(
        _without("fold_0/checkpoint_final.pth"), {}, "no-trained-model", "checkpoint_final", id="unfinished"
    ),
    pytest.param(lambda folder: None, {"folds": ["3"]}, "file-missing", "fold_3", id="no such fold"),
    pytest.param(_edit(_other_network), {}, "invalid", "not one of nnU-Net's own", id="foreign class"),
    pytest.param(_edit(_other_part), {}, "invalid", "not one of nnU-Net's own", id="foreign function"),
    pytest.param(_edit(_second_stage), {}, "cascade", "second stage", id="cascade"),
    pytest.param(_edit(_two_channels), {}, "several-images", "2 images a case", id="channels"),
    pytest.param(_edit(_wider), {}, "model-mismatch", "do not fit", id="other weights"),
]


@pytest.mark.parametrize(("change", "options", "code", "told"), REFUSED)
def test_what_cannot_be_used_is_refused_in_a_sentence(
    tmp_path: Path, change: Any, options: dict[str, Any], code: str, told: str
) -> None:
    source = made_model(tmp_path / "trained", trainer())
    change(source)
    with pytest.raises(SegToolkitError) as caught:
        imported(source, tmp_path / "model", **options)
    assert told in str(caught.value)
    assert code == "invalid" or caught.value.code == code
    assert caught.value.hint
    assert not (tmp_path / "model").exists(), "nothing is left behind"


def test_checkpoints_that_hold_code_are_not_loaded(tmp_path: Path) -> None:
    source = made_model(tmp_path / "trained", trainer(), junk=OrderedDict(one=Fraction(1, 3)))
    with pytest.raises(SegToolkitError) as caught:
        imported(source, tmp_path / "model")
    assert caught.value.code == "unsafe-checkpoint"


def test_an_unknown_trainer_is_told_with_the_variable_that_helps(tmp_path: Path) -> None:
    source = made_model(tmp_path / "trained", type("nnUNetTrainerOfSomebody", (trainer(),), {}))
    with pytest.raises(SegToolkitError, match="nnUNetTrainerOfSomebody") as caught:
        imported(source, tmp_path / "model")
    assert "nnUNet_extTrainer" in caught.value.hint


def test_without_nnunet_a_model_says_what_to_install(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = read_card(model)
    real = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "nnunetv2" else real(name))
    assert automatic_of("nnunet").describe(card)["small"], "the card can be read all the same"
    with pytest.raises(SegToolkitError, match="not installed") as caught:
        automatic_of("nnunet").load(model, card, CPU, "auto")
    assert caught.value.code == "missing-package"


def test_versions_that_find_no_foreign_trainers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import nnunetv2.paths

    from SegToolkitLib.methods.nnunet.package import require_nnunet

    require_nnunet(finds_trainers=True)
    monkeypatch.delattr(nnunetv2.paths, "nnUNet_extTrainer")
    with pytest.raises(SegToolkitError, match="finds no trainers outside") as caught:
        require_nnunet(finds_trainers=True)
    assert caught.value.code == "old-nnunet"
    assert "segtoolkit_trainers.py" in caught.value.hint


def test_plans_keep_regions_in_the_order_in_which_they_are_painted() -> None:
    values = {
        "trainer": "nnUNetTrainer",
        "configuration": "3d_fullres",
        "plans": plans(),
        "dataset": dataset(REGIONS, regions_class_order=[2, 1]),
        "folds": ["0"],
    }
    assert NnunetPlan(**values).structures == {2: "whole", 1: "core"}
    plain = NnunetPlan(**{**values, "dataset": dataset({"background": 0, "b": 2, "a": 1, "ignore": 3})})
    assert plain.structures == {1: "a", 2: "b"}
