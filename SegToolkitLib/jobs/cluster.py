"""Commands on a cluster, or here in the same way: arrays, time limits, and going on after them (submitit)."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.jobs.site import Site
from SegToolkitLib.jobs.status import STOP_FILE
from SegToolkitLib.training.alive import SILENT_SECONDS, owner

if TYPE_CHECKING:
    import submitit

LIBRARY = Path(__file__).resolve().parents[2]
FIRST_PORT = 29500
PORTS = 2000
END_SECONDS = 10.0


@dataclass
class Task:
    """One command of ``segtoolkit`` on a machine of the cluster; what submitit starts, and starts again.

    Attributes:
        arguments: of ``segtoolkit``.
        run: folder of the training, None for other commands.
        nodes: machines that train together.
        gpus: of each machine.
        warning_seconds: between the warning and the end of the time.
    """

    arguments: list[str]
    run: Path | None = None
    nodes: int = 1
    gpus: int = 0
    warning_seconds: int = 120
    # Of the process and how it ended. Plain attributes: a signal's handler may not wait for a lock that the
    # code it interrupted holds, as Popen.wait does.
    _pid: int | None = field(default=None, repr=False, compare=False)
    _code: int | None = field(default=None, repr=False, compare=False)

    def __call__(self) -> str:
        """Run the command to its end.

        Raises:
            RuntimeError: it failed; its own words stand in the log.
        """
        self._wait_for_other_host()
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": _python_path()}
        # In a session of its own: the scheduler's warning is for this process, which asks it to save.
        child = subprocess.Popen(self.command(), env=environment, start_new_session=True)
        self._pid = child.pid
        threading.Thread(target=self._collect, args=(child,), daemon=True).start()
        try:
            self._has_ended_within(math.inf)
        finally:
            self._end()
        if self._code:
            raise RuntimeError(f"segtoolkit {' '.join(self.arguments)} ended with the exit code {self._code}")
        return " ".join(self.arguments)

    def checkpoint(self, *_arguments: Any) -> submitit.helpers.DelayedSubmission:
        """The time is over or the machine is wanted: save, end, and go on later (called by submitit)."""
        import submitit

        if self.run is not None and self.run.is_dir():
            with contextlib.suppress(OSError):
                (self.run / STOP_FILE).touch()
            # What it takes to write the submission down and to end is left over.
            self._has_ended_within(max(1.0, self.warning_seconds * 0.75 - 5))
        self._end()
        if self.run is not None:
            with contextlib.suppress(OSError):
                (self.run / STOP_FILE).unlink(missing_ok=True)
        return submitit.helpers.DelayedSubmission(
            Task(self.arguments, self.run, self.nodes, self.gpus, self.warning_seconds)
        )

    def command(self) -> list[str]:
        """The process to start: Python, or torchrun where several processes train together."""
        if self.run is None or (self.nodes == 1 and self.gpus < 2):
            return [sys.executable, "-m", "SegToolkitLib", *self.arguments]
        torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={max(1, self.gpus)}"]
        torchrun += ["--max-restarts=3", f"--nnodes={self.nodes}"]
        if self.nodes == 1:
            torchrun.append("--standalone")
        else:
            import submitit

            job = submitit.JobEnvironment()
            port = FIRST_PORT + int("".join(filter(str.isdigit, job.job_id)) or 0) % PORTS
            torchrun += ["--rdzv-backend=c10d", f"--rdzv-id={job.job_id}"]
            torchrun.append(f"--rdzv-endpoint={job.hostnames[0]}:{port}")
        # "--": torchrun would take our --run for an abbreviation of its own --run-path.
        return [*torchrun, "-m", "--", "SegToolkitLib", *self.arguments]

    def _wait_for_other_host(self) -> None:
        """A machine that was taken away without a warning is silent for a while before it counts as gone."""
        if self.run is None:
            return
        deadline = time.monotonic() + SILENT_SECONDS + 10
        while (found := owner(self.run)) and not found.here and time.monotonic() < deadline:
            time.sleep(1)

    def _collect(self, child: subprocess.Popen[bytes]) -> None:
        self._code = child.wait()

    def _has_ended_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._pid is not None and self._code is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def _end(self) -> None:
        """End what still runs: torchrun ends its processes when it is asked to, and is given time for it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._pid is None or self._code is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, number)
            self._has_ended_within(END_SECONDS)


def tasks(
    arguments: Sequence[str],
    site: Site,
    folds: Sequence[str] = (),
    shards: int | None = None,
) -> list[Task]:
    """One task for each fold or shard, or a single one.

    Args:
        arguments: of ``segtoolkit``; ``{fold}`` in them stands for the fold.
        site: where they will run.
        folds: each trains a run of its own. Without ``{fold}``, ``--fold`` and a folder below that of
            ``--run`` are added.
        shards: into how many parts the cases are divided (``--shard``).

    Raises:
        SegToolkitError: "bad-submission".
    """
    if not arguments:
        raise _bad("No command is given.", "Write it after --, such as -- train alpnet --dataset D --run R.")
    training = arguments[0] == "train"
    if folds and shards:
        raise _bad(
            "Both folds and shards are given.",
            "A training has folds; segment, prepare, superpixels and maps have shards.",
        )
    if folds and not training:
        raise _bad(f"{arguments[0]} has no folds.", "Divide its cases with --shards.")
    if shards and training:
        raise _bad("A training cannot be divided into shards.", "Use --folds, or several GPUs (gpus, nodes).")
    if shards:
        return [_task([*arguments, "--shard", f"{n}/{shards}"], site) for n in range(shards)]
    if not folds:
        return [_task(list(arguments), site)]
    return [_task(_with_fold(arguments, fold), site) for fold in folds]


