"""Any number of prepared cases with few open files; and what is said when there really are too many."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataset_cases import MR, case
from SegToolkitLib.dataset import Dataset, mapped
from SegToolkitLib.dataset.batch import for_each_case
from SegToolkitLib.dataset.cache import Cache
from SegToolkitLib.dataset.case_reader import CaseReader
from SegToolkitLib.dataset.mapped import read_array
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.dataset.open_files import check_spare
from SegToolkitLib.errors import SegToolkitError
from small_runs import Heard

POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has no such limit")

# As many as a labelled scan of CSSN has, of which three are small; twenty such scans with 40 files.
MANY = """
import os, resource, sys
import numpy as np
from SegToolkitLib.dataset.cache import Cache
from SegToolkitLib.dataset.case_reader import CaseReader
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (40, hard))
cache = Cache(sys.argv[1])

def read(id):
    def make():
        try:
            open(os.devnull).close()
        except OSError as error:  # so do readers of images
            raise SegToolkitError("unreadable", f"It could not be read: {error}.")
        large = {name: np.full((40, 40, 60), int(id), np.uint8) for name in ("image", "label", "a", "b")}
        return large | {name: np.full(3, int(id)) for name in ("spacing", "extent", "voxel")}
    return cache.get(id, make)

reader = CaseReader(cache, Reporter())
found = reader._each([str(n) for n in range(20)], "cases", read)
assert not reader.failures, reader.failures
assert not any(array.flags.writeable for one in found for array in one.values())  # kept on disk
assert [{int(a.min()) for a in one.values()} | {int(a.max()) for a in one.values()} for one in found] == [
    {n} for n in range(20)
]
"""


@POSIX
def test_maps_keep_no_file_open(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _native(file: int, size: int) -> Any:
    return np.asarray(mapped._Pages(file, size))


@pytest.mark.parametrize("pages", [mapped._pages, pytest.param(_native, marks=POSIX)])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(70_000, dtype=np.float32).reshape(7, 100, 100),
        np.asfortranarray(np.arange(70_000).reshape(700, 100)),
        np.ones((100, 1000), bool),
        np.arange(20_000, dtype=">i4"),
    ],
    ids=["C", "fortran", "bool", "big-endian"],
)
def test_a_map_is_what_was_saved_and_lasts_as_long_as_its_parts(
    tmp_path: Path, array: np.ndarray, pages: Callable[[int, int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "_pages", pages)
    np.save(tmp_path / "a.npy", array)
    found = read_array(tmp_path / "a.npy")
    assert (found.dtype, found.shape, found.strides) == (array.dtype, array.shape, array.strides)
    assert not found.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        found[:] = 0
    if os.name == "posix":
        (tmp_path / "a.npy").unlink()
    part = found[1:]
    del found
    gc.collect()
    np.testing.assert_array_equal(part, array[1:])


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not list maps")
def test_a_map_goes_with_its_array(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(100_000))

    def count() -> int:
        return Path("/proc/self/maps").read_text().count(str(tmp_path / "a.npy"))

    held = read_array(tmp_path / "a.npy")
    assert count() == 1
    del held
    gc.collect()
    assert count() == 0


def test_where_nothing_can_be_mapped_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: int, size: int) -> Any:
        raise OSError(errno.ENODEV, "no maps here")

    monkeypatch.setattr(mapped, "_pages", refuse)
    np.save(tmp_path / "a.npy", np.arange(100_000))
    found = read_array(tmp_path / "a.npy")
    assert (int(found.sum()), found.flags.writeable) == (4_999_950_000, False)


class Holding:
    """Keeps all but a few of the files open that this process may open."""

    def __init__(self, spare: int) -> None:
        self.files: list[int] = []
        try:
            while True:
                self.files.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            for _ in range(spare):
                os.close(self.files.pop())

    def __enter__(self) -> Holding:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files:
            os.close(file)


class Cases(CaseReader):
    """Volumes as they are."""

    def __init__(self, dataset: Dataset, cache: Cache, reporter: Heard) -> None:
        super().__init__(cache, reporter)
        self._dataset = dataset

    def read(self) -> list[Any]:
        return self._each(self._dataset.ids, "cases", self._scan)

    def _scan(self, id: str) -> Any:
        case = self._dataset.case(id)
        return self._cache.get(
            {"image": case.image}, lambda: {"image": self._dataset.read(case)[0].voxels.copy()}
        )


@POSIX
@pytest.mark.parametrize("spare", [0, 1, 2, 3])
@pytest.mark.parametrize("ready", [False, True], ids=["to prepare", "prepared"])
def test_a_case_is_not_blamed_for_too_many_open_files(tmp_path: Path, spare: int, ready: bool) -> None:
    import resource

    add_cases(tmp_path / "data", MR, [case("a", 1, liver=1), case("b", 2, liver=1)])
    dataset, heard = Dataset.open(tmp_path / "data"), Heard()
    assert len(dataset.cases) == 2
    if ready:
        Cases(dataset, Cache(tmp_path / "cache"), heard).read()
    reader = Cases(dataset, Cache(tmp_path / "cache"), heard)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    refused: SegToolkitError | None = None
    try:
        with Holding(spare):
            try:
                found = reader.read()
            except SegToolkitError as error:
                refused = error
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert heard.warnings == []
    assert reader.failures == {}
    if refused is None:
        # A few files may suffice.
        assert spare > 0
        assert len(found) == 2
    else:
        assert refused.code == "too-many-files"
        assert "this process may have 256" in refused.message
        assert "ulimit -n" in refused.hint


def test_a_batch_stops_when_no_file_can_be_opened() -> None:
    def work(job: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with pytest.raises(SegToolkitError) as refused:
        for_each_case(work, {"a": 1, "b": 2}, lambda id, result: None, workers=1)
    assert refused.value.code == "too-many-files"


def test_nothing_is_said_where_files_can_be_opened() -> None:
    before = os.open(os.devnull, os.O_RDONLY)
    os.close(before)
    check_spare()
    after = os.open(os.devnull, os.O_RDONLY)
    os.close(after)
    assert before == after
