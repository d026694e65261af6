"""``segtoolkit jobs submit``: trainings, preparation and segmentation on a cluster."""

from __future__ import annotations

import time
from argparse import REMAINDER, ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter

if TYPE_CHECKING:
    from SegToolkitLib.jobs.cluster import Task
    from SegToolkitLib.jobs.site import Site

HELP = "run commands on a cluster (SLURM), or here in the same way"


def add_arguments(parser: ArgumentParser) -> None:
    """Arguments of ``jobs submit``."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--slurm", action="store_true", help="submit to SLURM")
    where.add_argument("--local", action="store_true", help="run here, in the same way, and wait")
    where.add_argument("--show", action="store_true", help="print the script for SLURM, and submit nothing")
    parser.add_argument("--site", type=Path, metavar="FILE", help="YAML file that describes the cluster")
    parser.add_argument("--folds", type=_listed, default=[], metavar="0,1,2", help="train one run for each")
    parser.add_argument("--shards", type=int, metavar="N", help="divide the cases into N jobs")
    parser.add_argument(
        "--logs", type=Path, default=Path("logs"), metavar="FOLDER", help="for the logs (default: logs)"
    )
    parser.add_argument("--name", default="segtoolkit", help="of the job in the queue")
    parser.add_argument(
        "words", nargs=REMAINDER, metavar="-- COMMAND", help="train, prepare or segment with their options"
    )
    parser.set_defaults(act=_submit)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _submit(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.cli.jobs_process import parsed
    from SegToolkitLib.jobs import cluster
    from SegToolkitLib.jobs.site import Site, read_site

    if options.slurm and options.site is None:
        raise SegToolkitError(
            "no-site", "No site file is given.", "Write --site site.yaml; docs/jobs.md has examples."
        )
    site = read_site(options.site) if options.site else Site()
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if options.shards is not None and options.shards < 1:
        raise SegToolkitError("bad-submission", f"{options.shards} shards are none.", "Give 1 or more.")
    work = cluster.tasks(words, site, options.folds, options.shards)
    for task in work:
        parsed(task.arguments)  # a mistake is told now, not after a night in the queue
        reporter.info(f"segtoolkit {' '.join(task.arguments)}")
    if options.show:
        text = cluster.slurm_script(work, site, options.logs, options.name)
        reporter.info(text)
        return {"script": text}
    if options.slurm:
        ids = cluster.submit(work, site, options.logs, options.name)
        reporter.info(f"Submitted as {', '.join(ids)}; the logs come into {options.logs}.")
        return {"jobs": ids, "logs": str(options.logs)}
    return _run_here(work, site, options, reporter)


def _run_here(work: list[Task], site: Site, options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.jobs.cluster import run_local

    jobs = run_local(work, site, options.logs)
    try:
        while left := [job for job in jobs if not job.done()]:
            reporter.progress("jobs", len(jobs) - len(left), len(jobs))
            time.sleep(0.5)
    except BaseException:
        for job in jobs:
            job.cancel(check=False)
        raise
    reporter.progress("jobs", len(jobs), len(jobs))
    failed = {" ".join(task.arguments): job for task, job in zip(work, jobs, strict=True) if job.exception()}
    if failed:
        raise SegToolkitError(
            "jobs-failed",
            f"{len(failed)} of {len(jobs)} commands failed: {'; '.join(failed)}.",
            f"See their logs in {options.logs}.",
        )
    return {"jobs": [job.job_id for job in jobs], "logs": str(options.logs)}
