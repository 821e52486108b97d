"""Schedules against those of torch, step by step, and what is refused."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler as of_torch

from darts_train.base.errors import UserError
from darts_train.options.learning import Hyperparameters
from darts_train.training.losses.build import check_learning, check_length
from darts_train.training.optimising.schedules import OPTIONS, Plateau, Position, Rate, Schedule, set_rate

EPOCHS, STEPS = 6, 5  # of an epoch


def schedule(name, *options, **further):
    settings = {"learning_rate": 0.1, "gamma": 0.8, "lr_scheduler": name, "lr_options": options or None, **further}
    return Schedule(Hyperparameters(**settings))


def ours(made, epochs=EPOCHS, steps=STEPS):
    total = epochs * steps
    return [made.at(Position(step // steps, step, steps, total)) for step in range(total)]


def theirs(make, per_epoch=False):
    """Learning rate and first beta at every step of torch's scheduler."""
    optimiser = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], 0.1)
    scheduler = make(optimiser)
    found = []
    for step in range(EPOCHS * STEPS):
        found.append(Rate(optimiser.param_groups[0]["lr"], optimiser.param_groups[0]["betas"][0]))
        optimiser.step()
        if step + 1 < EPOCHS * STEPS and (not per_epoch or (step + 1) % STEPS == 0):
            scheduler.step()
    return found


TORCH = [
    ("exponential", (), lambda o: of_torch.ExponentialLR(o, 0.8), True),
    ("none", (), lambda o: of_torch.ConstantLR(o, 1.0), True),
    ("cosine", ("min_lr=0.01",), lambda o: of_torch.CosineAnnealingLR(o, EPOCHS * STEPS, 0.01), False),
    (
        "cosine-restarts", ("first_epochs=1", "mult=2"),
        lambda o: of_torch.CosineAnnealingWarmRestarts(o, STEPS, 2), False,
    ),
    ("onecycle", (), lambda o: of_torch.OneCycleLR(o, 0.1, EPOCHS * STEPS), False),
    (
        "onecycle", ("pct_start=0.5", "div_factor=10", "final_div_factor=3"),
        lambda o: of_torch.OneCycleLR(o, 0.1, EPOCHS * STEPS, pct_start=0.5, div_factor=10, final_div_factor=3), False,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "make", "per_epoch"), TORCH)
def test_schedules_are_those_of_torch(name, options, make, per_epoch):
    found, expected = ours(schedule(name, *options)), theirs(make, per_epoch)
    assert [rate.lr for rate in found] == pytest.approx([rate.lr for rate in expected], rel=1e-9)
    if name == "onecycle":
        assert [rate.momentum for rate in found] == pytest.approx([rate.momentum for rate in expected])


def test_warm_up_rises_in_a_line_and_falls_along_a_cosine():
    rates = [rate.lr for rate in ours(schedule("warmup-cosine", "warmup_epochs=2", "min_lr=0.02"))]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) / 10 for step in range(10)])
    half = [0.02 + 0.08 * (1 + math.cos(math.pi * step / 20)) / 2 for step in range(20)]
    assert rates[10:] == pytest.approx(half)
    assert ours(schedule("warmup-cosine", "warmup_steps=10", "min_lr=0.02")) == [Rate(rate) for rate in rates]


def test_a_plateau_is_that_of_torch():
    scores = [0.1, 0.2, 0.2, 0.19, 0.20001, 0.21, 0.1, 0.1, 0.1, 0.1, 0.1, 0.22, 0.0, 0.0]
    made = schedule("plateau", "patience=1", "factor=0.1", "min_lr=1e-3")
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    reference = of_torch.ReduceLROnPlateau(optimiser, "max", 0.1, 1, 1e-4, min_lr=1e-3, eps=0)
    for score in scores:
        made.plateau.judge(score)
        reference.step(score)
        assert made.at(Position(0, 0, 1, 1)).lr == pytest.approx(optimiser.param_groups[0]["lr"])


def test_a_plateau_remembers_in_plain_types():
    first, second = Plateau(1, 1e-4), Plateau(1, 1e-4)
    for score in (0.5, 0.4, 0.4):
        first.judge(score)
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == first.state_dict()
    assert second.reductions == 1


@given(
    name=st.sampled_from([name for name in OPTIONS if name != "plateau"]),
    epochs=st.integers(1, 30),
    steps=st.integers(1, 20),
)
@settings(max_examples=40, deadline=None)
def test_rates_are_within_their_limits_however_short_a_run(name, epochs, steps):
    rates = [rate.lr for rate in ours(schedule(name), epochs, steps)]
    assert all(0 <= rate <= 0.1 * (1 + 1e-12) for rate in rates)
    assert rates[0] > 0


def test_a_rate_of_its_own_while_weights_are_averaged():
    rates = [rate.lr for rate in ours(schedule("cosine", swa_start_epoch=4, swa_lr=0.03))]
    assert rates[: 4 * STEPS] == [rate.lr for rate in ours(schedule("cosine"))][: 4 * STEPS]
    assert set(rates[4 * STEPS :]) == {0.03}


def test_groups_get_their_share_of_the_rate():
    groups = [{"lr": 1.0, "betas": (0.9, 0.99)}, {"lr": 1.0, "lr_scale": 0.5, "momentum": 0.9}]
    set_rate(groups, Rate(0.2))
    assert groups == [{"lr": 0.2, "betas": (0.9, 0.99)}, {"lr": 0.1, "lr_scale": 0.5, "momentum": 0.9}]
    set_rate(groups, Rate(0.2, 0.8))
    assert (groups[0]["betas"], groups[1]["momentum"]) == ((0.8, 0.99), 0.8)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cosine", ("min_lrr=0",), r"cosine has no option 'min_lrr'.*min_lr"),
        ("exponential", ("factor=0.5",), "it has none"),
        ("cosine", ("min_lr",), "not name=value"),
        ("cosine", ("min_lr=low",), "'low' is not a number"),
        ("cosine", ("min_lr=-1",), "a number from 0"),
        ("cosine", ("min_lr=0.5",), "above --learning-rate"),
        ("cosine", ("min_lr=0", "min_lr=0"), "given twice"),
        ("cosine-restarts", ("first_epochs=1.5",), "a whole number from 1"),
        ("cosine-restarts", ("mult=0",), "a whole number from 1"),
        ("warmup-cosine", ("warmup_epochs=1", "warmup_steps=3"), "exclude each other"),
        ("onecycle", ("pct_start=2",), "from 0 to 1"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(name, options, message):
    with pytest.raises(UserError, match=message) as error:
        schedule(name, *options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"betas": "0.9"}, "--betas: '0.9' is not two numbers"),
        ({"betas": "0.9,1"}, "at least 0 and below 1"),
        ({"ema_decay": 0.9, "swa_start_epoch": 1}, "exclude each other"),
        ({"swa_lr": 0.1}, "no effect without --swa-start-epoch"),
        ({"loss": "focl"}, "nearest: focal"),
        ({"lr_options": ("x=1",)}, "exponential has no option 'x'"),
    ],
)
def test_everything_is_looked_at_before_training(options, message):
    with pytest.raises(UserError, match=message):
        check_learning(Hyperparameters(**options), 2)


def test_an_average_must_begin_before_the_run_ends():
    check_length(Hyperparameters(swa_start_epoch=4), 5)
    check_length(Hyperparameters(), 1)
    with pytest.raises(UserError, match="must be below --max-epochs, 5"):
        check_length(Hyperparameters(swa_start_epoch=5), 5)
