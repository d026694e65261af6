from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs_helpers import own_home
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.jobs import cluster
from SegToolkitLib.jobs.event_file import events
from SegToolkitLib.jobs.site import Site, read_site

pytest.importorskip("submitit")
ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "Resources" / "Clusters").glob("*.yaml"))
TRAIN = ["train", "pretend", "--run", "r", "--config", "c.json"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_home(tmp_path, monkeypatch) as folder:
        yield folder


def segtoolkit(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "SegToolkitLib", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_each_fold_becomes_a_training_of_its_own() -> None:
    work = cluster.tasks([*TRAIN, "--seed", "3"], Site(), ["0", "2"])
    run = Path("r")
    assert [task.arguments for task in work] == [
        [*TRAIN[:3], str(run / f"fold-{n}"), *TRAIN[4:], "--seed", "3", "--fold", n, "--start-or-resume"]
        for n in "02"
    ]
    assert [task.run for task in work] == [(run / f"fold-{n}").absolute() for n in "02"]


def test_a_fold_may_be_put_anywhere() -> None:
    (task,) = cluster.tasks(["train", "toy", "--run", "r-{fold}", "--set", "part={fold}"], Site(), ["4"])
    assert task.arguments == ["train", "toy", "--run", "r-4", "--set", "part=4", "--start-or-resume"]


def test_shards_divide_a_command() -> None:
    work = cluster.tasks(["prepare", "alpnet", "generic", "a", "b"], Site(gpus=4), shards=3)
    assert [task.arguments[-2:] for task in work] == [["--shard", f"{n}/3"] for n in range(3)]
    assert all(task.run is None and "torch.distributed.run" not in task.command() for task in work)


@pytest.mark.parametrize(
    ("arguments", "folds", "shards", "words"),
    [
        ([], [], None, "No command"),
        (["train", "pretend"], [], None, "no --run"),
        (["train", "pretend"], ["0"], None, "no --run"),
        (TRAIN, ["0"], 2, "Both"),
        (TRAIN, [], 2, "into shards"),
        (["prepare", "alpnet"], ["0"], None, "no folds"),
    ],
)
def test_what_cannot_be_submitted_is_told(
    arguments: list[str], folds: list[str], shards: int | None, words: str
) -> None:
    with pytest.raises(SegToolkitError, match=words):
        cluster.tasks(arguments, Site(), folds, shards)


@pytest.mark.parametrize(
    ("site", "torchrun"),
    [
        (Site(), None),
        (Site(gpus=1), None),
        (Site(gpus=4), ["--nproc-per-node=4", "--nnodes=1", "--standalone"]),
    ],
)
def test_several_gpus_train_under_torchrun(site: Site, torchrun: list[str] | None) -> None:
    command = cluster.tasks(TRAIN, site)[0].command()
    assert ("torch.distributed.run" in command) == (torchrun is not None)
    assert set(torchrun or []) <= set(command)
    assert command[-len(TRAIN) - 1 :] == [*TRAIN, "--start-or-resume"]


def test_torchrun_reads_the_command_as_it_is_meant() -> None:
    from torch.distributed.run import parse_args

    words = [*TRAIN, "--start-or-resume"]
    script = (ROOT / "Resources" / "Clusters" / "rocm-train.sh").read_text("utf-8")
    by_hand = script.partition("\ntorchrun ")[2].replace("\\\n", " ").partition("&")[0].split()
    for command in (cluster.tasks(TRAIN, Site(gpus=4))[0].command()[3:], by_hand):
        read = parse_args(command)
        assert (read.module, read.training_script, read.nproc_per_node) == (True, "SegToolkitLib", "4")
        assert read.training_script_args[0] == "train"
        assert {"--run", "--start-or-resume"} <= set(read.training_script_args)
    assert parse_args(cluster.tasks(TRAIN, Site(gpus=4))[0].command()[3:]).training_script_args == words


def test_the_script_for_slurm_says_what_the_site_file_says(tmp_path: Path) -> None:
    site = Site(
        partition="gpu",
        account="lab",
        minutes=90,
        gpus=2,
        cpus=8,
        memory_gb=64,
        nodes=2,
        at_once=3,
        warning_seconds=200,
        modules=("rocm/6.2", "python"),
        setup=("source venv/bin/activate",),
        environment={"MIOPEN_USER_DB_PATH": "/tmp/a b"},
        slurm={"gpu-bind": "closest", "exclusive": True},
    )
    text = cluster.slurm_script(
        cluster.tasks(TRAIN, site, ["0", "1", "2", "3"]), site, tmp_path / "logs", "liver"
    )
    lines = text.splitlines()
    for line in (
        *(
            "account=lab",
            "array=0-3%3",
            "cpus-per-task=8",
            "exclusive",
            "gpu-bind=closest",
            "gpus-per-node=2",
        ),
        *("job-name=liver", "mem=65536M", "nodes=2", "ntasks-per-node=1", "partition=gpu", "requeue"),
        *("signal=USR2@200", "time=90", "open-mode=append"),
    ):
        assert f"#SBATCH --{line}" in lines, text
    assert "wckey" not in text
    order = [
        "module load rocm/6.2",
        "module load python",
        "export MIOPEN_USER_DB_PATH='/tmp/a b'",
        "source venv/bin/activate",
    ]
    places = [lines.index(line) for line in order]
    assert places == sorted(places)
    assert lines[-1].startswith("srun ")
    assert "submitit.core._submit" in lines[-1]
    checked = subprocess.run(["bash", "-n"], input=text, encoding="utf-8", capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_example_sites_can_be_used(file: Path, tmp_path: Path) -> None:
    site = read_site(file)
    text = cluster.slurm_script(cluster.tasks(TRAIN, site, ["0", "1"]), site, tmp_path, "x")
    assert all(f"module load {name}" in text for name in site.modules)
    assert f"#SBATCH --time={site.minutes}" in text


def test_there_are_example_sites() -> None:
    assert len(EXAMPLES) >= 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gpu: 1", r"no field 'gpu' \(did you mean 'gpus'"),
        ("minutes: 0", "'minutes'"),
        ("- a", "no fields with values"),
        ("a: [", "not valid YAML"),
        ("environment: {A B: 1}", "cannot be the name of a variable"),
    ],
)
def test_mistakes_in_a_site_file_are_told(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(text)
    with pytest.raises(SegToolkitError, match=words):
        read_site(file)


def test_values_of_variables_are_text(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("environment: {OMP_NUM_THREADS: 8, A: 'x; rm -rf /'}")
    lines = read_site(file).lines()
    assert lines == ["export OMP_NUM_THREADS=8", "export A='x; rm -rf /'"]


def test_a_machine_without_slurm_is_told(home: Path, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("minutes: 5\n")
    (tmp_path / "c.json").write_text('{"steps": 2}')
    done = segtoolkit("jobs", "submit", "--slurm", "--site", "site.yaml", "--", *TRAIN, folder=tmp_path)
    assert done.returncode == 1
    assert "no sbatch" in done.stderr


def test_a_mistake_in_the_command_is_told_before_anything_is_submitted(home: Path, tmp_path: Path) -> None:
    done = segtoolkit("jobs", "submit", "--local", "--", *TRAIN, "--stepz", "3", folder=tmp_path)
    assert done.returncode == 1
    assert "unrecognized arguments: --stepz" in done.stderr


def test_folds_really_run_here_each_in_its_own_folder(home: Path, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"steps": 2}')
    done = segtoolkit("jobs", "submit", "--local", "--folds", "0,1", "--", *TRAIN, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for fold in "01":
        assert events(tmp_path / "r" / f"fold-{fold}")[0][-1]["t"] == "finished"


def test_a_failed_fold_is_named_and_the_others_finish(home: Path, tmp_path: Path) -> None:
    for fold, fail in (("0", None), ("1", 2)):
        (tmp_path / f"c{fold}.json").write_text(json.dumps({"steps": 3, "fail_at": fail}))
    command = ["train", "pretend", "--run", "r{fold}", "--config", "c{fold}.json"]
    done = segtoolkit("jobs", "submit", "--local", "--folds", "0,1", "--", *command, folder=tmp_path)
    assert done.returncode == 1
    assert "1 of 2 commands failed: train pretend --run r1" in done.stderr
    assert events(tmp_path / "r0")[0][-1]["t"] == "finished"
    assert events(tmp_path / "r1")[0][-1]["code"] == "broken"


def test_a_training_whose_time_is_over_is_put_back_and_goes_on_without_a_lost_step(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.json").write_text('{"steps": 150, "seconds": 0.05}')
    site = Site(minutes=1, warning_seconds=53, requeues=5)  # the warning comes after 7 seconds
    (job,) = cluster.run_local(cluster.tasks(TRAIN, site), site, tmp_path / "logs")
    deadline = time.monotonic() + 60
    while not job.done():
        assert time.monotonic() < deadline, job.stdout()
        time.sleep(0.2)
    assert job.exception() is None, job.stdout()
    found = events(tmp_path / "r")[0]
    starts = [one["step"] for one in found if one["t"] == "start"]
    stops = [one["step"] for one in found if one["t"] == "stopped"]
    assert len(starts) >= 2
    assert starts[1:] == stops
    assert [one["step"] for one in found if one["t"] == "metric"] == list(range(1, 151))
    assert found[-1]["t"] == "finished"
