"""When a worker ends and when it does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from SegToolkitLib.worker.watch import EXIT_ABANDONED, parent_check
from worker_driver import Worker, start_process

# A service that is busy for minutes with an occupied interpreter, as torch is not even.
BUSY = """
import sys, time
sys.path.insert(0, {root!r})
from SegToolkitLib.methods import registry
class Service:
    def __init__(self): self.verbs = {{"toil": self.toil}}
    def relieve(self): pass
    def toil(self, values, reporter):
        print("a library talks")
        reporter.progress("toiling", 0, 1)  # last: the test may end this process as soon as it hears of it
        end = time.monotonic() + 300
        while time.monotonic() < end: pass
registry.service_of = lambda method: Service()
import SegToolkitLib.worker.answers as answers
answers.service_of = registry.service_of
from SegToolkitLib.cli import main
sys.exit(main(["worker", "--folder", {folder!r}, "--parent", {parent!r}]))
"""


class BusyWorker(Worker):
    """Knows one verb, which takes minutes."""

    def __init__(self, folder: Path, parent: int, program: Path) -> None:
        root = str(Path(__file__).parents[2])
        program.write_text(BUSY.format(root=root, folder=str(folder), parent=str(parent)), encoding="utf-8")
        self._program = program
        super().__init__(folder, parent)


@pytest.fixture
def sleeper() -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])


def busy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, parent: int) -> Worker:
    def start(folder: Path, parent: int, environment: dict[str, str]) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, str(tmp_path / "busy.py")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    monkeypatch.setattr("worker_driver.start_process", start)
    process = BusyWorker(tmp_path / "exchange", parent, tmp_path / "busy.py")
    process.send("toil")
    assert process.event()["phase"] == "toiling"
    return process


def test_quit_ends_it_after_what_was_asked_before(tmp_path: Path) -> None:
    with Worker(tmp_path) as process:
        process.send("models")
        process.send("quit")
        assert [process.event()["id"] for _ in range(2)] == ["r1", "r2"]
        assert process.end() == 0
    assert list((tmp_path / "requests").iterdir()) == []


def test_requests_are_taken_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "requests").mkdir()
    for number in (10, 9, 11):
        text = f'{{"id": {number}, "do": "nothing"}}'
        (tmp_path / "requests" / f"{number:06d}.json").write_text(text)
    (tmp_path / "requests" / "000002.json.part").write_text("half")
    with Worker(tmp_path) as process:
        assert [process.event()["id"] for _ in range(3)] == [9, 10, 11]
        # What is still being written is left alone.
        assert process.ask("quit") == {}
    assert (tmp_path / "requests" / "000002.json.part").read_text() == "half"


def test_it_ends_when_its_parent_is_gone(tmp_path: Path, sleeper: subprocess.Popen) -> None:
    with Worker(tmp_path, parent=sleeper.pid) as process:
        process.ask("models")
        sleeper.kill()  # not waited for: a dead process that nobody has collected counts as gone
        assert process.end() == EXIT_ABANDONED
    sleeper.wait()


def test_it_ends_in_mid_computation_when_its_parent_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sleeper: subprocess.Popen
) -> None:
    with busy(monkeypatch, tmp_path, sleeper.pid) as process:
        sleeper.kill()
        sleeper.wait()
        assert process.end() == EXIT_ABANDONED


def test_it_ends_in_mid_computation_when_its_folder_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with busy(monkeypatch, tmp_path, os.getpid()) as process:
        shutil.rmtree(tmp_path / "exchange")
        assert process.end() == EXIT_ABANDONED
        assert b"a library talks" in process.log()


def test_a_parent_that_never_was_and_a_folder_that_is_not_there_end_it(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with Worker(tmp_path, parent=gone.pid) as process:
        assert process.end() == EXIT_ABANDONED
    nowhere = start_process(tmp_path / "nowhere", os.getpid(), {})
    output, _ = nowhere.communicate(timeout=20)
    assert nowhere.returncode == 2
    assert b"no-folder" in output


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")
def test_it_leads_a_process_group_of_its_own(tmp_path: Path) -> None:
    with Worker(tmp_path) as process:
        assert os.getpgid(process.process.pid) == process.process.pid


def test_the_check_of_a_parent_is_true_while_it_lives(sleeper: subprocess.Popen) -> None:
    alive = parent_check(sleeper.pid)
    assert alive()
    assert parent_check(os.getppid())()
    sleeper.kill()
    sleeper.wait()
    assert not alive()
