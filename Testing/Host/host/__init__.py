"""The stand-in for the Slicer application, in which modules run over real MRML and real Qt.

    application = host.start([path, ...])        once a process
    module = host.loadModule(path)

See README.md beside this package for what it promises and what it does not.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    # Late, so that the contract can be checked without an application.
    if name in ("start", "loadModule", "Application"):
        from host.slicer_parts import start as starting

        return getattr(starting, name)
    raise AttributeError(f"module 'host' has no attribute '{name}'")
