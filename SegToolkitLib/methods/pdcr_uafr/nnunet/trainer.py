"""nnU-Net's trainer with PDCR, with UAFR, and with both. Each part overrides small methods of it.

``SegToolkitLib/nnunet_trainers`` is the folder in which nnU-Net finds them. A variant is a subclass with
other class attributes; put it into a folder of your own.
Source: Liu et al., arXiv 2201.08779; nnU-Net v2 (2.8.1).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor, nn

from SegToolkitLib.methods.pdcr_uafr.nnunet.heads import HEAD, add_heads, begin_like, encoder_of, stages_of
from SegToolkitLib.methods.pdcr_uafr.uafr import Norm, confidence_maps


class _Epochs(nnUNetTrainer):
    """A trainer whose class says how many epochs it has.

    Attributes:
        epochs: None takes nnU-Net's number.
    """

    epochs: ClassVar[int | None] = None

    # nnU-Net reads the names of these arguments to write them into checkpoints.
    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        if self.epochs is not None:
            self.num_epochs = self.epochs


class nnUNetTrainerUAFR(_Epochs):  # noqa: N801
    """The network with UAFR behind each decoder stage; everything else is nnU-Net's.

    Attributes:
        uafr_norm: of the heads; "instance" suits batches of one or two.
    """

    uafr_norm: ClassVar[Norm] = "batch"

    # A class method where nnU-Net has a static one, so that subclasses can choose; it is called alike.
    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: Any,
        configuration_manager: Any,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """nnU-Net's network with a head behind each stage of its decoder."""
        network = super().build_network_architecture(
            plans_manager,
            configuration_manager,
            num_input_channels,
            num_output_channels,
            enable_deep_supervision,
        )
        return add_heads(network, cls.uafr_norm)

    @staticmethod
    def feature_confidence(network: nn.Module, data: Tensor) -> Tensor:
        """Confidence [B, 1, ...] within 0 and 1 of the finest head, on the grid of ``data`` [B, C, ...]."""
        with confidence_maps(network) as maps:
            network(data)
        last = len(stages_of(network)) - 1
        return maps[f"decoder.stages.{last}.{HEAD}"].float()


