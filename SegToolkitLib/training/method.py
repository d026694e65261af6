"""What a method brings so that it can be trained: by command line, panel and cluster alike.

``methods/<name>/training.py`` holds ``METHOD``, an object of this shape. Importing it imports no torch,
because a window asks for titles, presets and settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from SegToolkitLib.events import Reporter
from SegToolkitLib.training.settings import TrainingSettings

if TYPE_CHECKING:
    import torch

    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.training.distributed import Group
    from SegToolkitLib.training.run_folder import RunFolder
    from SegToolkitLib.training.task import Task


@dataclass(frozen=True)
class Preset:
    """Settings that belong together; a method has "quick", "default" and "published" at least."""

    name: str
    title: str
    help: str
    settings: TrainingSettings


@dataclass(frozen=True)
class Place:
    """A file or folder that a run reads besides its data set.

    A file's checksum is kept: until the first checkpoint, a resumed run wants the same file.

    Attributes:
        made: a folder that the run makes where it is missing.
    """

    name: str
    kind: Literal["file", "folder"]
    help: str
    made: bool = False


@dataclass
class Context:
    """All that a method needs to prepare a run.

    Attributes:
        run: its folder.
        settings: validated, of the method's own class.
        dataset: None where none was given, which only methods that need none get to see.
        places: those of the method's places that were given.
        name: of the resulting model.
        command: that started the run, for the model's card.
        device: where to train.
        reporter: hears of progress and warnings.
        resume: the run has been prepared before.
        group: which of several processes this is.
    """

    run: RunFolder
    settings: Any
    dataset: Dataset | None
    places: dict[str, Path]
    name: str
    command: str
    device: torch.device
    reporter: Reporter
    resume: bool
    group: Group


@dataclass
class Prepared:
    """A task, and the fingerprint of its data: plain values; where it has "sha256", that alone counts."""

    task: Task
    fingerprint: dict[str, Any] = field(default_factory=dict)


class TrainingMethod(Protocol):
    """A method as the engine knows it.

    Attributes:
        name: of its package.
        title, summary: for people.
        settings: class of its settings; the defaults are the published ones.
        presets: by name.
        places: further inputs of a run.
        metric: which figure of the validation decides what is best, and whether it is to be large
            ("max") or small ("min"); None where nothing does.
        needs_dataset: whether a run without a data set is refused.
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def settings(self) -> type[TrainingSettings]: ...
    @property
    def presets(self) -> Mapping[str, Preset]: ...
    @property
    def places(self) -> tuple[Place, ...]: ...
    @property
    def metric(self) -> tuple[str, Literal["max", "min"]] | None: ...
    @property
    def needs_dataset(self) -> bool: ...

    def prepare(self, context: Context) -> Prepared:
        """Read the data and build the task; the global generators are seeded afterwards."""
        ...

    def finish(self, context: Context, task: Task) -> Path:
        """Write the model of the task's weights to ``<run>/result/model`` and return that folder."""
        ...

    def trial(self, settings: Any, dataset: Dataset | None, device: torch.device) -> Task:
        """A task on made-up samples of the data's size, for the estimate of time and memory."""
        ...
