"""The same work on many cases, over several processes; one bad case does not lose the others."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import SimpleITK as sitk

from SegToolkitLib.dataset.open_files import check_errno
from SegToolkitLib.errors import SegToolkitError

Job = TypeVar("Job")
Result = TypeVar("Result")
Progress = Callable[[int, int, str], None]
Failures = dict[str, SegToolkitError]


def for_each_case(
    work: Callable[[Job], Result],
    jobs: Mapping[str, Job],
    keep: Callable[[str, Result], None],
    workers: int | None = None,
    progress: Progress | None = None,
    already_done: int = 0,
) -> Failures:
    """Do ``work`` for each job and hand each result to ``keep`` as soon as it is there.

    Args:
        work: a function of a module (not a lambda), so that another process can find it.
        jobs: its argument, by case id; must be picklable.
        keep: called in this process with the case id and the result.
        workers: number of processes; None takes one a core, 1 works in this process.
        progress: called with (done, total, text) after each case.
        already_done: cases to count as done before the first.

    Returns:
        The errors of the cases that failed, by case id, in the order of ``jobs``.

    Raises:
        SegToolkitError: "too-many-files", which is no case's fault.
    """
    failures: Failures = {}
    total, done = already_done + len(jobs), already_done
    count = min(workers or os.cpu_count() or 1, len(jobs))

    def finish(id: str, outcome: Callable[[], Result]) -> None:
        nonlocal done
        try:
            keep(id, outcome())
        except Exception as error:
            if isinstance(error, OSError):
                check_errno(error)
            failures[id] = _as_sentence(error)
        done += 1
        if progress is not None:
            progress(done, total, f"case {id}" + (" failed" if id in failures else ""))

    if count <= 1:
        for id, job in jobs.items():
            finish(id, lambda job=job: work(job))  # type: ignore[misc]
    else:
        _in_processes(work, jobs, count, finish)
    return {id: failures[id] for id in jobs if id in failures}


def raise_failures(failures: Failures, total: int, verb: str) -> None:
    """Raise one SegToolkitError that names every failed case and why; do nothing if none failed.

    Args:
        failures: errors by case id.
        total: how many cases there were.
        verb: what could not be done to them ("prepared").
    """
    if not failures:
        return
    reasons = " ".join(f"Case {id}: {error}" for id, error in failures.items())
    raise SegToolkitError(
        "cases-failed",
        f"{len(failures)} of {total} cases could not be {verb}. {reasons}",
        "The other cases are complete; mend these and run the same command again."
        if len(failures) < total
        else "",
    )


def _in_processes(
    work: Callable[[Job], Result],
    jobs: Mapping[str, Job],
    count: int,
    finish: Callable[[str, Callable[[], Result]], None],
) -> None:
    # "spawn": a fork of a process that has threads (SimpleITK, Slicer) can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_one_thread_each)
    try:
        futures: dict[Future[Any], str] = {pool.submit(work, job): id for id, job in jobs.items()}
        for future in as_completed(futures):
            finish(futures[future], future.result)
    finally:
        # Reached early when the person interrupts: what has not begun must not begin.
        pool.shutdown(wait=True, cancel_futures=True)


def _one_thread_each() -> None:
    """Keep the processes from competing: each would start as many threads as there are cores."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def _as_sentence(error: Exception) -> SegToolkitError:
    if isinstance(error, SegToolkitError):
        return error
    if isinstance(error, BrokenProcessPool):
        return SegToolkitError(
            "worker-died",
            "The process that worked on it, or on another case at that moment, was ended from outside.",
            "Usually the memory ran out: use fewer workers.",
        )
    return SegToolkitError("unexpected", f"{type(error).__name__}: {error}.", "Please report this.")