class nnUNetTrainerPDCR(_Epochs):  # noqa: N801
    """nnU-Net's network, and PDCR on features of its encoder besides nnU-Net's loss.

    Its models are ordinary ones of nnU-Net: projections lie beside the checkpoints, not in them.

    Attributes:
        pdcr_encoder, pdcr_cross: weights of the terms; 0 leaves one out.
        pdcr_strides: in-plane strides of the stages that take part.
        pdcr_apart: voxels between two compared vectors.
        pdcr_width: channels of the projections.
        pdcr_norm: of the projections.
        pdcr_rules: settings of ``PdcrRules`` that differ from those of the released 3-D code.
    """

    pdcr_encoder: ClassVar[float] = 0.01
    pdcr_cross: ClassVar[float] = 0.01
    pdcr_strides: ClassVar[tuple[int, ...]] = (4, 8)
    pdcr_apart: ClassVar[int] = 32
    pdcr_width: ClassVar[int] = 128
    pdcr_norm: ClassVar[Norm] = "batch"
    pdcr_rules: ClassVar[dict[str, Any]] = {}

    pdcr: Any = None
    pdcr_stages: tuple[int, ...] = ()

    def configure_optimizers(self) -> Any:
        """nnU-Net's optimiser, which learns the projections, too."""
        optimiser, scheduler = super().configure_optimizers()
        self._prepare_pdcr()
        if projections := list(self.pdcr.parameters()):
            optimiser.add_param_group({"params": projections})
        return optimiser, scheduler

    def _prepare_pdcr(self) -> None:
        """Choose stages, build the regulariser, and let the decoder hand out features from now on."""
        from SegToolkitLib.methods.pdcr_uafr.nnunet.skips import cells_of, chosen_stages, hand_out, layers_of
        from SegToolkitLib.methods.pdcr_uafr.pdcr import PDCR
        from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import RULES_3D, PdcrRules
        from SegToolkitLib.validation import validated

        # Not yet in DDP; torch.compile traces at the first batch, and sees the hook.
        network: Any = getattr(self.network, "_orig_mod", self.network)
        encoder, patch = encoder_of(network), self.configuration_manager.patch_size
        cells = cells_of(encoder)
        self.pdcr_stages = tuple(chosen_stages(cells, self.pdcr_strides))
        found = {
            **RULES_3D.model_dump(),
            "classes": max(1, len(self.label_manager.foreground_labels)),
            "ignore": None if self.label_manager.has_regions else self.label_manager.ignore_label,
            **self.pdcr_rules,
        }
        rules = validated(PdcrRules, found, "pdcr_rules of the trainer")
        cross = bool(self.pdcr_cross) and len(self.pdcr_stages) > 1
        layers = layers_of(encoder, self.pdcr_stages, patch, self.pdcr_apart, cross)
        pdcr = PDCR(layers, rules, width=self.pdcr_width, norm=self.pdcr_norm, dims=len(patch))
        begin_like(network, pdcr)
        self.pdcr = pdcr.to(self.device)
        hand_out(network.decoder, self.pdcr_stages)
        told = ", ".join(
            f"stage {stage} (strides {[axis.stride for axis in cells[stage]]}, "
            f"fields {[axis.field for axis in cells[stage]]})"
            for stage in self.pdcr_stages
        )
        self.print_to_log_file(f"PDCR compares {told}; weights {self.pdcr_encoder:g} and {self.pdcr_cross:g}")

    def _build_loss(self) -> nn.Module:
        """nnU-Net's loss, and PDCR beside its deep supervision."""
        from SegToolkitLib.methods.pdcr_uafr.nnunet.loss import RegularisedLoss
        from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import Weights

        pdcr = self.pdcr
        if self.is_ddp and any(True for _ in pdcr.parameters()):
            self.pdcr = nn.SyncBatchNorm.convert_sync_batchnorm(pdcr)
            pdcr = nn.parallel.DistributedDataParallel(self.pdcr, device_ids=[self.local_rank])
        return RegularisedLoss(
            super()._build_loss(),
            pdcr,
            Weights(encoder=self.pdcr_encoder, decoder=0, cross=self.pdcr_cross),
            self.pdcr_stages,
            self.label_manager.has_regions,
            self.label_manager.has_ignore_label,
        )

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        super().on_train_epoch_end(train_outputs)
        means = self.loss.means()
        told = ", ".join(f"{name} {value:.4f}" for name, value in means.items() if name != "decoder")
        self.print_to_log_file(f"PDCR, not weighted: {told}")

    def save_checkpoint(self, filename: str) -> None:
        super().save_checkpoint(filename)
        if self.local_rank == 0 and not self.disable_checkpointing:
            from SegToolkitLib.atomic import replacing

            with replacing(_beside(filename)) as temporary:
                torch.save(self.pdcr.state_dict(), temporary)

    def load_checkpoint(self, filename_or_checkpoint: Any) -> None:
        super().load_checkpoint(filename_or_checkpoint)
        if not isinstance(filename_or_checkpoint, (str, Path)):
            return
        file = _beside(filename_or_checkpoint)
        if file.is_file():
            self.pdcr.load_state_dict(torch.load(file, map_location=self.device, weights_only=True))
        else:
            self.print_to_log_file(f"{file.name} is missing: the projections of PDCR begin afresh")

    def on_train_end(self) -> None:
        super().on_train_end()
        if self.local_rank == 0:
            # nnU-Net has deleted the checkpoint that it belongs to.
            _beside(Path(self.output_folder) / "checkpoint_latest.pth").unlink(missing_ok=True)


class nnUNetTrainerPDCR_UAFR(nnUNetTrainerPDCR, nnUNetTrainerUAFR):  # noqa: N801
    """Both parts, as published for 3-D."""


def _beside(checkpoint: str | Path) -> Path:
    """File of the projections of a checkpoint."""
    path = Path(checkpoint)
    return path.with_name(f"{path.stem}_pdcr.pth")
