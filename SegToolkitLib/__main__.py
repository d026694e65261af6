"""``python -m SegToolkitLib`` is the same program as ``segtoolkit``."""

import sys

from SegToolkitLib.cli import main

if __name__ == "__main__":
    sys.exit(main())
