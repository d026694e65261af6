"""What PyTorch offers on this computer. Importing a broken PyTorch can end a process, so a child asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 180
ROOT = Path(__file__).resolve().parents[2]
MARK = "SegToolkit-torch-facts:"
PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    " from SegToolkitLib.worker import torch_facts; torch_facts.tell()"
)


def tell() -> None:
    """Print the facts on stdout, behind a mark, because libraries print too."""
    print(MARK + json.dumps(facts()), flush=True)


def facts() -> dict[str, Any]:
    """Version, GPUs (name, memory in GB) and whether there is Apple's GPU; imports torch."""
    import torch

    gpus = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            gpus.append({"name": properties.name, "memory_gb": round(properties.total_memory / 2**30, 1)})
    return {
        "version": str(torch.__version__),
        "gpus": gpus,
        "mps": bool(torch.backends.mps.is_available()),
    }


def ask() -> tuple[dict[str, Any] | None, str]:
    """The facts, or None and what is wrong."""
    if "torch" in sys.modules:
        try:
            return facts(), ""
        except Exception as error:
            return None, f"PyTorch fails when asked for its devices ({_short(str(error))})"
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(ROOT)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            creationflags=flags,
            env={**os.environ, "PYTHONUTF8": "1"},
        )
    except subprocess.TimeoutExpired:
        return None, f"PyTorch did not start within {TIMEOUT_SECONDS} seconds"
    except OSError as error:
        return None, f"Python could not be started to look for PyTorch ({error.strerror or error})"
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode == 0 and MARK in output:
        found: dict[str, Any] = json.loads(output.rpartition(MARK)[2].splitlines()[0])
        return found, ""
    lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    reason = _short(lines[-1]) if lines else f"its import ended Python with the exit code {done.returncode}"
    return None, f"PyTorch is installed but cannot be imported ({reason})"


def _short(text: str) -> str:
    return text.strip()[:300]
