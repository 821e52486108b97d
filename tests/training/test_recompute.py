"""An encoder that is computed twice learns what it learns otherwise; a frozen one stays as it is."""

import copy

import pytest
import torch
from torch import nn

from darts_train.base.errors import UserError
from darts_train.models.factory import create_network
from darts_train.training.fit import explained
from darts_train.training.hardware.recompute import recompute_blocks
from darts_train.training.optimising.optimisers import set_frozen


def network(encoder="tu-lcnet_035"):
    torch.manual_seed(0)
    return create_network("Linknet", encoder, None, 2, 2)


def step(net):
    torch.manual_seed(1)  # dropout and dropped paths
    net(torch.rand(2, 2, 64, 64, generator=torch.Generator().manual_seed(2))).square().mean().backward()


def same_state(ours, theirs):
    return all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())


@pytest.mark.parametrize("encoder", ["tu-lcnet_035", "efficientnet-b0"])
def test_gradients_and_statistics_are_the_same(encoder):
    plain = network(encoder).train()
    twice = copy.deepcopy(plain)
    assert recompute_blocks(twice, encoder) >= 6
    assert twice.state_dict().keys() == plain.state_dict().keys()
    for net in (plain, twice):
        step(net)
        step(net)
    for ours, theirs in zip(plain.parameters(), twice.parameters(), strict=True):
        torch.testing.assert_close(theirs.grad, ours.grad)
    assert same_state(plain, twice)


def test_blocks_are_computed_twice_in_training_and_once_else():
    net = network().train()
    recompute_blocks(net, "x")
    block = next(module for module in net.modules() if hasattr(module.forward, "once"))
    inner, calls = next(module for module in block.modules() if isinstance(module, nn.Conv2d)), []
    inner.register_forward_hook(lambda *_: calls.append(1))
    step(net)
    assert len(calls) == 2
    with torch.no_grad():
        net(torch.rand(2, 2, 64, 64))
    net.eval()(torch.rand(1, 2, 64, 64))
    assert len(calls) == 4


class Overwriting(nn.Module):
    """A block that changes what it is given."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)

    def forward(self, x):
        return self.conv(x.mul_(2.0))


def test_encoders_that_cannot_are_refused():
    net = nn.Module()
    net.encoder = nn.Conv2d(2, 2, 1)
    with pytest.raises(UserError, match="--gradient-checkpointing: x has no blocks"):
        recompute_blocks(net, "x")
    net.encoder = nn.Module()
    net.encoder.layers = nn.Sequential(Overwriting(), Overwriting())
    recompute_blocks(net, "x")
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as error:
        net.encoder.layers(torch.rand(1, 2, 4, 4)).sum().backward()
    assert "--gradient-checkpointing" in str(explained(error.value, 4))


@pytest.mark.parametrize("recompute", [False, True])
def test_a_frozen_encoder_keeps_its_statistics(recompute):
    """Of a real network; the decoder learns on. Training mode is set as Lightning does, before the freezing."""
    net = network().train()
    if recompute:
        recompute_blocks(net, "x")
    set_frozen(net, True)
    norms = [module for module in net.encoder.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert net.decoder.training
    before = copy.deepcopy(net.encoder.state_dict())
    step(net)
    assert all(torch.equal(before[name], value) for name, value in net.encoder.state_dict().items())
    assert all(p.grad is None for p in net.encoder.parameters())
    assert all(p.grad is not None for p in net.decoder.parameters())
