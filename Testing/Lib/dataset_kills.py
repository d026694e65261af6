"""A program for test_dataset_kills: adds a case again and again and is killed each time at another moment.

``dataset_kills.py STEPS FOLDER`` kills before each file operation in turn, ``dataset_kills.py RANDOM FOLDER
COUNT`` at random moments. Each attempt works on a folder of its own, a copy of FOLDER/start.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import SimpleITK as sitk

from dataset_cases import case
from SegToolkitLib.dataset.nnunet_write import add_cases

# A fork of a process that has threads can hang: nothing here may start any before the fork.
sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
CHANGES = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.utime")


def add(folder: Path) -> None:
    add_cases(folder, None, [case("new", 50, kidney=1, liver=2), case("unlabelled", 51)])


def killed_at(number: int, folder: Path) -> bool:
    """Add in a child that kills itself before its file operation with this number; False if it had fewer."""
    child = os.fork()
    if child == 0:
        left = [number]

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            if event in CHANGES and str(arguments[0]).startswith(str(folder)):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        add(folder)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def killed_after(seconds: float, folder: Path) -> None:
    child = os.fork()
    if child == 0:
        add(folder)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def main() -> None:
    what, place = sys.argv[1], Path(sys.argv[2])
    if what == "STEPS":
        number = 0
        while True:
            folder = place / f"{number:03}"
            shutil.copytree(place / "start", folder)
            if not killed_at(number, folder):
                return
            number += 1
    began = time.monotonic()
    shutil.copytree(place / "start", place / "whole")
    assert not killed_at(1_000_000, place / "whole")
    lasts, generator = time.monotonic() - began, random.Random(1)
    for number in range(int(sys.argv[3])):
        folder = place / f"{number:03}"
        shutil.copytree(place / "start", folder)
        killed_after(generator.uniform(0, lasts), folder)


if __name__ == "__main__":
    main()
