"""Support examples as one file: what goes in comes out, and nothing that an archive claims is believed."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from SegToolkitLib.archive import opened
from SegToolkitLib.cli import main
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.support_set import SupportItem, pack, unpack
from SegToolkitLib.volume import read_segmentation, read_volume, write_volume
from worker_driver import NAMES, patient, save_test_model, support

TERM = (
    "Segmentation category and type - DICOM master list~SCT^123037004^Structure~SCT^10200004^Liver~^^~A~^^~^^"
)


def item(folder: Path, z: int = 6, **more: Any) -> SupportItem:
    """An outlined slice of the small patient, with a colour and a term."""
    values = support(folder, patient().image, patient().label, 2, z, NAMES)
    values["structures"]["1"] |= {"colour": [0.5, 0.25, 1.0], "terminology": TERM}
    return SupportItem.model_validate({**values, "plane": "axial", "name": "Ärztin 1", **more})


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "set.zip"
    pack(path, [item(tmp_path / "in")])
    return path


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    first = item(tmp_path / "in")
    second = first.model_copy(update={"name": "again", "slices": [6]})
    path = tmp_path / "Übung mit Leerzeichen.zip"
    pack(path, [first, second])
    found = unpack(path, tmp_path / "out")
    assert [one.name for one in found] == ["Ärztin 1", "again"]
    for one, before in zip(found, (first, second), strict=True):
        assert Path(one.image).is_absolute()
        assert one.model_dump(exclude={"image", "mask"}) == before.model_dump(exclude={"image", "mask"})
        for new, old in ((one.image, before.image), (one.mask, before.mask)):
            a, b = read_volume(new), read_volume(old)
            assert a.same_grid(b)
            assert np.array_equal(a.voxels, b.voxels)
            assert b"encoding: gzip" in Path(new).read_bytes()[:600]
    # Both items use one volume: it is stored once.
    assert found[0].image == found[1].image
    assert found[0].structures[1].terminology == TERM


def test_an_earlier_archive_stays_where_a_new_one_fails(tmp_path: Path, packed: Path) -> None:
    before = packed.read_bytes()
    with pytest.raises(SegToolkitError, match="does not fit"):
        pack(packed, [item(tmp_path / "in"), item(tmp_path / "in", offset=(60, 60, 6))])
    assert packed.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "set.zip"]


def test_only_an_empty_folder_is_filled(tmp_path: Path, packed: Path) -> None:
    (tmp_path / "mine.txt").write_text("stays")
    with pytest.raises(SegToolkitError, match="not empty"):
        unpack(packed, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "stays"


Entries = dict[str, bytes]


def entries_of(path: Path) -> Entries:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, entries: Entries, how: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def changed_index(change: Callable[[dict[str, Any]], object]) -> Callable[[Entries], None]:
    def apply(entries: Entries) -> None:
        index = json.loads(entries["support.json"])
        change(index)
        entries["support.json"] = json.dumps(index).encode()

    return apply


def changed_header(name: str, old: bytes, new: bytes) -> Callable[[Entries], None]:
    def apply(entries: Entries) -> None:
        assert old in entries[name]
        entries[name] = entries[name].replace(old, new, 1)

    return apply


def put(name: str, content: bytes = b"x") -> Callable[[Entries], None]:
    return lambda entries: entries.update({name: content})


def first(values: dict[str, Any]) -> Callable[[Entries], None]:
    return changed_index(lambda index: index["items"][0].update(values))


def bomb(entries: Entries) -> None:
    head, _, _ = entries["images/0.nrrd"].partition(b"\n\n")
    entries["images/0.nrrd"] = head.replace(b"64 64 12", b"64000 64000 12") + b"\n\n" + gzip.compress(b"0")


BAD: dict[str, tuple[Callable[[Entries], Any], str]] = {
    "a path upwards": (put("../evil.txt"), "unsafe-archive"),
    "a path upwards within": (put("images/../../evil"), "unsafe-archive"),
    "an absolute path": (put("/tmp/evil"), "unsafe-archive"),
    "a Windows path": (put("images\\..\\evil"), "unsafe-archive"),
    "a drive": (put("C:evil"), "unsafe-archive"),
    "a device": (put("images/NUL.nrrd"), "unsafe-archive"),
    "another spelling of an entry": (put("IMAGES/0.NRRD"), "unsafe-archive"),
    "an entry that grows": (put("images/9.nrrd", b"\0" * 30_000_000), "unsafe-archive"),
    "a volume that grows": (bomb, "archive-too-large"),
    "text for voxels": (
        changed_header("images/0.nrrd", b"encoding: gzip", b"encoding: text"),
        "bad-support-set",
    ),
    "no NRRD": (put("masks/0.nrrd", b"hello"), "bad-support-set"),
    "half a file": (lambda e: e.update({"images/0.nrrd": e["images/0.nrrd"][:3000]}), "bad-support-set"),
    "no index": (lambda e: e.pop("support.json"), "bad-archive"),
    "no mask": (lambda e: e.pop("masks/0.nrrd"), "bad-archive"),
    "an index that is no JSON": (put("support.json", b"{"), "bad-support-set"),
    "an index of another kind": (put("support.json", b"[1]"), "bad-support-set"),
    "an endless index": (put("support.json", b"[" * 200_000), "bad-support-set"),
    "a later format": (changed_index(lambda i: i.update(version=2)), "newer-support-set"),
    "no item": (changed_index(lambda i: i.update(items=[])), "bad-support-set"),
    "an image elsewhere": (first({"image": "../../etc/passwd"}), "bad-support-set"),
    "an absolute mask": (first({"mask": "/etc/passwd"}), "bad-support-set"),
    "a mask outside": (first({"offset": [60, 60, 6]}), "bad-support-set"),
    "a mask elsewhere": (first({"offset": [0, 0, 6]}), "bad-support-set"),
    "a slice outside": (first({"slices": [99]}), "bad-support-set"),
    "another axis": (first({"axis": 3}), "bad-support-set"),
    "no structure": (first({"structures": {}}), "bad-support-set"),
    "a colour that is none": (
        first({"structures": {"1": {"name": "a", "colour": [1, 2, 3]}}}),
        "bad-support-set",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_malicious_or_damaged_archive_leaves_nothing_behind(
    tmp_path: Path, packed: Path, case: str
) -> None:
    change, code = BAD[case]
    entries = entries_of(packed)
    change(entries)
    rewrite(packed, entries, zipfile.ZIP_DEFLATED)
    before = {p for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(SegToolkitError) as error:
        unpack(packed, tmp_path / "out")
    assert error.value.code == code, error.value
    assert error.value.hint
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("field", [b"data file", b"Data File", b"datafile"])
def test_an_image_cannot_name_another_file_of_the_computer(
    tmp_path: Path, packed: Path, field: bytes
) -> None:
    secret = tmp_path / "secret.raw"
    secret.write_bytes(bytes(range(256)) * 1000)
    entries = entries_of(packed)
    pointer = b"encoding: raw\n" + field + b": " + str(secret).encode()
    changed_header("images/0.nrrd", b"encoding: gzip", pointer)(entries)
    with pytest.raises(SegToolkitError, match="in another file"):
        unpack(rewrite(packed, entries), tmp_path / "out")


def test_links_encrypted_entries_and_what_is_no_zip_are_refused(tmp_path: Path, packed: Path) -> None:
    link = zipfile.ZipInfo("images/7.nrrd")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(SegToolkitError, match="is a link"):
        unpack(packed, tmp_path / "out")
    secret = tmp_path / "secret.zip"
    rewrite(secret, {"support.json": b"{}"})
    content = bytearray(secret.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + at] |= 1
    secret.write_bytes(content)
    with pytest.raises(SegToolkitError, match="is encrypted"):
        unpack(secret, tmp_path / "out")
    secret.write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(SegToolkitError, match="cannot be read as a zip"):
        unpack(secret, tmp_path / "out")
    with pytest.raises(SegToolkitError, match="does not exist"):
        unpack(tmp_path / "none.zip", tmp_path / "out")


def test_sizes_are_limited_before_anything_is_written(tmp_path: Path, packed: Path) -> None:
    with pytest.raises(SegToolkitError) as error:
        unpack(packed, tmp_path / "out", limit_bytes=50_000)
    assert error.value.code == "archive-too-large"
    assert not (tmp_path / "out").exists()
    rewrite(packed, {f"{n}": b"" for n in range(2001)})
    with pytest.raises(SegToolkitError, match="2001 entries"), opened(packed, 10**9):
        pass


def test_the_command_line_takes_an_archive(
    tmp_path: Path, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    model = save_test_model(tmp_path, "free")
    write_volume(patient().image, tmp_path / "query.nrrd")
    call = ["segment", "alpnet", "--model", str(model), "--query", str(tmp_path / "query.nrrd")]
    out = tmp_path / "out.seg.nrrd"
    assert main([*call, "--support-set", str(packed), "--out", str(out)]) == 0
    result = read_segmentation(out)
    segments = {s.name: s for s in result.segments}
    assert set(segments) == {"liver", "spleen"}
    assert segments["liver"].terminology == TERM
    assert segments["liver"].colour == pytest.approx((0.5, 0.25, 1.0), abs=0.01)
    drawn = result.mask(segments["liver"]).voxels[6]
    assert np.array_equal(drawn, patient().label.voxels[6] == 1)
    assert main([*call, "--out", str(out)]) == 1
    assert main([*call, "--support-set", str(packed), "--plane", "coronal", "--out", str(out)]) == 1
    assert main([*call, "--support-set", str(packed), "--out", str(packed)]) == 1
