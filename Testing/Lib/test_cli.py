"""The command line as a person or a program meets it: results, sentences, exit codes, no half files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from SegToolkitLib.cli import main
from SegToolkitLib.methods.alpnet.network import build_network
from SegToolkitLib.methods.alpnet.settings import NetworkSettings
from SegToolkitLib.models.card import Licence, ModelCard, Preprocessing
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.phantom import phantom
from SegToolkitLib.volume import Volume, read_segmentation, read_volume, write_volume

SETTINGS = NetworkSettings(encoder="compact", compact_widths=(8, 8, 16, 16), channels=32)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small patients and a model with random weights."""
    folder = tmp_path_factory.mktemp("place")
    for seed in (1, 2):
        patient = phantom(seed, size=(64, 64), slices=12, spacing=(5, 5, 16))
        write_volume(patient.image, folder / f"image_{seed}.nii.gz")
        write_volume(patient.label, folder / f"label_{seed}.nii.gz")
    network = build_network("compact", compact_widths=(8, 8, 16, 16), channels=32, generator_seed=0)
    for name, permissive in (("free", True), ("bound", False)):
        card = ModelCard(
            name=name,
            title="test",
            method="alpnet",
            settings=SETTINGS.model_dump(mode="json"),
            preprocessing=Preprocessing(modality="MR", orientation="LAS"),
            licence=Licence(name="terms of the test", permissive=permissive, summary="Research only."),
        )
        save_model(folder / name, card, network.state_dict())
    labels = {"background": 0, "liver": 1, "right kidney": 2, "left kidney": 3, "spleen": 4}
    text = {"name": "tiny", "modality": "MR", "labels": labels, "folds": 2}
    (folder / "dataset.json").write_text(json.dumps(text))
    return folder


def segment(place: Path, *more: str, model: str = "free") -> list[str]:
    support = ["--support", str(place / "image_1.nii.gz"), str(place / "label_1.nii.gz"), "6"]
    return ["segment", "alpnet", "--model", str(place / model), *support, *more]


def test_one_outlined_slice_gives_a_named_segmentation_on_the_querys_grid(
    place: Path, tmp_path: Path
) -> None:
    out, sure, picture = tmp_path / "r.seg.nrrd", tmp_path / "sure.nii.gz", tmp_path / "r.png"
    code = main(
        segment(
            place,
            *("--query", str(place / "image_2.nii.gz"), "--out", str(out), "--structures", "1=liver"),
            *("--confidence", str(sure), "--overlay", str(picture)),
        )
    )
    query = read_volume(place / "image_2.nii.gz")
    result = read_segmentation(out)
    assert code == 0
    assert result.labels.same_grid(query)
    assert [s.name for s in result.segments] == ["liver"]
    assert read_volume(sure).same_grid(query)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_several_queries_go_into_a_folder(place: Path, tmp_path: Path) -> None:
    queries = [w for n in (1, 2) for w in ("--query", str(place / f"image_{n}.nii.gz"))]
    assert main(segment(place, *queries, "--out", str(tmp_path / "out"))) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["image_1.seg.nrrd", "image_2.seg.nrrd"]


