"""The published methods, one package each, with the same file names in each.

A method never imports another method; what two of them need moves down the library. Packages in the folders
that ``$SEGTOOLKIT_METHOD_PATH`` names are methods as well, so that a method can be tried without a copy of it
here.
"""

import os
from pathlib import Path

__path__ += [
    str(Path(folder).absolute())
    for folder in os.environ.get("SEGTOOLKIT_METHOD_PATH", "").split(os.pathsep)
    if folder
]
