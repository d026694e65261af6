"""A real worker process, driven by request files as a window does it, and small inputs for it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from SegToolkitLib.methods.alpnet.network import build_network
from SegToolkitLib.methods.alpnet.settings import NetworkSettings
from SegToolkitLib.models.card import Licence, ModelCard, Preprocessing
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.phantom import Phantom, phantom
from SegToolkitLib.volume import Volume, read_volume, write_volume
from SegToolkitLib.volume.lattice import cut, sub_grid

ROOT = Path(__file__).parents[2]
NAMES = {1: "liver", 4: "spleen"}
SETTINGS = NetworkSettings(encoder="compact", compact_widths=(8, 8, 16, 16), channels=32)
PATIENCE = 60


@cache
def patient(seed: int = 1) -> Phantom:
    """A small abdomen of 12 slices."""
    return phantom(seed, size=(64, 64), slices=12, spacing=(5, 5, 16))


def start_process(folder: Path, parent: int, environment: dict[str, str]) -> subprocess.Popen:
    """The worker's process; its events come on stdout."""
    call = [sys.executable, "-m", "SegToolkitLib", "worker", "--folder", str(folder), "--parent", str(parent)]
    return subprocess.Popen(
        call,
        cwd=ROOT,
        env={**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


class Worker:
    """Starts a worker and asks it; as a context it leaves no process behind."""

    def __init__(self, folder: Path, parent: int | None = None, **environment: str) -> None:
        self.folder, self._count = folder, 0
        (folder / "requests").mkdir(parents=True, exist_ok=True)
        self.process = start_process(folder, parent or os.getpid(), environment)
        self._lines: queue.Queue[bytes] = queue.Queue()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
        threading.Thread(target=self._collect, daemon=True).start()
        self._log: list[bytes] = []
        self._log_reader = threading.Thread(target=self._collect_log, daemon=True)
        self._log_reader.start()
        self.hello = self.event()

    def _collect(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def _collect_log(self) -> None:
        assert self.process.stderr is not None
        self._log.extend(self.process.stderr)

    def end(self) -> int:
        """Wait for the process to end by itself; its exit code."""
        return self.process.wait(PATIENCE)

    def log(self) -> bytes:
        """What an ended process wrote to stderr."""
        self._log_reader.join(PATIENCE)
        return b"".join(self._log)

    def event(self) -> dict[str, Any]:
        """The next event."""
        return json.loads(self._lines.get(timeout=PATIENCE))

    def put(self, text: str) -> None:
        """Hand in the text of a request."""
        self._count += 1
        beside = self.folder / "requests" / f"{self._count:06d}.json.part"
        beside.write_text(text, encoding="utf-8")
        beside.rename(beside.with_suffix(""))

    def send(self, do: str, **body: Any) -> str:
        """Hand in a request and return its id."""
        name = f"r{self._count + 1}"
        self.put(json.dumps({"id": name, "do": do, **body}))
        return name

    def events(self, do: str, **body: Any) -> list[dict[str, Any]]:
        """All events of a request; every one carries its id and the last one ends it."""
        name = self.send(do, **body)
        found: list[dict[str, Any]] = []
        while not found or found[-1]["t"] not in ("done", "error"):
            found.append(self.event())
        assert {event["id"] for event in found} == {name}
        return found

    def ask(self, do: str, **body: Any) -> dict[str, Any]:
        """What a request gives."""
        last = self.events(do, **body)[-1]
        assert last["t"] == "done", last
        return last["outputs"]

    def refused(self, do: str, **body: Any) -> dict[str, Any]:
        """The error of a request that has to fail."""
        last = self.events(do, **body)[-1]
        assert last["t"] == "error", last
        assert last["text"].endswith("."), last
        assert last["hint"], last
        return last

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def save_test_model(
    folder: Path, name: str, *, permissive: bool = True, spacing: float | None = None
) -> Path:
    """A model with random weights."""
    card = ModelCard(
        name=name,
        title="test",
        method="alpnet",
        settings=SETTINGS.model_dump(mode="json"),
        preprocessing=Preprocessing(modality="MR", orientation="LAS", spacing=(spacing, spacing, None)),
        licence=Licence(name="terms of the test", permissive=permissive, summary="Research only."),
    )
    network = build_network("compact", compact_widths=(8, 8, 16, 16), channels=32, generator_seed=0)
    save_model(folder / name, card, network.state_dict())
    return folder / name


def support(folder: Path, image: Volume, label: Volume, axis: int, z: int, names: dict[int, str]) -> dict:
    """A support as the window sends it: the image, and a mask of one slice cropped to its outlines."""
    own = np.moveaxis(label.voxels, 2 - axis, 0)[z]
    whole = np.zeros_like(label.voxels)
    np.moveaxis(whole, 2 - axis, 0)[z] = np.where(np.isin(own, list(names)), own, 0)
    spans = [np.flatnonzero(whole.any(axis=tuple(a for a in range(3) if a != 2 - n))) for n in range(3)]
    offset = tuple(int(s[0]) for s in spans)
    size = tuple(int(s[-1] - s[0]) + 1 for s in spans)
    grid = sub_grid(image.grid, offset, size)  # type: ignore[arg-type]
    part = cut(whole, offset, size, 0).astype(np.uint8)  # type: ignore[arg-type]
    mask = Volume(part, grid.spacing, grid.origin, grid.direction)
    folder.mkdir(parents=True, exist_ok=True)
    write_volume(image, folder / "image.nrrd", compress=False)
    write_volume(mask, folder / "mask.nrrd", compress=False)
    return {
        "image": str(folder / "image.nrrd"),
        "mask": str(folder / "mask.nrrd"),
        "offset": offset,
        "axis": axis,
        "slices": [z],
        "structures": {str(value): {"name": name} for value, name in names.items()},
    }


def whole(outputs: dict[str, Any], query: Volume) -> np.ndarray:
    """The cropped labels put back, by the offset; and by the file's own geometry, which has to agree."""
    labels = np.zeros(query.shape, np.uint8)
    if outputs["labels"] is None:
        return labels
    part = read_volume(outputs["labels"], label=True)
    assert list(part.grid.size) == outputs["size"]
    start = outputs["offset"]
    np.testing.assert_allclose(part.origin, query.world([start])[0], atol=1e-3)
    np.testing.assert_allclose(part.affine[:3, :3], query.affine[:3, :3], atol=1e-4)
    box = tuple(slice(a, a + n) for a, n in zip(start[::-1], outputs["size"][::-1], strict=True))
    labels[box] = part.voxels
    return labels
