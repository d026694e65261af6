"""Pictures of the training panel in its main states, for the docs: made-up abdomens, the real worker.

python Testing/Host/screenshots_training.py [--out docs/pictures]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
CASES, LABELLED = 6, 2
MOST_BYTES = 60_000
SIZE, SLICES = (128, 128), 16
SETTINGS: dict[str, Any] = {
    "optimiser": {"steps": 60, "pairs_per_step": 2},
    "data": {"fold": None},
    "log_every": 1,
    "validate_every": 5,
    "snapshot_every": 20,
}


def load_patients(folder: Path) -> tuple[list[Any], list[Any]]:
    """Made-up abdomens as nodes of the scene; some of them with a segmentation."""
    import slicer

    from SegToolkitLib.phantom import LABEL_NAMES, phantom
    from SegToolkitLib.volume import write_volume

    volumes, segmentations = [], []
    for number in range(CASES):
        made = phantom(number, size=SIZE, slices=SLICES, spacing=(2.5, 2.5, 10.0))
        image, label = folder / f"patient {number + 1}.nii.gz", folder / f"labels {number + 1}.nii.gz"
        write_volume(made.image, image)
        volumes.append(slicer.util.loadVolume(str(image)))
        if number < LABELLED:
            write_volume(made.label, label)
            node = slicer.util.loadSegmentation(str(label))
            node.SetReferenceImageGeometryParameterFromVolumeNode(volumes[-1])
            segments = node.GetSegmentation()
            for segmentId, name in zip(segments.GetSegmentIDs(), LABEL_NAMES.values(), strict=True):
                segments.GetSegment(segmentId).SetName(name)
            segmentations.append(node)
    return volumes, segmentations


def shrink(path: Path) -> None:
    """No empty ground at the bottom, and fewer colours until the file is small enough: overlays take room."""
    from PIL import Image, ImageChops

    picture = Image.open(path).convert("RGB")
    ground = Image.new("RGB", picture.size, picture.getpixel((0, picture.height - 1)))
    bottom = ImageChops.difference(picture, ground).getbbox()[3]
    picture = picture.crop((0, 0, picture.width, min(picture.height, bottom + 12)))
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    for colours in (128, 64, 48, 32, 24):
        if path.stat().st_size <= MOST_BYTES:
            return
        method = Image.Quantize.MAXCOVERAGE
        picture.quantize(colours, method, dither=Image.Dither.NONE).save(path, optimize=True)


class Album:
    """The application, its panel, and the pictures taken of it."""

    def __init__(self, out: Path, place: Path) -> None:
        from training_panel import MODULES, Panel

        import host

        self.out, self.place = out, place
        self.application = host.start(MODULES)
        self.application.showModule("SegToolkitTraining")
        self.panel = Panel(self.application)
        # The first script of pictures knows how to grab a panel.
        found = importlib.util.spec_from_file_location("screenshots", HERE / "screenshots.py")
        assert found is not None
        assert found.loader is not None
        self.shots = importlib.util.module_from_spec(found)
        found.loader.exec_module(self.shots)

    def take(self, name: str) -> None:
        """One picture of the whole panel."""
        path = self.out / f"training-{name}.png"
        self.panel.settle(0.4)
        self.shots.save(self.application, self.panel.widget.uiWidget, path)
        shrink(path)
        print(path, path.stat().st_size)

    def fold(self, **sections: bool) -> None:
        """Fold (False) and unfold (True) sections."""
        for name, isOpen in sections.items():
            getattr(self.panel, name).setProperty("collapsed", not isOpen)

    def run(self) -> None:
        """From state to state."""
        panel = self.panel
        panel.wait(lambda: panel.session.methods and panel.session.devices and panel.jobs.known, 60)
        panel.settle()
        self.take("empty")
        self._collect()
        panel.wait(lambda: "About" in panel.estimateLabel.text(), 200, "the estimate")
        self.take("ready")
        self._train("abdomen-a")
        self._start("abdomen-b")
        panel.jobs.follow(str(Path(panel.jobs.root) / "abdomen-a"))
        panel.wait(lambda: len(panel.panel.running._pictures) >= 4, 400, "validations")
        panel.select("abdomen-b")
        self.fold(dataSection=False, planSection=False)
        self.take("running")
        panel.keepButton.click()
        panel.wait(lambda: panel.row("abdomen-a")[2] == "finished", 60, "the model")
        panel.select("abdomen-a")
        panel.useModelButton.click()
        panel.wait(lambda: "is ready" in panel.messageLabel.text(), 60, "the collection")
        self.take("finished")
        self._fail()

    def _collect(self) -> None:
        from PySide6.QtCore import Qt

        panel = self.panel
        volumes, segmentations = load_patients(self.place)
        for node in volumes:
            panel.collectVolumesSelector.setCheckState(node, Qt.CheckState.Checked)
        for node in segmentations:
            panel.collectSegmentationsSelector.setCheckState(node, Qt.CheckState.Checked)
        folder = self.place / "Abdomen"
        for edit, text in ((panel.collectFolderEdit, str(folder)), (panel.collectNameEdit, "Abdomen")):
            edit.setText(text)
            edit.textEdited.emit(text)
        self.fold(collectSection=True, planSection=False, runSection=False, runsSection=False)
        self.take("collect")
        panel.collectButton.click()
        panel.wait(lambda: panel.panel.data.facts is not None, 200, "the data set")
        self.fold(collectSection=False, planSection=True, runSection=True, runsSection=True)

    def _train(self, name: str) -> None:
        plan = self.panel.panel.plan
        plan.form.setValues(SETTINGS)
        plan.form.changed.emit()
        self._start(name)

    def _start(self, name: str) -> None:
        panel = self.panel
        panel.runNameEdit.setText(name)
        panel.runNameEdit.textEdited.emit(name)
        panel.settle(0.6)
        panel.wait(panel.startButton.isEnabled, 60, "Start")
        panel.startButton.click()
        panel.wait(lambda: panel.jobs.followed.endswith(name), 60, name)
        panel.settle(0.3)

    def _fail(self) -> None:
        """A data set with errors, and a run whose process was killed."""
        panel = self.panel
        panel.wait(lambda: panel.row("abdomen-b")[2] == "runs", 60, "the second run")
        panel.wait(lambda: (panel.jobs.jobs[0].get("step") or 0) >= 2, 200, "two steps")
        os.kill(next(job["pid"] for job in panel.jobs.jobs if job["name"] == "abdomen-b"), 9)
        folder = self.place / "Abdomen"
        images = sorted((folder / "imagesTr").glob("*.nii.gz"))
        shutil.copy(images[0], images[1])
        described = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        next(iter(sorted((folder / "labelsTr").glob("*.nii.gz")))).write_bytes(b"damaged")
        (folder / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
        panel.recheckButton.click()
        panel.wait(lambda: panel.problemTable.isVisible() or panel.panel.data.error, 60, "the problems")
        panel.select("abdomen-b")
        panel.showRunButton.click()
        self.fold(dataSection=True, planSection=False, runSection=True, runsSection=True)
        self.take("problems")


def main() -> None:
    """Drive the panel from state to state."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="segtoolkit-pictures-"))
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(place)
    os.environ["SEGTOOLKIT_HOME"] = str(place / "home")
    sys.path[:0] = [str(HERE), str(HERE / "tests" / "training")]
    album = Album(options.out, place)
    try:
        album.run()
    finally:
        album.application.quit()
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
