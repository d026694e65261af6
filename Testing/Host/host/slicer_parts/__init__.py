"""Stand-ins for what the slicer-core wheel lacks: application, modules, layout, files, Python packages.

`install(qtApplication, testing=False)` sets them up and returns an Application; `host.start()` is the usual
way in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .application import Application


def install(qtApplication: Any, testing: bool = False) -> Application:
    """Set up slicer.app, the scene, the modules and the Python packages; once a process."""
    from host import ctk_module, qt_module

    qt_module.install()
    ctk_module.install()
    from .application import Application

    return Application(qtApplication, testing)
