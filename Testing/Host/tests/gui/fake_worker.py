"""Speaks the worker's protocol, well or badly: python fake_worker.py MODE --folder FOLDER --parent PID."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def raw(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def answer(mode: str, request: dict, number: int) -> None:
    name = request["id"]
    if request["do"] == "die" or (mode == "dies-first" and number == 1):
        print("the last words", file=sys.stderr, flush=True)
        os._exit(7)
    if request["do"] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if request["do"] == "slow":
        for step in range(1000):
            say(t="progress", id=name, phase="segmenting", step=step, total=1000)
            time.sleep(0.02)
    if request["do"] == "grandchild":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        say(t="log", id=name, text=f"grandchild {child.pid}")
        if request.get("then") == "die":
            os._exit(5)
        time.sleep(600)
    if request["do"] == "garbage":
        raw(b'not json\n{"t": broken\n[1, 2]\n{"no": "t"}\n\n{"t": 5}\r\n')
        raw(b"stray latin: " + b"\xe9\xff\x80 end\n")
        raw(b'{"t": "done", "id": "another", "outputs": {"wrong": true}}\n')
        print("on stderr é", file=sys.stderr, flush=True)
    if request["do"] == "long":
        text = json.dumps({"t": "done", "id": name, "outputs": {"text": "x" * 3_000_000}}).encode() + b"\n"
        for start in range(0, len(text), 100_000):
            raw(text[start : start + 100_000])
        return
    if request["do"] == "flood":
        for line in range(20_000):
            sys.stdout.write(f"line {line}\n")
    if request["do"] == "fail":
        say(t="error", id=name, code="no-such-thing", text="There is no such thing.", hint="Look elsewhere.")
        return
    say(t="progress", id=name, phase="segmenting", step=1, total=1)
    say(t="done", id=name, outputs={"echo": request, "pid": os.getpid(), "number": number})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--parent", type=int)
    options = parser.parse_args()
    if options.mode == "dies-at-start":
        print("ImportError: no module named numpy", file=sys.stderr)
        sys.exit(1)
    if options.mode == "silent":
        time.sleep(600)
    if hasattr(os, "setsid"):
        os.setsid()
    if options.mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(
        f"environment {os.environ.get('PYTHONUTF8')} {os.environ.get('PYTHONDONTWRITEBYTECODE')}",
        file=sys.stderr,
    )
    say(t="hello", pid=os.getpid(), protocol=2 if options.mode == "other-protocol" else 1, version="0.0")
    number = 0
    while True:
        names = sorted((options.folder / "requests").glob("*.json"))
        for path in names:
            request = json.loads(path.read_text(encoding="utf-8"))
            path.unlink()
            if request["do"] == "quit":
                if options.mode == "stubborn":
                    continue
                sys.exit(0)
            number += 1
            answer(options.mode, request, number)
        if not options.folder.exists():
            sys.exit(0)
        time.sleep(0.005)


if __name__ == "__main__":
    main()
