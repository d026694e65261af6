"""What a card keeps of a trained nnU-Net, so that it can be used without its folder; imports no torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from SegToolkitLib.settings import Settings

METHOD = "nnunet"
CONFIDENCE = "confidence"
UNCERTAINTY = "uncertainty"
TITLES = {UNCERTAINTY: "Uncertainty", CONFIDENCE: "Feature confidence"}
# Plans name classes and functions to import; a card may come from anywhere.
NETWORKS = "dynamic_network_architectures.architectures."
PARTS = ("torch.nn.", "dynamic_network_architectures.building_blocks.")
REORIENTED = ("SimpleITKIOWithReorient", "NibabelIOWithReorient")
PICTURES = ("NaturalImage2DIO",)
READERS = ("SimpleITKIO", "NibabelIO", *REORIENTED, *PICTURES)


class NnunetPlan(Settings):
    """One configuration of one training.

    Attributes:
        trainer: name of the class; prediction builds the network by it.
        configuration: "2d", "3d_fullres" or "3d_lowres".
        plans: nnU-Net's plans.json, with this configuration alone.
        dataset: labels and channels of nnU-Net's dataset.json.
        folds: whose weights are averaged, as texts.
        mirrored: axes of the patch that prediction mirrors; None or empty does not mirror.
        step: of the sliding window, in parts of the patch.
        orientation: three letters that the axes i, j, k are turned towards first; None takes them as they
            are in the file, as nnU-Net does.
        confidence: whether the trainer's network tells feature confidence (UAFR).
    """

    trainer: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    configuration: str = Field(min_length=1)
    plans: dict[str, Any]
    dataset: dict[str, Any]
    folds: tuple[str, ...] = Field(min_length=1)
    mirrored: tuple[Literal[0, 1, 2], ...] | None = None
    step: float = Field(default=0.5, gt=0, le=1)
    orientation: str | None = Field(default=None, pattern=r"^[LRAPSI]{3}$")
    confidence: bool = False

    @field_validator("plans")
    @classmethod
    def _names_are_known(cls, plans: dict[str, Any]) -> dict[str, Any]:
        reader = str(plans.get("image_reader_writer"))
        if reader not in READERS:
            raise ValueError(f"images were read by {reader}; known are {', '.join(READERS)}")
        for name, configuration in dict(plans.get("configurations") or {}).items():
            network = dict(configuration.get("architecture") or {})
            kind, given = str(network.get("network_class_name", "")), dict(network.get("arch_kwargs") or {})
            named = [given.get(part) for part in network.get("_kw_requires_import") or []]
            if not kind.startswith(NETWORKS) or not all(
                one is None or str(one).startswith(PARTS) for one in named
            ):
                raise ValueError(f"the network of {name!r} is not one of nnU-Net's own")
        return plans

    @model_validator(mode="after")
    def _fits_together(self) -> NnunetPlan:
        if self.configuration not in self.plans.get("configurations", {}):
            raise ValueError(f"the plans have no configuration {self.configuration!r}")
        if "labels" not in self.dataset or not self.channels:
            raise ValueError("'dataset' needs labels and channel_names")
        return self

    @property
    def values(self) -> dict[str, Any]:
        """Of the configuration."""
        found: dict[str, Any] = self.plans["configurations"][self.configuration]
        return found

    @property
    def patch(self) -> tuple[int, ...]:
        """Voxels of a patch (z, y, x), or (y, x)."""
        return tuple(int(n) for n in self.values["patch_size"])

    @property
    def channels(self) -> int:
        """Images a case has; three for a colour picture."""
        return len(self.dataset.get("channel_names") or self.dataset.get("modality") or ())

    @property
    def pictures(self) -> bool:
        """Whether it was trained on pictures instead of volumes."""
        return self.plans["image_reader_writer"] in PICTURES

    @property
    def turned(self) -> str | None:
        """The orientation that a volume is brought to first."""
        if self.orientation is not None:
            return self.orientation
        return "RAS" if self.plans["image_reader_writer"] in REORIENTED else None

    @property
    def regions(self) -> bool:
        """Whether it finds overlapping regions in place of classes."""
        return any(isinstance(value, (list, tuple)) for value in self.dataset["labels"].values())

    @property
    def structures(self) -> dict[int, str]:
        """Value in the result -> name, the background and what was ignored left out.

        Regions are painted one over another, in nnU-Net's order; each has the value that it is painted with.
        """
        named = {
            name: value
            for name, value in self.dataset["labels"].items()
            if name not in ("background", "ignore")
        }
        if not self.regions:
            return {int(value): name for name, value in sorted(named.items(), key=lambda pair: int(pair[1]))}
        order = self.dataset.get("regions_class_order") or []
        return {int(value): name for value, name in zip(order, named, strict=True)}

    @property
    def maps(self) -> dict[str, str]:
        """Name -> title of the maps that can be made."""
        names = (UNCERTAINTY, CONFIDENCE) if self.confidence else (UNCERTAINTY,)
        return {name: TITLES[name] for name in names}
