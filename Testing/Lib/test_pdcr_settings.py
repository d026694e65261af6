"""PDCR and UAFR: settings, the authors' configurations, rates, the step, scores, and the page's example."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.confusion import Confusion
from SegToolkitLib.evaluation.image_scores import ImageScores, score_table
from SegToolkitLib.methods.pdcr_uafr.layers import pdcr_layers
from SegToolkitLib.methods.pdcr_uafr.network import build_network
from SegToolkitLib.methods.pdcr_uafr.optimiser import build_optimiser, scale_gradients
from SegToolkitLib.methods.pdcr_uafr.pdcr import PDCR
from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import PdcrSettings, Weights
from SegToolkitLib.methods.pdcr_uafr.plan import DEFAULT_POSITIONS, SMALL, NetworkPlan
from SegToolkitLib.methods.pdcr_uafr.presets import VARIANTS
from SegToolkitLib.methods.pdcr_uafr.released import read_released, translated
from SegToolkitLib.methods.pdcr_uafr.resizing import classes_at
from SegToolkitLib.methods.pdcr_uafr.schedule import rates
from SegToolkitLib.methods.pdcr_uafr.settings import OptimiserSettings, PdcrUafrSettings, ScheduleSettings
from SegToolkitLib.methods.pdcr_uafr.step import training_step

PAGE = Path(__file__).parents[2] / "docs" / "pdcr-uafr.md"
README: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 4,
    "num_workers": 4,
    "syncbn": True,
    "mc": True,
    "seed": 666,
    "criterions": [
        ["ce", 1],
        ["encoder_patchseries", 0.1],
        ["decoder_patchseries", 0.01],
        ["multi_layer_patchseries", 0.01],
    ],
    "class_weight": [1, 1],
    "loss_temperature": 1,
    "model": {
        "mode": "DeepLab_bcl_att2",
        "input_channel": 3,
        "num_classes": 2,
        "backbone": "xception_bcl_att2",
        "output_stride": 16,
        "freeze_bn": False,
        "layer_sample": [128, 64, 32, 8, 8, 8, 8],
        "fea_weight_choice": "receptive_field",
        "bcl_layer_choice": [2, 3],
        "bcl_multi_layer_choice": [2, 3],
        "layer_sample_multilayer": [32] * 5,
        "patchnumber": 3,
        "patchsize": [5, 7, 9],
        "similarityfirst_encoder": True,
        "similarityfirst_decoder": True,
        "similarityfirst_multi": True,
        "patchforeground_weight": [1, 1, 1],
        "uncertainty_att_layerchoice": [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1],
    },
    "dataset": {"mode": "ISIC2016", "root_path": "data", "input_size": [512, 384, 3], "aug": True},
    "optm": {"mode": "adam", "use_larc": False},
    "schd": {"mode": "cos", "base_lr": 0.001, "final_lr": 1e-5},
    "save_checkpoint": 20,
    "test": {"resize_option": "resize_first", "metric_used": ["mDice", "mIoU", "Acc"]},
}


def changed(**changes: Any) -> dict[str, Any]:
    values = json.loads(json.dumps(README))
    for name, value in changes.items():
        section = next((one for one in values.values() if isinstance(one, dict) and name in one), values)
        section[name] = value
    return values


def test_the_readmes_configuration_is_our_default() -> None:
    found = translated(README)
    defaults = PdcrUafrSettings()
    assert found.unknown == []
    assert found.settings.pdcr == defaults.pdcr.model_copy(update={"patch_weights": (1.0, 1.0, 1.0)})
    assert found.settings.network == defaults.network
    assert found.settings.schedule == defaults.schedule
    assert found.settings.optimiser == defaults.optimiser
    assert found.settings.input.size == (384, 512)
    assert found.settings.snapshot_every == 20 * defaults.optimiser.steps_per_epoch
    assert "model.freeze_bn" in found.ignored
    assert "ignored: mc (of the authors' cluster)" in found.text()
    assert "optimiser.steps_per_epoch = 225 updates: set it to the images divided by 4" in found.text()
    told = set(found.mapped) | set(found.ignored)
    assert len(told) == sum(len(one) if isinstance(one, dict) else 1 for one in README.values())


@pytest.mark.parametrize(
    ("changes", "path", "expected"),
    [
        ({"bcl_layer_choice": [1, 2, 4]}, "pdcr.encoder_samples", (128, 64, 8)),
        ({"layer_sample": [9, 8, 7, 6]}, "pdcr.decoder_samples", {"low": 7, "mid": 6}),
        ({"criterions": [["ce", 1], ["encoder_patchseries", 1]]}, "pdcr.weights_of_terms",
         Weights(encoder=1, decoder=0, cross=0)),
        ({"uncertainty_att_layerchoice": [0] * 11 + [1]}, "network.uafr.positions", ("decoder",)),
        ({"resize_option": "resize_after"}, "inference.resize", "after"),
        ({"mode": "sgd"}, "network.uafr.positions", DEFAULT_POSITIONS),
        ({"aug": False}, "augment", None),
        ({"use_larc": True}, "optimiser.larc", True),
    ],
)  # fmt: skip
def test_keys_become_settings(changes: dict[str, Any], path: str, expected: Any) -> None:
    found: Any = translated(changed(**changes)).settings
    for part in path.split("."):
        found = getattr(found, part)
    assert found == expected


def test_all_series_may_be_averaged_and_unknown_keys_are_told() -> None:
    keys = {f"similarityfirst_{term}": False for term in ("encoder", "decoder", "multi")}
    found = translated({**changed(**keys), "wings": 2})
    assert found.settings.pdcr.mode == "average"
    assert found.unknown == ["wings"]
    assert "unknown: wings" in found.text()


@pytest.mark.parametrize(
    "changes",
    [
        {"similarityfirst_encoder": False},
        {"patchnumber": 2},
        {"bcl_layer_choice": [2, 9]},
        {"criterions": [["ce", 1], ["byol", 1]]},
        {"criterions": 5},
        {"input_size": "large"},
        {"resize_option": "never"},
    ],
)
def test_configurations_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SegToolkitError) as caught:
        translated(changed(**changes))
    assert caught.value.code == "bad-configuration"


def test_a_file_is_read_as_yaml_or_json(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(README), encoding="utf-8")
    (tmp_path / "one.yaml").write_text(
        "epochs: 7\nmodel:\n  patchsize: [3]\n  patchnumber: 1\n", encoding="utf-8"
    )
    assert read_released(tmp_path / "one.json").settings == translated(README).settings
    found = read_released(tmp_path / "one.yaml").settings
    assert (found.optimiser.epochs, found.pdcr.patch_sizes) == (7, (3,))


@pytest.mark.parametrize(
    "values",
    [
        {"pdcr": {"encoder_samples": [3]}},
        {"pdcr": {"patch_weights": [1, 1]}},
        {"pdcr": {"cross_layers": [2], "cross_samples": [32]}},
        {"pdcr": {"cross_layers": [2, 2]}},
        {"network": {"cross_heads": [2]}},
        {"network": {"channels": 4}},
        {"augment": {"zoom": [1.2, 0.8]}},
        {"optimiser": {"batch": 1}},
        {"unheard": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PdcrUafrSettings.model_validate(values)


def test_variants_differ_in_what_they_are_called_after() -> None:
    on = {name: (bool(s.network.uafr.positions), s.pdcr.enabled) for name, (_, s) in VARIANTS.items()}
    assert on == {
        "baseline": (False, False),
        "uafr": (True, False),
        "rf-pdcr": (False, True),
        "h-pdcr": (False, True),
        "full": (True, True),
        "released": (True, True),
    }
    assert {name for name, (_, s) in VARIANTS.items() if s.input.intensity_scale == 1} == {"released"}
    for _, settings in VARIANTS.values():
        assert PdcrUafrSettings.model_validate(settings.model_dump(mode="json")) == settings
        # The layers of a variant must exist in its own images.
        pdcr_layers(settings.network, settings.pdcr, settings.input.size)


@pytest.mark.parametrize("module", ["settings", "presets", "schedule", "released", "nnunet_names"])
def test_settings_load_no_torch(module: str) -> None:
    code = f"import sys, SegToolkitLib.methods.pdcr_uafr.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"warm_up": 0, "final": 0}, [1, 0.75, 0.25]),
        ({"kind": "step", "warm_up": 1, "step_epochs": [2], "final": 0.3}, [0, 1, 1]),
        ({"kind": "exponential", "warm_up": 0, "decay": 0.5}, [1, 0.5, 0.25]),
        ({"warm_up": 0, "final": 0, "order": "released"}, [1, 1, 0.75]),
        ({"warm_up": 1, "final": 0}, [0, 1, 0.5]),
        ({"warm_up": 9}, None),
    ],
)
def test_rates_rise_and_fall(changes: dict[str, Any], expected: list[float] | None) -> None:
    settings = ScheduleSettings(**changes)
    per_epoch = 2 if settings.kind == "step" else 1
    found = rates(settings, 1.0, 3, per_epoch)
    assert len(found) == 3 * per_epoch
    if expected is None:
        assert found.tolist() == [0, 0.5, 1]
    else:
        assert found[: len(expected)].tolist() == pytest.approx(expected)
    if settings.kind == "step":
        assert found.tolist() == pytest.approx([0, 1, 1, 1, 0.3, 0.3])


def test_larc_scales_gradients_to_weights() -> None:
    weights, zero = nn.Parameter(torch.tensor([3.0, 4.0])), nn.Parameter(torch.zeros(2))
    settings = OptimiserSettings(name="sgd", larc=True, learning_rate=1, momentum=0, weight_decay=0.5)
    optimiser = build_optimiser([weights, zero], settings)
    assert optimiser.param_groups[0]["weight_decay"] == 0
    weights.grad, zero.grad = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0])
    scale_gradients(optimiser, settings.weight_decay)
    factor = 1e-3 * 5 / (2 + 0.5 * 5)
    torch.testing.assert_close(weights.grad, factor * torch.tensor([1.5, 4.0]))
    assert zero.grad.tolist() == [1, 0]


def test_a_step_learns_and_names_its_losses() -> None:
    size = (64, 96)
    plan = NetworkPlan(widths=SMALL, dropout=0, last_dropout=0, uafr_dropout=0)
    settings = PdcrSettings(margin=2, encoder_samples=(16, 16), cross_samples=(8, 8))
    network = build_network(plan, 2, seed=0).train()
    pdcr = PDCR(pdcr_layers(plan, settings, size), settings)
    optimiser = build_optimiser(network.parameters(), OptimiserSettings())
    masks = torch.zeros(2, *size, dtype=torch.long)
    masks[0, 10:40, 20:60] = 1
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)) + masks[:, None]
    generator = torch.Generator().manual_seed(0)
    totals = []
    for _ in range(6):
        step = training_step(network, images, masks, settings, pdcr, generator, (1.0, 2.0))
        assert list(step.losses) == ["cross_entropy", "encoder", "decoder", "cross"]
        parts = [0.1 * step.losses["encoder"], 0.01 * (step.losses["decoder"] + step.losses["cross"])]
        torch.testing.assert_close(step.total.detach(), step.losses["cross_entropy"] + sum(parts))
        assert not any(one.requires_grad for one in step.losses.values())
        optimiser.zero_grad()
        step.total.backward()
        optimiser.step()
        totals.append(step.total.item())
    assert totals[-1] < totals[0]
    plain = training_step(network, images, masks, settings)
    assert list(plain.losses) == ["cross_entropy"]
    assert plain.total.item() == plain.losses["cross_entropy"].item()


def test_classes_take_the_images_size() -> None:
    logits = torch.zeros(1, 2, 2, 2)
    logits[0, 1] = torch.tensor([[1.0, -3.0], [-3.0, -3.0]])
    first, after = (classes_at(logits, (6, 4), resize) for resize in ("first", "after"))
    assert first.shape == after.shape == (1, 6, 4)
    assert after[0].tolist() == [[1, 1, 0, 0]] * 3 + [[0] * 4] * 3
    # The strong background spreads where logits are interpolated.
    assert first.sum() < after.sum()
    assert first[0, 0, 0] == 1


def table(*rows: list[int]) -> Confusion:
    found = Confusion(len(rows))
    found.counts = np.array(rows, np.int64)
    return found


def test_scores_of_an_image_by_hand() -> None:
    found = ImageScores.of(table([6, 2], [1, 3]))
    assert found.foreground_dice == pytest.approx(6 / 9)
    assert found.foreground_iou == pytest.approx(3 / 6)
    assert found.all_class_dice == pytest.approx((12 / 15 + 6 / 9) / 2)
    assert found.all_class_iou == pytest.approx((6 / 9 + 3 / 6) / 2)
    assert found.accuracy == pytest.approx(9 / 12)


def test_empty_images_are_left_out_and_counted() -> None:
    tables = [table([6, 2], [1, 3]), table([9, 0], [0, 0]), table([5, 4], [0, 0])]
    found = score_table(tables)
    assert found.undefined["foreground_dice"] == 1
    assert found.macro["foreground_dice"].count == 2
    assert found.macro["foreground_dice"].mean == pytest.approx((6 / 9 + 0) / 2)
    assert found.undefined["accuracy"] == 0
    # The one that the release counts as 0.
    assert ImageScores.of(tables[1], "released").all_class_dice == 0.5
    assert math.isnan(ImageScores.of(tables[1], "released").foreground_iou)
    assert found.micro.foreground_dice == pytest.approx(2 * 3 / (4 + 9))
    rounded = score_table(tables[:1], decimals=1).macro["foreground_dice"]
    assert rounded.mean == 0.7
    assert score_table([]).macro["accuracy"].count == 0


class _Skip(nn.Module):
    def __init__(self, submodule: nn.Module) -> None:
        super().__init__()
        self.submodule = submodule

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.submodule(x)], dim=1)


class _UNet(nn.Module):
    """Stands in for MONAI's U-Net where that is not installed: the same names of parts, plain layers."""

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        channels: tuple[int, int, int],
        strides: tuple[int, int],
    ) -> None:
        super().__init__()
        assert spatial_dims == 2
        assert strides == (2, 2)
        a, b, c = channels
        inner = nn.Sequential(
            nn.Conv2d(a, b, 3, 2, padding=1),
            _Skip(nn.Conv2d(b, c, 3, padding=1)),
            nn.ConvTranspose2d(b + c, a, 2, 2),
        )
        first = nn.Conv2d(in_channels, a, 3, 2, padding=1)
        self.model = nn.Sequential(first, _Skip(inner), nn.ConvTranspose2d(2 * a, out_channels, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


def test_the_example_of_the_page_runs(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    if importlib.util.find_spec("monai") is None:
        nets = types.ModuleType("monai.networks.nets")
        nets.UNet = _UNet  # type: ignore[attr-defined]
        for name in ("monai", "monai.networks"):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        monkeypatch.setitem(sys.modules, "monai.networks.nets", nets)
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    scope: dict[str, Any] = {}
    exec(compile(code[1], str(PAGE), "exec"), scope)
    assert scope["history"][-1] < scope["history"][0]
    assert "'model.0.uafr': (2, 1, 32, 32)" in capsys.readouterr().out