def _with_fold(arguments: Sequence[str], fold: str) -> list[str]:
    if any("{fold}" in word for word in arguments):
        return [word.replace("{fold}", fold) for word in arguments]
    run = _run_of(arguments)
    if run is None:
        return list(arguments)
    place = arguments.index("--run") + 1
    return [*arguments[:place], str(run / f"fold-{fold}"), *arguments[place + 1 :], "--fold", fold]


def _task(arguments: list[str], site: Site) -> Task:
    if arguments[0] != "train":
        return Task(arguments)
    run = _run_of(arguments)
    if run is None:
        raise _bad("The training has no --run FOLDER.", "Say where it writes; the folder must be shared.")
    if "--start-or-resume" not in arguments:
        arguments = [*arguments, "--start-or-resume"]
    return Task(arguments, run.absolute(), site.nodes, site.gpus, site.warning_seconds)


def _run_of(arguments: Sequence[str]) -> Path | None:
    for number, word in enumerate(arguments):
        if word == "--run" and number + 1 < len(arguments):
            return Path(arguments[number + 1])
    return None


def submit(work: Sequence[Task], site: Site, logs: Path, name: str) -> list[str]:
    """Hand tasks to SLURM, as one array; returns the ids of the jobs.

    Args:
        work: what to run.
        site: what the cluster wants to hear.
        logs: folder for logs and submitit's files; every machine must see it.
        name: of the job in the queue.

    Raises:
        SegToolkitError: "no-slurm", "missing-package", "submit-failed".
    """
    if shutil.which("sbatch") is None:
        raise SegToolkitError(
            "no-slurm",
            "This machine has no sbatch, so it cannot submit to SLURM.",
            "Log in to the cluster and submit there, or try the same with --local.",
        )
    executor = slurm_executor(site, logs, name)
    try:
        return [job.job_id for job in executor.submit_array(list(work))]
    except Exception as error:  # submitit raises its own kinds and subprocess's
        raise SegToolkitError(
            "submit-failed", f"SLURM refused the job: {error}.", "Check the site file against the cluster."
        ) from error


def slurm_executor(site: Site, logs: Path, name: str) -> Any:
    """submitit's executor with the site's parameters.

    Raises:
        SegToolkitError: "missing-package", "submit-failed".
    """
    executors = _submitit()
    try:
        executor = executors.SlurmExecutor(
            logs.absolute(), max_num_timeout=site.requeues, python=site.python or None
        )
    except RuntimeError as error:
        raise SegToolkitError("no-slurm", f"{error}.", "Submit on a machine of the cluster.") from error
    parameters: dict[str, Any] = {
        "job_name": name,
        "time": site.minutes,
        "nodes": site.nodes,
        "ntasks_per_node": 1,
        "cpus_per_task": site.cpus,
        "signal_delay_s": site.warning_seconds,
        "array_parallelism": site.at_once,
        "setup": [
            *site.lines(),
            f'export PYTHONPATH={shlex.quote(str(LIBRARY))}"${{PYTHONPATH:+:$PYTHONPATH}}"',
        ],
        "stderr_to_stdout": True,
        "wckey": None,  # submitit's own, which clusters that keep accounts by it do not know
        "additional_parameters": {"requeue": True, **site.slurm},
    }
    for field_name in ("partition", "account", "qos", "constraint"):
        if getattr(site, field_name) is not None:
            parameters[field_name] = getattr(site, field_name)
    if site.gpus:
        parameters["gpus_per_node"] = site.gpus
    if site.memory_gb is not None:
        parameters["mem"] = f"{round(site.memory_gb * 1024)}M"
    executor.update_parameters(**parameters)
    return executor


def slurm_script(work: Sequence[Task], site: Site, logs: Path, name: str) -> str:
    """The text that sbatch would get, for reading it before submitting."""
    from unittest import mock

    with mock.patch("shutil.which", return_value="srun"):  # submitit looks for it; reading needs none
        executor = slurm_executor(site, logs, name)
    if len(work) > 1:
        executor.parameters["map_count"] = len(work)
    text: str = executor._make_submission_file_text(executor._submitit_command_str, "text")
    return text


def run_local(work: Sequence[Task], site: Site, logs: Path) -> list[Any]:
    """Run tasks on this machine in the way of the cluster, time limit included; returns submitit's jobs.

    Modules and lines of setup are the cluster's and are left out.

    Raises:
        SegToolkitError: "missing-package".
    """
    executor = _submitit().LocalExecutor(logs.absolute(), max_num_timeout=site.requeues)
    executor.update_parameters(
        timeout_min=site.minutes,
        gpus_per_node=site.gpus,
        signal_delay_s=site.warning_seconds,
        stderr_to_stdout=True,
    )
    before = dict(os.environ)
    os.environ.update(site.environment, PYTHONPATH=_python_path())
    try:
        return [executor.submit(task) for task in work]
    finally:
        os.environ.clear()
        os.environ.update(before)


def _python_path() -> str:
    return os.pathsep.join([str(LIBRARY), *filter(None, [os.environ.get("PYTHONPATH")])])


def _submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise SegToolkitError(
            "missing-package",
            "Clusters need the Python package submitit.",
            "Install it with: pip install 'SegToolkitLib[cluster]'.",
        ) from error
    return submitit


def _bad(message: str, hint: str) -> SegToolkitError:
    return SegToolkitError("bad-submission", message, hint)