def test_a_program_gets_json_lines_that_start_with_hello_and_end_with_done(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query = str(place / "image_1.nii.gz")
    assert main(segment(place, "--query", query, "--out", str(tmp_path / "r.seg.nrrd"), "--json")) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["t"] == "hello"
    assert lines[0]["pid"] > 0
    assert lines[-1]["t"] == "done"
    result = lines[-1]["outputs"]["results"][0]
    assert Path(result["segmentation"]).is_file()
    assert isinstance(result["next_slice"], int)
    steps = [line for line in lines if line["t"] == "progress" and line["phase"] == "segmenting"]
    assert steps[-1]["step"] == steps[-1]["total"] == 12


def test_a_licence_is_accepted_once_before_first_use(place: Path, tmp_path: Path) -> None:
    call = segment(
        place, "--query", str(place / "image_1.nii.gz"), "--out", str(tmp_path / "r.nrrd"), model="bound"
    )
    assert main(call) == 1
    assert main([*call, "--accept-licence"]) == 0
    assert main(call) == 0


@pytest.fixture
def bad(place: Path, tmp_path: Path) -> dict[str, str]:
    """Files a person may give by mistake."""
    image = read_volume(place / "image_1.nii.gz")
    paths = {name: tmp_path / f"{name}.nii.gz" for name in ("empty", "cut", "nan", "ct", "moved", "blank")}
    paths["empty"].write_bytes(b"")
    paths["cut"].write_bytes((place / "image_1.nii.gz").read_bytes()[:4000])
    holes = image.voxels.astype(np.float32)
    holes[3, 5, 5] = np.nan
    # SimpleITK writes NaN as it is; our own writer is not asked, so that the file is as others make it.
    import SimpleITK as sitk

    sitk.WriteImage(image.with_voxels(holes).to_sitk(), str(paths["nan"]))
    write_volume(image.with_voxels((image.voxels - 1000).astype(np.int16)), paths["ct"])
    label = read_volume(place / "label_1.nii.gz")
    moved = Volume(label.voxels, label.spacing, (0.0, 0.0, 0.0), label.direction)
    write_volume(moved, paths["moved"])
    write_volume(label.with_voxels(label.voxels * 0), paths["blank"])
    text = tmp_path / "text.nii.gz"
    text.write_text("not an image")
    return {
        **{n: str(p) for n, p in paths.items()},
        "missing": str(tmp_path / "gone.nii.gz"),
        "text": str(text),
    }


@pytest.mark.parametrize("which", ["empty", "cut", "nan", "ct", "missing", "text"])
def test_a_bad_query_is_told_in_a_sentence_and_leaves_an_earlier_result_alone(
    place: Path, tmp_path: Path, bad: dict[str, str], which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "earlier.seg.nrrd"
    out.write_bytes(b"earlier result")
    before = sorted(tmp_path.iterdir())
    code = main(segment(place, "--query", bad[which], "--out", str(out), "--json"))
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 1
    assert events[-1]["t"] == "error"
    assert events[-1]["code"] != "internal"
    assert Path(bad[which]).name in events[-1]["text"]
    assert events[-1]["hint"]
    assert out.read_bytes() == b"earlier result"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("mask", "slices", "word"),
    [("moved", "6", "moved.nii.gz"), ("blank", "6", "empty"), ("good", "0", "slice 0"), ("good", "x", "'x'")],
)
def test_a_bad_outline_is_told_in_a_sentence(
    place: Path,
    tmp_path: Path,
    bad: dict[str, str],
    mask: str,
    slices: str,
    word: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = bad.get(mask, str(place / "label_1.nii.gz"))
    image = str(place / "image_1.nii.gz")
    call = ["segment", "alpnet", "--model", str(place / "free"), "--support", image, path, slices]
    assert main([*call, "--query", image, "--out", str(tmp_path / "r.nrrd")]) == 1
    told = capsys.readouterr().err
    assert word in told
    assert "Traceback" not in told
    assert not (tmp_path / "r.nrrd").exists()


def test_an_unknown_model_is_told_with_what_there_is(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", "abdomen-mr-t2-compakt"]) == 1
    assert "abdomen-mr-t2-compakt" in capsys.readouterr().err


def test_evaluation_writes_a_table_for_both_protocols_and_a_picture(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "evaluation"
    data = ["--dataset", str(place), "--out", str(out)]
    # Two volumes: fold 0 tests case 1 with case 2 as support, which leaves none to train on.
    assert main(["evaluate", "alpnet", *data, "--model", str(place / "free"), "--fold", "0"]) == 1
    patient = phantom(3, size=(64, 64), slices=12, spacing=(5, 5, 16))
    write_volume(patient.image, place / "image_3.nii.gz")
    write_volume(patient.label, place / "label_3.nii.gz")
    assert main(["evaluate", "alpnet", *data, "--model", str(place / "free"), "--fold", "0"]) == 0
    rows = (out / "scans.csv").read_text().splitlines()
    assert rows[0].startswith("fold,scan,organ,dice,precision,recall,honest_dice")
    assert [row.split(",")[2] for row in rows[1:]] == ["liver", "right kidney", "left kidney", "spleen"]
    table = json.loads((out / "results.json").read_text())["dice_percent"]
    assert set(table) == {"dice", "honest_dice", "product_dice"}
    assert (out / "fold0_scan_1.png").is_file()


def test_superpixels_are_written_once_with_a_preview(place: Path, tmp_path: Path) -> None:
    call = [
        "superpixels",
        "alpnet",
        "--dataset",
        str(place),
        "--out",
        str(tmp_path / "sp"),
        "--min-size",
        "60",
    ]
    assert main(call) == 0
    made = tmp_path / "sp" / "superpix-60_1.nii.gz"
    first = made.stat().st_mtime_ns
    assert (tmp_path / "sp" / "preview.png").is_file()
    assert main(call) == 0
    assert made.stat().st_mtime_ns == first
    assert main([*call, "--compat"]) == 0
    assert made.stat().st_mtime_ns == first, "train's default preset numbers them so"
    assert main([*call, "--preset", "default"]) == 0
    assert made.stat().st_mtime_ns != first


def test_a_class_map_lists_slices_by_structure(place: Path, tmp_path: Path) -> None:
    assert main(["classmap", "alpnet", "--dataset", str(place), "--out", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "classmap_1.json").read_text())
    label = read_volume(place / "label_1.nii.gz", label=True).voxels
    assert content["liver"]["1"] == np.flatnonzero((label == 1).any((1, 2))).tolist()


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--out", "{query}"], "overwritten"),
        (["--out", "{mask}"], "overwritten"),
        (["--out", "{folder}/r.seg.nrrd", "--confidence", "{query}"], "overwritten"),
        (["--out", "{folder}/r.nrrd", "--confidence", "{folder}/r.nrrd"], "overwritten"),
        (["--out", "{folder}/r.txt"], "format"),
        (["--out", "{folder}/r.nrrd", "--overlay", "{folder}/r.pdf"], "format"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_any_work(
    place: Path, tmp_path: Path, more: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    query, mask = tmp_path / "q.nii.gz", tmp_path / "m.nii.gz"
    query.write_bytes((place / "image_1.nii.gz").read_bytes())
    mask.write_bytes((place / "label_1.nii.gz").read_bytes())
    before = query.read_bytes(), mask.read_bytes()
    filled = [word_.format(query=query, mask=mask, folder=tmp_path) for word_ in more]
    call = ["segment", "alpnet", "--model", str(place / "free"), "--support", str(query), str(mask), "6"]
    assert main([*call, "--query", str(query), *filled]) == 1
    told = capsys.readouterr().err
    assert word in told
    assert "segmenting" not in told
    assert (query.read_bytes(), mask.read_bytes()) == before


def test_two_dicom_patients_are_told_apart_by_their_series(place: Path, tmp_path: Path) -> None:
    import SimpleITK as sitk

    from SegToolkitLib.volume import list_dicom_series

    uids = []
    for seed in (1, 2):
        image = read_volume(place / f"image_{seed}.nii.gz").to_sitk()
        folder = tmp_path / f"patient{seed}"
        folder.mkdir()
        uids.append(f"1.2.826.0.1.3680043.2.1125.{seed}")
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        direction = np.array(image.GetDirection()).reshape(3, 3)
        for k in range(image.GetSize()[2]):
            plane = image[:, :, k]
            position = image.TransformIndexToPhysicalPoint((0, 0, k))
            tags = {
                "0008|0060": "MR",
                "0020|000e": uids[-1],
                "0008|0018": f"{uids[-1]}.{k + 1}",
                "0020|0032": "\\".join(f"{v:.6f}" for v in position),
                "0020|0037": "\\".join(f"{v:.6f}" for v in direction[:, :2].T.ravel()),
                "0020|0013": str(k + 1),
            }
            for tag, value in tags.items():
                plane.SetMetaData(tag, value)
            writer.SetFileName(str(folder / f"{k:03}.dcm"))
            writer.Execute(plane)
        assert [series.uid for series in list_dicom_series(folder)] == [uids[-1]]
    call = ["segment", "alpnet", "--model", str(place / "free"), "--out", str(tmp_path / "out")]
    mask = tmp_path / "mask.nii.gz"
    label = read_volume(place / "label_1.nii.gz", label=True)
    stored = read_volume(tmp_path / "patient1")
    from SegToolkitLib.volume import onto_grid

    write_volume(onto_grid(label, stored.grid, label=True), mask)
    series = [w for uid in uids for w in ("--series", uid)]
    both = ["--query", str(tmp_path / "patient1"), "--query", str(tmp_path / "patient2")]
    assert main([*call, "--support", str(tmp_path / "patient1"), str(mask), *both, *series]) == 0
    result = read_segmentation(tmp_path / "out" / "patient2.seg.nrrd")
    assert result.labels.same_grid(read_volume(tmp_path / "patient2"))
