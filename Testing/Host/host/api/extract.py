"""Write facts.json.gz from the four files of a `slicer_api` folder.

    python -m host.api.extract path/to/slicer_api

The result is the same, byte for byte, for the same facts: no time stamp, sorted keys.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

FACTS = Path(__file__).with_name("facts.json.gz")
SOURCES = ("pythonqt_members", "widget_facts", "qt_classes", "python_api")


def extract(folder: Path) -> dict[str, Any]:
    """What the host and the contract need of the files in `folder`, as one JSON-able dictionary."""
    members, widgets, declared, python = (
        json.loads((folder / f"{name}.json").read_text()) for name in SOURCES
    )
    return {
        "read from": members["read from"],
        "members": {
            name: [entry["like"], entry["module"], sorted(set(entry["members"]))]
            for name, entry in members["classes"].items()
        },
        "objects": {
            path: [entry["class"], sorted(set(entry["members"]))]
            for path, entry in members["objects"].items()
        },
        "widgets": {
            name: {
                "widget": entry["QWidget"],
                "properties": {
                    key: [value["type"], value["writable"], value["default"]]
                    for key, value in entry["properties"].items()
                },
                "signals": entry["signals"],
                "slots": entry["slots"],
                "methods": entry["methods"],
            }
            for name, entry in widgets["classes"].items()
        },
        "declared": {
            name: {
                "bases": entry["bases"],
                "properties": {
                    key: [value["type"], value["writable"]] for key, value in entry["properties"].items()
                },
                "signals": entry["signals"],
                "slots": entry["slots"],
                "methods": entry["invokables"],
                "enums": entry["enums"],
            }
            for name, entry in declared.items()
        },
        "python": python,
    }


def packed(facts: dict[str, Any]) -> bytes:
    """`facts` as the bytes of a gzip file."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return gzip.compress(text.encode("ascii"), compresslevel=9, mtime=0)


if __name__ == "__main__":
    FACTS.write_bytes(packed(extract(Path(sys.argv[1]))))
    print(f"{FACTS}: {FACTS.stat().st_size} bytes")
