from __future__ import annotations

from types import SimpleNamespace

from pydantic import Field

from SegToolkitLib.settings import Settings


class Options(Settings):
    steps: int = Field(default=3, ge=1)
    seconds: float = Field(default=0.02, ge=0)
    fail_at: int | None = None
    children: int = 0
    settle: float = 0.0


PRESETS = {
    name: SimpleNamespace(name=name, title=name, help="", settings=Options(steps=steps))
    for name, steps in {"quick": 3, "default": 30, "published": 300}.items()
}
METHOD = SimpleNamespace(
    name="pretend",
    title="Pretend",
    summary="",
    settings=Options,
    presets=PRESETS,
    places=(),
    metric=("dice", "max"),
    needs_dataset=False,
)
