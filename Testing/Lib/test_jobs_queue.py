from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs_helpers import make, own_home, until, until_state
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.jobs import control, devices
from SegToolkitLib.jobs.devices import Device, resolve
from SegToolkitLib.jobs.event_file import events
from SegToolkitLib.jobs.queue import DeviceQueue, Entry, refuse_too_large
from SegToolkitLib.jobs.status import list_jobs, status
from SegToolkitLib.training.alive import holding

LONG = {"steps": 4000, "seconds": 0.02}
GPU = Device("cuda:0", 16 * 1024)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_home(tmp_path, monkeypatch) as folder:
        yield folder


def states(home: Path) -> dict[str, tuple[str, int | None]]:
    return {one.name: (one.state, one.position) for one in list_jobs(home / "runs")}


def test_jobs_wait_for_the_cpu_say_why_and_follow_in_the_order_of_the_queue(home: Path) -> None:
    folders = {name: make(home, name, **LONG) for name in "abcd"}
    for folder in folders.values():
        control.start(folder)
        until(lambda folder=folder: status(folder).state in ("running", "waiting"))
    assert states(home) == {
        "a": ("running", None),
        "b": ("waiting", 1),
        "c": ("waiting", 2),
        "d": ("waiting", 3),
    }
    assert status(folders["b"]).reason == "Waits for a, which uses cpu."
    assert status(folders["c"]).reason == "Waits for a, which uses cpu; b is before it."
    assert status(folders["d"]).device == "cpu"
    assert control.move(folders["d"], 1).position == 1
    # One that is killed, and one that is asked to stop, drop out.
    assert control.kill(folders["b"]).state == "interrupted"
    assert control.stop(folders["c"]).state in ("stopping", "stopped", "waiting")
    assert until_state(folders["c"], "stopped").step == 0
    until(lambda: status(folders["d"]).reason == "Waits for a, which uses cpu.")
    control.stop(folders["a"])
    until_state(folders["d"], "running")
    assert [one["t"] for one in events(folders["c"])[0]] == ["stopped"]
    with pytest.raises(SegToolkitError, match="does not wait"):
        control.move(folders["d"], 1)
    control.resume(folders["b"])
    control.kill(folders["d"])
    until_state(folders["b"], "running")


class Owned:
    """Folders that this process works on, entered in a queue."""

    def __init__(self, queue: DeviceQueue, root: Path) -> None:
        self.queue, self.root = queue, root
        self._holds: dict[str, object] = {}

    def enter(self, name: str, memory_mb: float | None = None) -> Entry:
        hold = holding(self.root / name)
        hold.__enter__()
        (self.root / name / "kept").touch()
        self._holds[name] = hold
        entry = Entry(str(self.root / name), name, os.getpid(), memory_mb)
        self.queue.enter(entry)
        return entry

    def end(self, name: str) -> None:
        self._holds.pop(name).__exit__(None, None, None)  # type: ignore[attr-defined]


@pytest.fixture
def owned(home: Path, tmp_path: Path) -> Iterator[Owned]:
    found = Owned(DeviceQueue("cuda:0"), tmp_path / "r")
    yield found
    for name in list(found._holds):
        found.end(name)


@pytest.mark.parametrize(
    ("running", "asking", "device", "reason"),
    [
        ([], 4000, GPU, None),
        ([], None, GPU, None),
        ([8000], 8000, GPU, None),
        ([8000], 9000, GPU, "Waits for r0, which uses 7.8 of the 16.0 GB of cuda:0; it needs 8.8 GB."),
        ([4000, 4000], 8000, GPU, None),
        (
            [4000, 8000],
            8000,
            GPU,
            "Waits for r0 and r1, which use 11.7 of the 16.0 GB of cuda:0; it needs 7.8 GB.",
        ),
        ([8000], None, GPU, "Waits for r0, which uses cuda:0."),
        ([None], 10, GPU, "Waits for r0, which uses cuda:0."),
        ([10], 10, Device("cuda:0"), "Waits for r0, which uses cuda:0."),
        ([10], 10, Device("cpu", 1e6), "Waits for r0, which uses cpu."),
        ([10], 10, Device("mps", 1e6), "Waits for r0, which uses mps."),
    ],
)
def test_a_gpu_is_shared_by_those_that_fit_and_everything_else_is_used_alone(
    owned: Owned, running: list[float | None], asking: float | None, device: Device, reason: str | None
) -> None:
    for number, memory in enumerate(running):
        assert owned.queue.ask(owned.enter(f"r{number}", memory), GPU) is None
    assert owned.queue.ask(owned.enter("new", asking), device) == reason


