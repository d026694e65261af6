"""WSS-CMER: what a person gets wrong on the command line, told before anything is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cmer_runs import NAMES, made_dataset, made_patient, run
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.checkpoints import import_authors
from SegToolkitLib.methods.cmer.refine import refine
from SegToolkitLib.methods.cmer.refine_files import refine_files
from SegToolkitLib.methods.cmer.requests import RefineRequest
from SegToolkitLib.models.imported import imported_card
from SegToolkitLib.settings import Settings
from SegToolkitLib.volume import Volume, write_volume
from SegToolkitLib.volume.cache import VolumeCache


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(tmp_path_factory.mktemp("balls"), 2)


@pytest.fixture(scope="module")
def maps(dataset: Dataset) -> Path:
    """A folder with maps of both cases, as ``segtoolkit maps cmer`` names them."""
    for id in dataset.ids:
        mask = made_patient(int(id))[2]
        for name in NAMES:
            chances = mask.with_voxels(mask.voxels.astype(np.float32))
            write_volume(chances, dataset.folder / "maps" / f"{id}_{name}_cam.nii.gz")
    return dataset.folder / "maps"


@pytest.mark.parametrize(
    ("cases", "code"), [("1,9", "no-case"), (",", "no-cases"), ("", "no-cases")], ids=["one", "comma", "none"]
)
def test_all_cases_are_looked_up_before_the_first_is_refined(
    cases: str, code: str, dataset: Dataset, maps: Path, tmp_path: Path
) -> None:
    words = ["--maps", maps, "--dataset", dataset.folder, "-o", tmp_path / "out", "--cases"]
    with pytest.raises(SegToolkitError) as caught:
        run("refine", *words, cases)
    assert caught.value.code == code
    assert not (tmp_path / "out").exists()
    # A case that is named twice is refined once.
    assert list(run("refine", *words, "01,1")["masks"]) == ["1"]


@pytest.mark.parametrize("verb", ["maps", "refine"])
@pytest.mark.parametrize("name", ["../evil", "a/b", "a\\b", "", " ", ".hidden", "a\nb"])
def test_a_patients_name_leads_to_no_other_folder(
    verb: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-i", "T2=t2.nrrd", "-o", tmp_path / "out", "--name", name]
    with pytest.raises(SystemExit):
        run(verb, *words, *(["--maps", tmp_path] if verb == "refine" else ["--model", "balls"]))
    assert "cannot be the beginning of a file's name" in capsys.readouterr().err


def test_no_image_is_passed_over_because_another_has_its_name(
    dataset: Dataset, maps: Path, tmp_path: Path
) -> None:
    images = dataset.case("1").images
    words = [word for name in ("T2", "t2", "ADC") for word in ("-i", f"{name}={images['T2']}")]
    with pytest.raises(SegToolkitError, match="T2, t2, ADC") as caught:
        run("refine", "--maps", maps, "--name", "1", "-o", tmp_path / "out", *words)
    assert caught.value.code == "bad-choice"


def test_an_image_that_was_given_as_a_map_is_refused() -> None:
    t2, adc, mask = made_patient()
    with pytest.raises(SegToolkitError, match=r"ADC has values from .* from 0 to 1") as caught:
        refine({"T2": t2}, {"T2": mask, "ADC": adc})
    assert caught.value.code == "no-map"
    # Rounding is no mistake.
    refine({"T2": t2}, {"T2": mask.with_voxels(mask.voxels * np.float32(1 + 1e-5))})


def test_a_complaint_of_the_grid_names_map_and_image_once() -> None:
    t2, _, mask = made_patient()
    beside = Volume(t2.voxels, t2.spacing, (0, 0, 0), t2.direction)
    with pytest.raises(SegToolkitError, match=r"^The image T2 of .* voxels of the map T2: ") as caught:
        refine({"T2": beside}, {"T2": mask})
    assert caught.value.code == "channel-grid"


def test_colour_is_told_though_a_map_has_the_pictures_name(tmp_path: Path) -> None:
    colour = Volume(np.zeros((1, 8, 9, 3), np.uint8), (1, 1, 1), (0, 0, 0), np.eye(3))
    flat = Volume(np.zeros((1, 8, 9), np.float32), (1, 1, 1), (0, 0, 0), np.eye(3))
    with pytest.raises(SegToolkitError) as caught:
        refine({"T2": colour}, {"T2": flat})
    assert caught.value.code == "colour-volume"
    write_volume(colour, tmp_path / "t2.png")
    write_volume(made_patient()[2], tmp_path / "map.nrrd")
    request = RefineRequest(
        id="1",
        do="refine",
        images={"T2": str(tmp_path / "t2.png")},
        maps={"T2": str(tmp_path / "map.nrrd")},
        out=str(tmp_path),
        resample=True,
    )
    with pytest.raises(SegToolkitError) as caught:
        refine_files(request, VolumeCache(1 << 20), Reporter())
    assert caught.value.code == "colour-volume"


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("settings.json", "segtoolkit train cmer --run"),
        ("model.json", "--model"),
        ("result/model/model.json", "--model"),
    ],
)
def test_what_is_ours_needs_no_import_and_is_told_so(file: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "run" / file).write_text(json.dumps({"method": "cmer"}), encoding="utf-8")
    for place in (tmp_path / "run", tmp_path / "run" / "checkpoints"):
        with pytest.raises(SegToolkitError) as caught:
            import_authors(place, tmp_path / "out", modalities=NAMES)
        assert caught.value.code == "our-own"
        assert told in caught.value.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["", "  "])
def test_an_imported_structure_needs_a_name(name: str) -> None:
    with pytest.raises(SegToolkitError) as caught:
        imported_card(
            "cmer",
            Settings(),
            name="a",
            title="A",
            labels={"liver": 1, name: 2},
            preprocessing={"modality": "MR"},
            licence=None,  # type: ignore[arg-type] (it is not looked at)
            provenance={},
            limits="",
        )
    assert caught.value.code == "bad-labels"
