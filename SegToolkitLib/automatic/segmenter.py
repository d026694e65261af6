"""What a method brings, so that its models segment volumes from files, from a shell and from a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, TypedDict

from pydantic import Field

from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.settings import Settings
from SegToolkitLib.volume import Volume

if TYPE_CHECKING:
    import torch

Mode = Literal["full", "quick"]

# Name of a map: part of a file's name, and a key in requests and answers.
MapName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
# The map that most methods have; the command line has an option of this name for it.
UNCERTAINTY = "uncertainty"

# (phase, steps done, steps in all), as Reporter.progress takes it.
Progress = Callable[[str, int, int], None]


class AutomaticOptions(Settings):
    """What a person chooses for one volume.

    Attributes:
        labels: values of the structures that are wanted; None for all. The result holds no others.
        mode: "quick" gives a coarser result sooner, where the model has such a mode.
        maps: names of the maps to make besides, of those that the model describes.
        small: take less memory, and more time for it.
    """

    labels: Annotated[list[Annotated[int, Field(ge=1, le=255)]], Field(min_length=1)] | None = None
    mode: Mode = "full"
    maps: list[MapName] = Field(default_factory=list)
    small: bool = False


@dataclass(frozen=True)
class AutomaticResult:
    """What comes back for one volume.

    Attributes:
        labels: uint8 [k, j, i] on the grid of the input; 0, and the values of the card's labels.
        maps: name -> float32 in 0 to 1, where more is more of what the map's title says, on the input's grid
            or on a box of its voxels; of those asked for, the ones that can be told of this volume.
        seconds: part of the work ("coarse", "box", "fine", "restore") -> seconds; no reading and writing.
        notes: sentences about choices the person should know of.
    """

    labels: Volume
    maps: Mapping[str, Volume] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class AutomaticSegmenter(Protocol):
    """A loaded model.

    Attributes:
        device: where it computes.
    """

    device: torch.device

    def segment(
        self, volume: Volume, options: AutomaticOptions, progress: Progress | None = None
    ) -> AutomaticResult:
        """Segment one volume of any orientation, spacing and size.

        Args:
            volume: [k, j, i] in the unit that the card's modality says (HU for CT); of the modality "picture"
                also a colour picture [1, j, i, c].
            options: what is wanted; the mode is one of those described, the labels are the card's.
            progress: hears of each part of the work.

        Raises:
            SegToolkitError: what a person can mend.
        """


class Described(TypedDict):
    """What a person wants to know of a model before it is loaded.

    ``grid`` is a phrase ("160 x 160 x 160 voxels, then 192 x 192 x 192 around the organs"), ``modes`` the
    modes there are, the usual one first; ``maps`` are those that can be made besides, name -> title as a
    person reads it ("uncertainty": "Uncertainty"); ``small`` says whether there is this option; ``memory_mb``
    is the peak of GPU memory in full mode, None where it was never measured.
    """

    grid: str
    modes: list[Mode]
    maps: dict[str, str]
    small: bool
    memory_mb: int | None


class AutomaticMethod(Protocol):
    """The module ``automatic`` of a method's package; importing it imports no torch."""

    def describe(self, card: ModelCard) -> Described:
        """What the card of a model says of its use; imports no torch.

        Raises:
            SegToolkitError: the card's settings are not those of the method.
        """

    def load(self, folder: Path, card: ModelCard, device: torch.device, precision: str) -> AutomaticSegmenter:
        """Load a model. Its terms are not asked for: that is the caller's part, see
        :func:`SegToolkitLib.models.licence.ensure_accepted`. Command line, worker and evaluations do it.

        Args:
            folder: of the model.
            card: of that folder.
            device: where to compute.
            precision: "auto", "float32", "bfloat16" or "float16"; auto is the method's choice for the device.

        Raises:
            SegToolkitError: "bad-weights", "bad-model-card".
        """
