from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentTypeError
from dataclasses import replace
from pathlib import Path

import pytest

from SegToolkitLib.dataset import Dataset
from SegToolkitLib.dataset.record import PreparedRecord
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.classmap import read_class_map
from SegToolkitLib.methods.alpnet.prepare import prepare_dataset
from SegToolkitLib.methods.alpnet.segment_files import SegmentJob, SupportFile, segment_files
from SegToolkitLib.sharding import Shard
from SegToolkitLib.volume import read_volume, write_volume
from test_alpnet_prepare import SMALL, raw_set
from worker_driver import patient, save_test_model

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12])
def test_parts_are_the_whole_without_overlap(count: int) -> None:
    cases = list("abcdefg")
    parts = [Shard.parse(f"{n}/{count}").of(cases) for n in range(count)]
    assert sorted(case for part in parts for case in part) == cases
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert [str(Shard(n, count)) for n in range(count)] == [f"{n}/{count}" for n in range(count)]


@pytest.mark.parametrize("text", ["", "1", "2/2", "-1/2", "a/b", "1/2/3", "0/0"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError) as caught:
        Shard.parse(text)
    assert "to -1/" not in str(caught.value)


def test_two_processes_lose_none_of_each_others_cases(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from SegToolkitLib.dataset.record import PreparedRecord\n"
        "record = PreparedRecord.open(Path(sys.argv[1]), {'x': 1})\n"
        "for n in range(40): record.keep(f'{sys.argv[2]}{n}', {'n': n})"
    )
    out = tmp_path / "out"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(out), name]) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert set(PreparedRecord.open(out, {"x": 1}).cases) == {f"{name}{n}" for name in "ab" for n in range(40)}


def test_a_newer_fact_of_another_process_is_not_overwritten(tmp_path: Path) -> None:
    PreparedRecord.open(tmp_path, {}).keep("2", {"fingerprint": "old"})
    first, second = PreparedRecord.open(tmp_path, {}), PreparedRecord.open(tmp_path, {})
    second.keep("2", {"fingerprint": "new"})
    first.keep("1", {"fingerprint": "x"})
    assert PreparedRecord.open(tmp_path, {}).cases["2"] == {"fingerprint": "new"}
    PreparedRecord.open(tmp_path, {"other": 1}, overwrite=True)
    with pytest.raises(SegToolkitError, match="other settings by another"):
        first.keep("3", {})


def test_a_preparation_divided_among_processes_gives_what_one_gives(tmp_path: Path) -> None:
    raw = raw_set(tmp_path / "raw")
    whole = prepare_dataset("generic", raw, tmp_path / "whole", SMALL, 1)
    assert whole is not None
    options = [
        "--modality",
        "MR",
        "--clip-top",
        "0.5",
        "--spacing",
        "2,2,4",
        "--size",
        "24",
        "--workers",
        "1",
    ]
    command = ["prepare", "alpnet", "generic", str(raw), str(tmp_path / "out"), *options]
    done = subprocess.run(
        [sys.executable, "-m", "SegToolkitLib", "jobs", "submit", "--local", "--shards", "5", "--", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr + "".join(
        p.read_text() for p in (tmp_path / "logs").glob("*.out")
    )
    out = Dataset.open(tmp_path / "out")
    assert sorted(out.ids) == sorted(whole.ids) == ["11", "2", "5"]
    assert out.check() == []
    for case in whole.cases:
        for mine, theirs in ((out.case(case.id).image, case.image), (out.case(case.id).label, case.label)):
            assert (read_volume(mine).voxels == read_volume(theirs).voxels).all()
    maps = [read_class_map(place / "classmap_1.json") for place in (tmp_path / "out", tmp_path / "whole")]
    assert maps[0] == maps[1]
    records = [
        json.loads((place / "prepare.json").read_text()) for place in (tmp_path / "out", tmp_path / "whole")
    ]
    assert records[0]["cases"].keys() == records[1]["cases"].keys()


def test_queries_divided_among_processes_give_each_result_once(tmp_path: Path) -> None:
    save_test_model(tmp_path / "models", "free")
    found = patient()
    write_volume(found.image, tmp_path / "s.nrrd")
    write_volume(found.label, tmp_path / "m.nrrd")
    queries = []
    for seed in (2, 3, 4):
        queries.append(tmp_path / f"q{seed}.nrrd")
        write_volume(patient(seed).image, queries[-1])
    support = SupportFile(tmp_path / "s.nrrd", tmp_path / "m.nrrd", (6,))
    model = str(tmp_path / "models" / "free")
    # Its name has a suffix, which must not be taken for a single result's file.
    job = SegmentJob(model=model, supports=[support], queries=queries, out=tmp_path / "out.v1", device="cpu")
    written = []
    for number in range(4):
        results = segment_files(job, Reporter(), Shard(number, 4))["results"]
        assert isinstance(results, list)
        written.append([Path(one["segmentation"]).name for one in results])
    assert written == [["q2.seg.nrrd"], ["q3.seg.nrrd"], ["q4.seg.nrrd"], []]
    assert sorted(path.name for path in (tmp_path / "out.v1").iterdir()) == [
        f"q{n}.seg.nrrd" for n in (2, 3, 4)
    ]


def test_a_folder_of_queries_goes_on_where_it_was_left(tmp_path: Path) -> None:
    save_test_model(tmp_path / "models", "free")
    found = patient()
    write_volume(found.image, tmp_path / "s.nrrd")
    write_volume(found.label, tmp_path / "m.nrrd")
    (tmp_path / "queries").mkdir()
    for seed in (2, 3):
        write_volume(patient(seed).image, tmp_path / "queries" / f"q{seed}.nrrd")
    (tmp_path / "queries" / "notes.txt").write_text("no volume", encoding="utf-8")
    job = SegmentJob(
        model=str(tmp_path / "models" / "free"),
        supports=[SupportFile(tmp_path / "s.nrrd", tmp_path / "m.nrrd", (6,))],
        queries=[tmp_path / "queries"],
        out=tmp_path / "out",
        device="cpu",
        skip_existing=True,
    )
    first = segment_files(job, Reporter())["results"]
    assert isinstance(first, list)
    assert [Path(one["query"]).name for one in first] == ["q2.nrrd", "q3.nrrd"]
    assert segment_files(job, Reporter()) == {"results": []}
    (tmp_path / "out" / "q3.seg.nrrd").unlink()
    again = segment_files(job, Reporter())["results"]
    assert isinstance(again, list)
    assert [Path(one["query"]).name for one in again] == ["q3.nrrd"]
    anew = segment_files(replace(job, skip_existing=False), Reporter())["results"]
    assert isinstance(anew, list)
    assert len(anew) == 2
