"""Optimisers, groups of parameters, averages of weights; on networks of a few numbers."""

import copy

import pytest
import torch
from torch import nn

from darts_train.options.learning import Hyperparameters
from darts_train.training.optimising.averaging import TRAINED, AveragedWeights, restore_trained
from darts_train.training.optimising.optimisers import SCALE, layer_scales, make_optimiser, parameter_groups, set_frozen


class Net(nn.Module):
    """An encoder of a stem and two blocks, and a head."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.conv1 = nn.Conv2d(1, 2, 1)
        self.encoder.bn1 = nn.BatchNorm2d(2)
        self.encoder.layer1 = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
        self.head = nn.Conv2d(2, 1, 1)

    def forward(self, x):
        return self.head(self.encoder.layer1(self.encoder.bn1(self.encoder.conv1(x))))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


def steps(network, optimiser, count=3):
    g = torch.Generator().manual_seed(1)
    for _ in range(count):
        optimiser.zero_grad()
        network(torch.randn(3, 1, 2, 2, generator=g)).square().mean().backward()
        optimiser.step()


TORCH = [
    ({}, lambda p: torch.optim.AdamW(p, 1e-3)),
    ({"weight_decay": 0.3, "betas": "0.5,0.9"}, lambda p: torch.optim.AdamW(p, 1e-3, (0.5, 0.9), weight_decay=0.3)),
    ({"optimizer": "adam"}, lambda p: torch.optim.Adam(p, 1e-3)),
    ({"optimizer": "adam", "weight_decay": 0.1}, lambda p: torch.optim.Adam(p, 1e-3, weight_decay=0.1)),
    ({"optimizer": "sgd", "momentum": 0.5}, lambda p: torch.optim.SGD(p, 1e-3, 0.5)),
    ({"optimizer": "sgd", "weight_decay": 0.1}, lambda p: torch.optim.SGD(p, 1e-3, 0.9, weight_decay=0.1)),
]


@pytest.mark.parametrize(("options", "make"), TORCH)
def test_optimisers_are_those_of_torch_with_their_defaults(net, options, make):
    other = copy.deepcopy(net)
    steps(net, make_optimiser(net, Hyperparameters(**options)))
    steps(other, make(other.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))


def test_norms_and_biases_are_not_decayed_where_that_is_asked_for(net):
    optimiser = make_optimiser(net, Hyperparameters(decay_norms=False, weight_decay=0.2))
    names = {id(p): name for name, p in net.named_parameters()}
    decayed = {names[id(p)] for group in optimiser.param_groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {"encoder.conv1.weight", "encoder.layer1.0.weight", "head.weight"}
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(names)
    assert {group["weight_decay"] for group in optimiser.param_groups} == {0.0, 0.2}


def test_early_layers_learn_slower(net):
    scales = layer_scales(net, 0.5)
    assert scales["head.weight"] == scales["head.bias"] == 1
    assert scales["encoder.layer1.0.weight"] == 0.5
    assert scales["encoder.conv1.weight"] == scales["encoder.bn1.weight"] == 0.25
    groups = parameter_groups(net, Hyperparameters(layer_decay=0.5))
    assert [group[SCALE] for group in groups] == [0.25, 0.5, 1.0]
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters()))


def test_a_frozen_encoder_stays_as_it_is_and_learns_again(net):
    optimiser = make_optimiser(net, Hyperparameters())
    before = copy.deepcopy(net.encoder.state_dict())
    set_frozen(net, True)
    steps(net, optimiser)
    after = net.encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)  # statistics of normalisation, too
    set_frozen(net, False)
    steps(net, optimiser)
    after = net.encoder.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before)


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_a_moving_average_is_that_of_its_formula(net):
    average = AveragedWeights(net, 0.5)
    average.begin()
    optimiser = make_optimiser(net, Hyperparameters(learning_rate=0.1))
    expected = weights(net)
    for n in range(6):
        steps(net, optimiser, 1)
        average.update()
        d = min(0.5, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * weights(net)
    trained = weights(net)
    average.swap()
    torch.testing.assert_close(weights(net), expected)
    assert net.encoder.bn1.num_batches_tracked == 6
    average.swap()
    assert torch.equal(weights(net), trained)


def test_an_equal_average_is_the_mean_of_its_updates_and_begins_with_the_first(net):
    average = AveragedWeights(net, None)
    average.begin()
    optimiser = make_optimiser(net, Hyperparameters(learning_rate=0.1))
    before = weights(net)
    average.swap()
    assert torch.equal(weights(net), before)
    checkpoint = {"state_dict": {f"model.{name}": value for name, value in net.state_dict().items()}}
    average.save(checkpoint, "model.")
    assert TRAINED not in checkpoint
    taken = []
    for _ in range(4):
        steps(net, optimiser, 2)
        average.update()
        taken.append(weights(net))
    average.swap()
    torch.testing.assert_close(weights(net), torch.stack(taken).mean(0))


def test_a_checkpoint_holds_the_average_and_goes_on_with_the_weights(net):
    average = AveragedWeights(net, 0.9)
    average.begin()
    steps(net, make_optimiser(net, Hyperparameters(learning_rate=0.1)))
    average.update()
    plain = {f"model.{name}": value.clone() for name, value in net.state_dict().items()}
    checkpoint = {"state_dict": plain}
    average.save(checkpoint, "model.")
    held = checkpoint["state_dict"]
    assert held.keys() == plain.keys()
    assert not torch.equal(held["model.head.weight"], plain["model.head.weight"])

    other = AveragedWeights(Net(), 0.9)
    other.load(checkpoint, "model.")
    restore_trained(checkpoint)
    assert checkpoint["state_dict"] is plain
    assert other.updates == 1
    assert all(torch.equal(value, average.average[name]) for name, value in other.average.items())
    other.load({"state_dict": plain}, "model.")  # of a run without an average
    restore_trained({"state_dict": plain})
