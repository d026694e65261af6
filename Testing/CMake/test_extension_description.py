"""What the Extensions Index reads of the sources agrees with itself and with the files that are there."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from extension_build import ROOT

CMAKE = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
ENTRY = ROOT / "docs" / "extension" / "SegToolkit.json"
FIELDS = {
    "$schema": str,
    "category": str,
    "scm_url": str,
    "scm_revision": str,
    "scm_type": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "dicom_support_rule": str,
    "enabled": bool,
    "tier": int,
}
ICONS = [
    "Resources/SegToolkit.png",
    "SegToolkit/Resources/Icons/SegToolkitAutoSegment.png",
    "SegToolkit/Resources/Icons/SegToolkitFewShot.png",
    "SegToolkit/Resources/Icons/SegToolkitTraining.png",
    "SegToolkit/Resources/Icons/SegToolkitWeakSupervision.png",
]


def setting(name: str) -> str:
    """The literal value of a setting: the Index reads the file as text and evaluates nothing."""
    found = re.findall(rf'^set\({name} "([^"${{}};]+)"\)$', CMAKE, re.MULTILINE)
    assert len(found) == 1, f"{name} has to be set once, to a literal text without semicolons"
    return found[0]


def modules() -> set[str]:
    listed = re.search(
        r"set\(modules\s+([^)]*)\)", (ROOT / "SegToolkit/CMakeLists.txt").read_text(encoding="utf-8")
    )
    assert listed is not None
    return set(listed[1].split())


def test_the_entry_of_the_index_has_the_fields_of_its_schema() -> None:
    entry = json.loads(ENTRY.read_text(encoding="utf-8"))
    assert entry["$schema"].endswith("/slicer-extension-catalog-entry-schema-v1.0.2.json#")
    assert {"$schema", "category", "scm_url"} <= set(entry) <= set(FIELDS)
    assert [key for key, value in entry.items() if not isinstance(value, FIELDS[key])] == []
    assert entry["category"] == "Segmentation"
    assert entry["tier"] in {1, 3, 5}
    assert b"\r" not in ENTRY.read_bytes()


def test_the_entry_agrees_with_the_build() -> None:
    entry = json.loads(ENTRY.read_text(encoding="utf-8"))
    assert re.findall(r"^project\((\w+)\)$", CMAKE, re.MULTILINE) == [ENTRY.stem]
    assert entry["build_dependencies"] == setting("EXTENSION_DEPENDS").split()
    assert entry["scm_url"] == setting("EXTENSION_HOMEPAGE") + ".git"
    assert setting("EXTENSION_HOMEPAGE").endswith("/SlicerSegToolkit")


@pytest.mark.parametrize("name", ["EXTENSION_CONTRIBUTORS", "EXTENSION_DESCRIPTION"])
def test_texts_are_literal(name: str) -> None:
    assert len(setting(name)) > 10


@pytest.mark.parametrize("name", ["EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"])
def test_pictures_are_in_the_repository(name: str) -> None:
    start = setting("EXTENSION_HOMEPAGE").replace("github.com", "raw.githubusercontent.com") + "/main/"
    for url in setting(name).split():
        assert url.startswith(start)
        with Image.open(ROOT / url[len(start) :]) as picture:
            assert picture.format in {"PNG", "JPEG", "GIF"}


def test_the_includes_of_an_extension_are_last_and_in_order() -> None:
    calls = [line for line in CMAKE.splitlines() if line and not line.startswith("#")]
    assert calls[-2:] == [
        "include(${Slicer_EXTENSION_GENERATE_CONFIG})",
        "include(${Slicer_EXTENSION_CPACK})",
    ]


def test_every_python_file_beside_the_modules_is_a_module() -> None:
    files = {file.stem: file for file in (ROOT / "SegToolkit").glob("*.py")}
    assert set(files) == modules()
    for name, file in files.items():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def test_every_module_has_its_icon_and_panel() -> None:
    for name in modules():
        assert (ROOT / "SegToolkit/Resources/Icons" / f"{name}.png").is_file()
        assert (ROOT / "SegToolkit/Resources/UI" / f"{name}.ui").is_file()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("icons")
    subprocess.run([sys.executable, str(ROOT / "Resources/make_icons.py"), "--root", str(folder)], check=True)
    return folder


def pixels(file: Path, size: int = 128) -> np.ndarray:
    with Image.open(file) as icon:
        assert icon.size == (128, 128)
        assert icon.mode == "RGBA"
        return np.asarray(icon.resize((size, size), Image.Resampling.LANCZOS), dtype=float)


@pytest.mark.parametrize("name", ICONS)
def test_icons_are_what_the_script_draws(drawn: Path, name: str) -> None:
    # Releases of Pillow differ by a shade at edges.
    assert np.abs(pixels(ROOT / name) - pixels(drawn / name)).mean() < 1


@pytest.mark.parametrize("name", ICONS)
@pytest.mark.parametrize("theme", [(255, 255, 255), (45, 45, 48)], ids=["light", "dark"])
def test_icons_stand_out_at_16_pixels(name: str, theme: tuple[int, int, int]) -> None:
    icon = pixels(ROOT / name, 16)
    shown = icon[..., :3] * icon[..., 3:] / 255 + np.array(theme) * (1 - icon[..., 3:] / 255)
    brightness = shown @ [0.299, 0.587, 0.114]
    ground = np.array(theme) @ [0.299, 0.587, 0.114]
    assert (np.abs(brightness - ground) > 25).mean() > 0.5
    assert brightness[4:12, 4:12].std() > 25
    # The structure that was found, or the curve of what is learnt, in orange.
    least = 12 if "Training" in name else 20
    assert ((shown[..., 0] > 190) & (shown[..., 2] < 110)).sum() >= least