def test_a_small_job_does_not_overtake_a_large_one(owned: Owned) -> None:
    assert owned.queue.ask(owned.enter("first", 10_000), GPU) is None
    large, small = owned.enter("large", 10_000), owned.enter("small", 10)
    assert "large is before it" in str(owned.queue.ask(small, GPU))
    assert owned.queue.ask(large, GPU) is not None
    owned.queue.move(Path(small.folder), 1)
    assert owned.queue.ask(small, GPU) is None


def test_whoever_ended_is_in_nobodys_way(owned: Owned) -> None:
    first, second = owned.enter("first"), owned.enter("second")
    assert owned.queue.ask(first, GPU) is None
    owned.end("first")
    assert [one.name for one in owned.queue.entries()] == ["second"]
    assert owned.queue.ask(second, GPU) is None


def test_a_damaged_queue_is_made_anew_by_those_who_wait(owned: Owned, home: Path) -> None:
    entry = owned.enter("a")
    (file,) = (home / "queue").rglob("cuda-0.json")
    for text in ("", "{", '{"entries": [{"x": 1}]}'):
        file.write_text(text)
        assert owned.queue.ask(entry, GPU) is None
        assert [one.name for one in owned.queue.entries()] == ["a"]


@pytest.mark.parametrize(("position", "order"), [(1, "cab"), (2, "acb"), (3, "abc"), (99, "abc")])
def test_waiting_jobs_can_be_given_any_place(owned: Owned, position: int, order: str) -> None:
    owned.queue.ask(owned.enter("running"), GPU)
    moved = [owned.enter(name) for name in "abc"][-1]
    owned.queue.move(Path(moved.folder), position)
    assert "".join(one.name for one in owned.queue.entries()[1:]) == order
    assert owned.queue.place(Path(moved.folder)) == order.index("c") + 1
    assert owned.queue.place(owned.root / "running") is None
    with pytest.raises(SegToolkitError, match="first place"):
        owned.queue.move(Path(moved.folder), 0)


def test_changes_from_many_sides_lose_nobody(owned: Owned) -> None:
    entries = [owned.enter(f"e{n}") for n in range(8)]

    def shuffle(number: int) -> None:
        for _ in range(10):
            owned.queue.move(Path(entries[number].folder), 1 + number % 3)
            owned.queue.ask(entries[number], Device("cuda:0"))

    threads = [threading.Thread(target=shuffle, args=(n,)) for n in range(1, 8)]
    owned.queue.ask(entries[0], GPU)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = owned.queue.entries()
    assert {one.name for one in found} == {f"e{n}" for n in range(8)}
    assert [one.name for one in found if one.running] == ["e0"]


def test_a_need_beyond_the_device_is_refused_in_a_sentence(home: Path) -> None:
    with pytest.raises(SegToolkitError) as told:
        refuse_too_large("liver a", 20_000, GPU)
    assert told.value.message == "liver a needs 19.5 GB of memory, and cuda:0 has 16.0 GB."
    folder = make(home, "huge", memory_mb=1e9)
    control.start(folder)
    failed = until_state(folder, "failed")
    assert failed.error is not None
    assert failed.error["code"] == "too-large-for-device"


@pytest.mark.parametrize(
    ("asked", "gpu", "name", "memory"),
    [
        ("cpu", True, "cpu", None),
        ("auto", False, "cpu", None),
        ("auto", True, "cuda:0", 8192),
        ("cuda", True, "cuda:0", 8192),
        ("cuda:1", True, "cuda:1", 24576),
        ("cuda:7", True, "cuda:7", None),
        ("mps", False, "mps", None),
    ],
)
def test_a_device_is_found_without_loading_torch_here(
    asked: str, gpu: bool, name: str, memory: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "may_have_gpu", lambda: gpu)
    asks = []

    def facts() -> dict[str, object]:
        asks.append(1)
        return {"gpus": [{"memory_gb": 8.0}, {"memory_gb": 24.0}]}

    found = resolve(asked, facts)
    assert found.name == name
    assert bool(asks) == name.startswith("cuda")
    assert name == "cpu" or found.memory_mb == memory


def test_where_the_driver_is_there_but_torch_sees_no_gpu_the_cpu_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "may_have_gpu", lambda: True)
    assert resolve("auto", lambda: None).name == "cpu"
    assert resolve("auto", lambda: {"gpus": []}).name == "cpu"


def test_a_waiting_process_is_small(home: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc")
    control.start(make(home, "a", **LONG))
    waiting = make(home, "b", **LONG)
    pid = control.start(waiting).pid
    until_state(waiting, "waiting")
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert "torch" not in maps
    code = "import sys, SegToolkitLib.jobs.process; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
