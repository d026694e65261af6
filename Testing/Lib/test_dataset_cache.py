"""The cache of arrays: by content, for many processes at once, whole after a kill, never too large."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from SegToolkitLib.dataset.cache import Cache

SPAWN = multiprocessing.get_context("spawn")


def _is_mapped(array: np.ndarray) -> bool:
    """Whether its memory is none that an array owns."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.base is not None


def refuse() -> dict[str, np.ndarray]:
    raise AssertionError("it was made again")


def test_what_was_made_once_comes_from_the_disk_as_it_was(tmp_path: Path) -> None:
    arrays = {
        "image": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "large": np.arange(60_000, dtype=np.int16).reshape(30, 40, 50),
        "turned": np.asfortranarray(np.arange(40_000).reshape(200, 200)),
        "labels": np.asfortranarray(np.ones((3, 2), np.int8)),
        "empty": np.zeros((0, 3)),
        "number": np.array(3.5),
    }
    Cache(tmp_path).get({"a": 1, "b": [2, None]}, lambda: arrays)
    found = Cache(tmp_path).get({"b": [2, None], "a": 1}, refuse)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert not found[name].flags.writeable
        assert found[name].flags.f_contiguous == array.flags.f_contiguous
    # Mapped; what is small is read.
    assert [name for name in arrays if _is_mapped(found[name])] == ["large", "turned"]


