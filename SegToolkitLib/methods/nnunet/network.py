"""The network of a plan, as the trainer that trained it builds it."""

from __future__ import annotations

from typing import Any

from torch import nn

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.nnunet.package import quiet
from SegToolkitLib.methods.nnunet.plan import NnunetPlan


def managers(plan: NnunetPlan) -> tuple[Any, Any]:
    """nnU-Net's views of the plans and of the configuration."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(plan.plans)
    return plans, plans.get_configuration(plan.configuration)


def network_of(plan: NnunetPlan, trainer: Any) -> nn.Module:
    """A network with fresh weights, without deep supervision, in evaluation mode.

    Args:
        plan: of the model.
        trainer: its class.

    Raises:
        SegToolkitError: "bad-plans": nnU-Net cannot build it.
    """
    plans, configuration = managers(plan)
    heads = plans.get_label_manager(plan.dataset).num_segmentation_heads
    try:
        with quiet():
            network: nn.Module = trainer.build_network_architecture(
                plans, configuration, plan.channels, heads, enable_deep_supervision=False
            )
    except SegToolkitError:
        raise
    except Exception as error:  # whatever a class does with numbers of a file
        raise SegToolkitError(
            "bad-plans",
            f"nnU-Net cannot build the network of {plan.configuration} ({type(error).__name__}: {error}).",
            "The plans may be of another version of nnU-Net, or damaged.",
        ) from error
    return network.eval()
