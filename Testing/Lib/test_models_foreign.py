"""Checkpoints of other programs, and files from the web."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from email.message import Message
from pathlib import Path
from urllib.error import HTTPError, URLError

import numpy as np
import pytest
import torch

import SegToolkitLib.models.download as download_module
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.download import download
from SegToolkitLib.models.foreign import KeyReport, compare_keys, read_checkpoint

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(3)}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before PyTorch 1.6"])
@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {f"module.{key}": value for key, value in STATE.items()},
    ],
    ids=["plain", "wrapped", "data parallel"],
)
def test_known_layouts_of_checkpoints_are_read(tmp_path: Path, content: dict, zipped: bool) -> None:
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    state = read_checkpoint(tmp_path / "a.pth")
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[key], STATE[key]) for key in STATE)


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["torch", "torch before 1.6", "pickle"])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path, how: str) -> None:
    evil, file = {"a": Malicious(tmp_path / "ran")}, tmp_path / "evil.pth"
    if how == "pickle":
        file.write_bytes(pickle.dumps(evil, protocol=2))
    else:
        torch.save(evil, file, _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(SegToolkitError) as caught:
        read_checkpoint(file)
    assert not (tmp_path / "ran").exists()
    assert caught.value.code == "unsafe-checkpoint"


def _write_half(path: Path) -> None:
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (lambda path: None, "file-missing"),
        (lambda path: path.mkdir(), "file-missing"),
        (lambda path: path.write_bytes(b""), "bad-checkpoint"),
        (lambda path: path.write_text("hello"), "bad-checkpoint"),
        (_write_half, "bad-checkpoint"),
        (lambda path: torch.save([1, 2], path), "bad-checkpoint"),
        (lambda path: torch.save({}, path), "bad-checkpoint"),
        (lambda path: torch.save({"a": 1}, path), "bad-checkpoint"),
        (lambda path: torch.save({1: torch.ones(1)}, path), "bad-checkpoint"),
    ],
    ids=["missing", "folder", "empty", "text", "truncated", "list", "no tensors", "number", "numbered keys"],
)
def test_what_is_no_checkpoint_says_so(tmp_path: Path, write, code: str) -> None:
    write(tmp_path / "a.pth")
    with pytest.raises(SegToolkitError) as caught:
        read_checkpoint(tmp_path / "a.pth")
    assert caught.value.code == code
    assert "a.pth" in caught.value.message


def test_the_key_report_tells_all_three_kinds_apart() -> None:
    report = compare_keys(STATE, {"a.weight": (2, 4), "b": (1,), "a.count": ()})
    assert report == KeyReport(("b",), (), (("a.weight", (2, 3), (2, 4)),))
    assert not report.fits
    assert report.text() == "1 missing (b); 1 of another shape (a.weight is 2 x 3 instead of 2 x 4)"
    assert compare_keys(STATE, {"a.weight": (2, 3)}).text() == "1 unexpected (a.count)"
    fitting = compare_keys(STATE, {"a.weight": (2, 3), "a.count": ()})
    assert fitting.fits
    assert fitting.text() == "all keys fit"


def test_a_long_key_report_is_cut() -> None:
    text = compare_keys({}, {f"key{i}": (1,) for i in range(9)}).text()
    assert text == "9 missing (key0, key1, key2, key3, key4 and 4 more)"


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    file = tmp_path / "server" / "weights.bin"
    file.parent.mkdir()
    file.write_bytes(os.urandom(5 << 19))
    return file


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def test_a_download_is_complete_and_reports_its_bytes(tmp_path: Path, remote: Path) -> None:
    seen: list[tuple[int, int]] = []
    target = download(
        remote.as_uri(), tmp_path / "new" / "folder", digest(remote), "", lambda *at: seen.append(at)
    )
    assert target == tmp_path / "new" / "folder" / "weights.bin"
    assert target.read_bytes() == remote.read_bytes()
    size = 5 << 19
    assert seen == [(1 << 20, size), (2 << 20, size), (size, size)]


def test_a_file_that_is_there_is_not_fetched_again_unless_damaged(tmp_path: Path, remote: Path) -> None:
    content = remote.read_bytes()
    url, wanted = remote.as_uri(), digest(remote)
    target = download(url, tmp_path / "kept", wanted, "")
    remote.unlink()
    assert download(url, tmp_path / "kept", wanted, "") == target
    target.write_bytes(content[:-1])
    with pytest.raises(SegToolkitError, match="could not be downloaded"):
        download(url, tmp_path / "kept", wanted, "")
    remote.write_bytes(content)
    assert download(url, tmp_path / "kept", wanted, "").read_bytes() == content


def test_a_wrong_checksum_leaves_nothing(tmp_path: Path, remote: Path) -> None:
    with pytest.raises(SegToolkitError) as caught:
        download(remote.as_uri(), tmp_path / "out", "00000000", "By hand.")
    assert (caught.value.code, caught.value.hint) == ("bad-checksum", "By hand.")
    assert digest(remote) in caught.value.message
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "failure",
    [
        URLError("Name or service not known"),
        HTTPError("https://x.org/a.pth", 404, "Not Found", Message(), None),
        TimeoutError("timed out"),
        ConnectionResetError(104, "Connection reset by peer"),
    ],
    ids=lambda failure: type(failure).__name__,
)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "halfway"])
def test_a_network_that_fails_is_told_with_the_way_by_hand(
    tmp_path: Path, monkeypatch, failure: Exception, late: bool
) -> None:
    class Answer:
        headers: dict[str, str] = {}  # noqa: RUF012
        pieces = iter([b"x"])

        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *arguments: object) -> None:
            pass

        def read(self, n: int) -> bytes:
            for piece in self.pieces:
                return piece
            raise failure

    def open_url(url: str, timeout: float) -> Answer:
        if not late:
            raise failure
        return Answer()

    monkeypatch.setattr(download_module, "urlopen", open_url)
    with pytest.raises(SegToolkitError) as caught:
        download("https://x.org/a.pth", tmp_path / "out", "00", "By hand.")
    assert (caught.value.code, caught.value.hint) == ("download-failed", "By hand.")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("core", [b"numpy._core", b"numpy.core"])
def test_a_numpy_number_beside_the_weights_is_no_code(tmp_path: Path, core: bytes) -> None:
    file, renamed = tmp_path / "now.pt", tmp_path / "then.pt"
    torch.save({"state_dict": {"a": torch.ones(2)}, "lr": np.float64(1e-3)}, file)
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(renamed, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b"numpy._core", core))
    assert list(read_checkpoint(renamed)) == ["a"]


def test_a_name_that_is_there_with_and_without_the_prefix_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2), "module.a": torch.zeros(2)}, tmp_path / "two.pt")
    with pytest.raises(SegToolkitError, match=r"prefix 'module\.'"):
        read_checkpoint(tmp_path / "two.pt")