def test_the_content_of_a_file_decides_not_its_name_or_time(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"same")
    two.write_bytes(b"same")
    assert cache.key({"file": one}) == cache.key({"file": two})
    # The same size at the same time: what a quick script does between two steps.
    facts = one.stat()
    one.write_bytes(b"emas")
    os.utime(one, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert cache.key({"file": one}) != cache.key({"file": two})
    with pytest.raises(OSError, match="gone"):
        cache.key({"file": tmp_path / "gone"})


def test_an_old_file_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from SegToolkitLib.dataset import cache as module

    file = tmp_path / "old"
    file.write_bytes(b"old")
    os.utime(file, (1e9, 1e9))
    key = Cache(tmp_path / "cache").key([file])
    monkeypatch.setattr(module, "_digest", lambda stream: refuse())
    assert Cache(tmp_path / "cache").key([file]) == key
    monkeypatch.setattr(module, "_known_hashes", {})  # another process
    assert Cache(tmp_path / "cache").key([file]) == key
    file.write_bytes(b"new")
    with pytest.raises(AssertionError):
        Cache(tmp_path / "cache").key([file])


@pytest.mark.parametrize("parts", [{"a": object()}, {1, 2}, np.zeros(3)])
def test_what_has_no_one_spelling_is_no_key(tmp_path: Path, parts: Any) -> None:
    with pytest.raises(TypeError):
        Cache(tmp_path).key(parts)


@pytest.mark.parametrize("name", ["../x", "a.b", ""])
def test_names_stay_in_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name"):
        Cache(tmp_path).get(1, lambda: {name: np.zeros(2)})
    assert list((tmp_path / "working").iterdir()) == []


def test_what_was_used_least_recently_goes_first(tmp_path: Path) -> None:
    def use(n: int, make: Any = refuse) -> np.ndarray:
        time.sleep(0.02)
        return Cache(tmp_path, limit_gb=3.5e-4).get(n, make)["a"]

    for n in range(3):
        use(n, lambda: {"a": np.zeros(100_000, np.uint8)})
    held, other = use(0), use(1)
    use(3, lambda: {"a": np.ones(100_000, np.uint8)})
    for n in (0, 1, 3):
        use(n)
    with pytest.raises(AssertionError):
        use(2)
    # The newest stays even if it is too large, and who has an array of the others open keeps it.
    use(4, lambda: {"a": np.ones(500_000, np.uint8)})
    assert len(list((tmp_path / "entries").iterdir())) == 1
    assert held.sum() == other.sum() == 0


def test_what_a_living_cache_gave_out_is_not_taken_away(tmp_path: Path) -> None:
    run, other = Cache(tmp_path, limit_gb=1e-5), Cache(tmp_path, limit_gb=1e-5)
    for n in range(4):
        run.get(n, lambda n=n: {"a": np.full(9000, n, np.uint8)})  # type: ignore[misc]
    for n in (4, 5):
        other.get(n, lambda n=n: {"a": np.full(9000, n, np.uint8)})  # type: ignore[misc]
    assert 3.6e-5 < run.used_gb < 3.8e-5
    # A worker of the run finds it all.
    worker = pickle.loads(pickle.dumps(run))
    assert [int(worker.get(n, refuse)["a"][0]) for n in range(4)] == [0, 1, 2, 3]
    del run, worker
    other.get(6, lambda: {"a": np.zeros(9000, np.uint8)})
    for n in (4, 5, 6):
        other.get(n, refuse)
    assert len(list((tmp_path / "entries").iterdir())) == 3
    assert len(list((tmp_path / "users").iterdir())) == 1


def _holding(folder: str) -> None:
    cache = Cache(folder)
    cache.get("held", lambda: {"a": np.zeros(9000)})
    (Path(folder) / "ready").touch()
    time.sleep(60)


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_another_process_keeps_its_entries_until_it_dies(tmp_path: Path) -> None:
    process = SPAWN.Process(target=_holding, args=(str(tmp_path),))
    process.start()
    deadline = time.monotonic() + 30
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    small = Cache(tmp_path, limit_gb=1e-5)
    small.get(1, lambda: {"a": np.zeros(9000)})
    small.get("held", refuse)
    del small
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    Cache(tmp_path, limit_gb=1e-5).get(2, lambda: {"a": np.zeros(9000)})
    assert len(list((tmp_path / "entries").iterdir())) == 1
    assert list((tmp_path / "users").iterdir()) == []


@pytest.mark.parametrize("harm", ["short", "missing", "nonsense"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, harm: str) -> None:
    cache = Cache(tmp_path)
    cache.get(1, lambda: {"a": np.arange(1000)})
    (entry,) = (tmp_path / "entries").iterdir()
    if harm == "short":
        (entry / "a.npy").write_bytes((entry / "a.npy").read_bytes()[:500])
    elif harm == "missing":
        (entry / "a.npy").unlink()
    else:
        (entry / "entry.json").write_text("{")
    np.testing.assert_array_equal(cache.get(1, lambda: {"a": np.arange(1000)})["a"], np.arange(1000))
    np.testing.assert_array_equal(cache.get(1, refuse)["a"], np.arange(1000))


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert Cache(tmp_path / "file").get(1, lambda: {"a": np.arange(3)})["a"].tolist() == [0, 1, 2]


def slow(folder: Path, key: int) -> dict[str, np.ndarray]:
    with (folder / "made.txt").open("a") as log:
        log.write(f"{key}\n")
    time.sleep(0.3)
    return {"a": np.full(50_000, key), "b": np.full(10, -key)}


def _use(folder: str, rounds: int, seed: int) -> None:
    cache = Cache(Path(folder) / "cache", limit_gb=1)
    for n in np.random.default_rng(seed).permutation(rounds):
        key = int(n)
        found = cache.get({"key": key}, lambda key=key: slow(Path(folder), key))  # type: ignore[misc]
        assert (found["a"] == key).all()
        assert (found["b"] == -key).all()


def test_processes_share_what_one_of_them_makes(tmp_path: Path) -> None:
    processes = [SPAWN.Process(target=_use, args=(str(tmp_path), 6, seed)) for seed in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert sorted((tmp_path / "made.txt").read_text().split()) == [str(n) for n in range(6)]


def _crowd(folder: str, seed: int) -> None:
    for n in np.random.default_rng(seed).integers(0, 8, 60):
        key = int(n)
        cache = Cache(folder, limit_gb=2.5e-4)  # about three entries: they come and go all the time
        found = cache.get(key, lambda key=key: {"a": np.full(10_000, key), "b": np.full(9, key)})  # type: ignore[misc]
        assert (found["a"] == key).all()
        assert (found["b"] == key).all()


def test_entries_may_go_while_others_read_and_write(tmp_path: Path) -> None:
    processes = [SPAWN.Process(target=_crowd, args=(str(tmp_path), seed)) for seed in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(list((tmp_path / "entries").iterdir())) <= 4


def _stuck(folder: str, key: int) -> None:
    """Be in the middle of writing an entry for as long as one lives."""
    cache = Cache(folder)
    whole = np.lib.format.write_array

    def half(stream: Any, array: np.ndarray, *rest: Any, **more: Any) -> None:
        whole(stream, array[:10], *rest, **more)
        stream.flush()
        (Path(folder) / "ready").touch()
        time.sleep(60)

    np.lib.format.write_array = half  # type: ignore[assignment]
    np.lib._npyio_impl.format.write_array = half  # type: ignore[attr-defined]
    cache.get(key, lambda: {"a": np.arange(1000)})


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_writer_blocks_nobody_and_leaves_nothing(tmp_path: Path) -> None:
    process = SPAWN.Process(target=_stuck, args=(str(tmp_path), 5))
    process.start()
    deadline = time.monotonic() + 30
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    # While it lives its files are left alone, and other entries are no concern of it.
    cache = Cache(tmp_path)
    assert len(list((tmp_path / "working").iterdir())) == 1
    assert cache.get(6, lambda: {"a": np.arange(3)})["a"].tolist() == [0, 1, 2]
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    began = time.monotonic()
    np.testing.assert_array_equal(cache.get(5, lambda: {"a": np.arange(1000)})["a"], np.arange(1000))
    assert time.monotonic() - began < 5
    Cache(tmp_path)
    assert list((tmp_path / "working").iterdir()) == []
    np.testing.assert_array_equal(Cache(tmp_path).get(5, refuse)["a"], np.arange(1000))
