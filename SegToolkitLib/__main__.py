"""``python -m SegToolkitLib`` is the same program as ``segtoolkit``."""

import os
import sys

from SegToolkitLib.cli import main

if __name__ == "__main__":
    code = main()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        # Under torchrun. Where threads of torch.distributed outlive C++'s tidying up, a process whose work
        # is done ends by std::terminate (seen with torch 2.13), and torchrun takes the training for failed.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
