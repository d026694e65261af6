"""Trained models of nnU-Net for tests, made without a training: small plans and random weights."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

CASE: dict[str, Any] = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}


def plans(dims: int = 3, kind: str = "PlainConvUNet", reader: str = "SimpleITKIO") -> dict[str, Any]:
    """As nnU-Net plans it, with few channels: spacing 1, patches of 16."""
    blocks = "n_conv_per_stage" if kind == "PlainConvUNet" else "n_blocks_per_stage"
    name = "2d" if dims == 2 else "3d_fullres"
    return {
        "dataset_name": "Dataset901_Small",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [1.0, 1.0, 1.0],
        "original_median_shape_after_transp": [30, 40, 28],
        "image_reader_writer": reader,
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {"mean": 1.0, "std": 1.0}},
        "configurations": {
            name: {
                "data_identifier": f"nnUNetPlans_{name}",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": [16] * dims,
                "median_image_size_in_voxels": [30.0] * dims,
                "spacing": [1.0] * dims,
                "normalization_schemes": ["ZScoreNormalization"],
                "use_mask_for_norm": [False],
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_seg": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": CASE,
                "resampling_fn_seg_kwargs": {**CASE, "is_seg": True, "order": 1},
                "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
                "resampling_fn_probabilities_kwargs": {**CASE, "order": 1},
                "batch_dice": False,
                "architecture": {
                    "network_class_name": f"dynamic_network_architectures.architectures.unet.{kind}",
                    "arch_kwargs": {
                        "n_stages": 3,
                        "features_per_stage": [4, 8, 12],
                        "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
                        "kernel_sizes": [[3] * dims] * 3,
                        "strides": [[1] * dims, [2] * dims, [2] * dims],
                        blocks: [1, 1, 1],
                        "n_conv_per_stage_decoder": [1, 1],
                        "conv_bias": True,
                        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
                        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                        "dropout_op": None,
                        "dropout_op_kwargs": None,
                        "nonlin": "torch.nn.LeakyReLU",
                        "nonlin_kwargs": {"inplace": True},
                    },
                    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
                },
            }
        },
    }


LABELS = {"background": 0, "anterior": 1, "posterior": 2}
REGIONS = {"background": 0, "whole": [1, 2], "core": [2]}


def dataset(labels: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """A dataset.json."""
    made = {"channel_names": {"0": "MRI"}, "labels": labels or LABELS, "numTraining": 6}
    return {**made, "file_ending": ".nii.gz", **others}


def made_model(
    folder: Path,
    trainer: type[Any],
    given: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    folds: tuple[int | str, ...] = (0,),
    mirrored: tuple[int, ...] | None = (0, 1, 2),
    junk: Any = None,
) -> Path:
    """A folder of nnUNet_results, whose networks say something of every voxel."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    given, data = given or plans(), data or dataset()
    (configuration,) = given["configurations"]
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(given), encoding="utf-8")
    (folder / "dataset.json").write_text(json.dumps(data), encoding="utf-8")
    manager = PlansManager(copy.deepcopy(given))
    heads = manager.get_label_manager(data).num_segmentation_heads
    for number, fold in enumerate(folds):
        torch.manual_seed(number)
        network = trainer.build_network_architecture(
            manager, manager.get_configuration(configuration), len(data["channel_names"]), heads, True
        )
        (folder / f"fold_{fold}").mkdir()
        torch.save(
            {
                "network_weights": network.state_dict(),
                "optimizer_state": {},
                "grad_scaler_state": None,
                # As nnU-Net logs them: numbers of numpy among plain ones.
                "logging": {"train_losses": [np.float32(1.5), np.float64(0.5)], "more": junk},
                "_best_ema": np.float64(0.3),
                "current_epoch": 2,
                "init_args": {
                    "plans": given,
                    "configuration": configuration,
                    "fold": fold,
                    "dataset_json": data,
                    "device": torch.device("cpu"),
                },
                "trainer_name": trainer.__name__,
                "inference_allowed_mirroring_axes": mirrored,
            },
            folder / f"fold_{fold}" / "checkpoint_final.pth",
        )
    return folder
