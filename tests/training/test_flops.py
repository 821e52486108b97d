"""Operations are counted as by hand, cards are known by their names, and a share is a share."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from darts_train.training import health
from darts_train.training.hardware.flops import device_peak, patch_flops, training_flops, utilisation
from darts_train.training.hardware.peaks import peak_flops
from darts_train.training.hardware.recompute import recompute_blocks
from darts_train.training.health import EpochHealth
from darts_train.training.module import SegmentationModule
from darts_train.training.names import MFU, SAMPLES_PER_SECOND
from tests.training.test_module import config


@pytest.mark.parametrize(
    ("name", "precision", "tera"),
    [
        ("NVIDIA H200", "bf16-mixed", 989.4),
        ("NVIDIA H200", "32", 494.7),
        ("NVIDIA H100 80GB HBM3", "16-mixed", 989.4),
        ("NVIDIA H100 PCIe", "bf16-mixed", 756.5),
        ("NVIDIA A100-SXM4-40GB", "bf16-mixed", 312.0),
        ("NVIDIA A100 80GB PCIe", "32", 156.0),
        ("NVIDIA L40S", "bf16-mixed", 362.05),
        ("NVIDIA L4", "bf16-mixed", 121.0),
        ("Tesla V100-SXM2-16GB", "16-mixed", 125.0),
        ("Tesla V100-SXM2-16GB", "bf16-mixed", None),
        ("Tesla T4", "32", 8.1),
        ("NVIDIA GeForce RTX 3090", "bf16-mixed", 71.0),
        ("NVIDIA GeForce RTX 3090 Ti", "bf16-mixed", None),
        ("NVIDIA GeForce RTX 4090", "bf16-mixed", 165.2),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bf16-mixed", None),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "bf16-mixed", None),
        ("Quantum 9", "32", None),
    ],
)
def test_the_peak_of_a_card_is_that_of_its_name(name, precision, tera):
    assert peak_flops(name, precision) == (None if tera is None else pytest.approx(tera * 1e12))


def test_operations_are_counted_as_by_hand():
    """Of a convolution: two per weight and output pixel, and again for the gradients of its weights and its input."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 1))
    first, second = 2 * 3 * 8 * 9 * 16**2, 2 * 8 * 2 * 16**2
    assert training_flops(network, 3, 16) == 2 * first + 3 * second  # nobody asks for the gradient of a patch
    network[:2].requires_grad_(False)
    assert training_flops(network, 3, 16) == first + 2 * second  # nor for that of what is frozen and before it
    assert all(parameter.device.type == "cpu" for parameter in network.parameters())
    assert network.training


def test_what_cannot_be_counted_is_unknown():
    class Asks(nn.Module):
        def forward(self, x):
            return x * float(x.sum())

    assert training_flops(Asks(), 1, 8) is None


def test_a_network_is_counted_for_its_patch_and_once_where_blocks_are_computed_twice():
    module = SegmentationModule(config())
    found = patch_flops(module)
    assert found > 1e6
    recompute_blocks(module.model, "x")
    assert patch_flops(module) == found


def test_a_share_is_of_the_peak_and_unknown_without_it():
    assert utilisation(100.0, 2e12, 1e15) == pytest.approx(0.2)
    assert utilisation(100.0, None, 1e15) is None
    assert utilisation(100.0, 2e12, None) is None
    assert device_peak(torch.device("cpu"), "32") is None


def test_an_epoch_has_it_where_the_peak_is_known(monkeypatch):
    monkeypatch.setattr(health, "device_peak", lambda device, precision: {"32": 1e9}[precision])
    monkeypatch.setattr(health, "patch_flops", lambda module: 1e6)
    watch, network = EpochHealth(), nn.Conv2d(1, 1, 1)
    module = SimpleNamespace(model=network)
    trainer = SimpleNamespace(
        train_dataloader=[],
        current_epoch=0,
        precision="32-true",
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )
    watch.on_train_start(trainer, module)
    watch.on_train_batch_end(trainer, module, None, {"y": torch.zeros(4)}, 0)
    watch.on_train_epoch_end(trainer, module)
    assert module.health[MFU] == pytest.approx(module.health[SAMPLES_PER_SECOND] * 1e-3)
