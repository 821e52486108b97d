"""Losses by name against segmentation-models-pytorch, torch and scikit-learn, and what holds for every one of them."""

import math

import numpy as np
import pytest
import segmentation_models_pytorch.losses as smp
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import matthews_corrcoef

from darts_train.options.learning import Hyperparameters
from darts_train.training.losses.build import make_loss, recorded_loss, with_numbers
from darts_train.training.losses.terms import KINDS, SUMS

IGNORE = 255
EVERY = [(name, 2) for name in (*KINDS, *SUMS)] + [
    (name, 4) for name in (*KINDS, *SUMS) if name not in KINDS or not KINDS[name].binary_only
]


def example(classes, seed=0, ignored=0.2, size=3.0):
    g = torch.Generator().manual_seed(seed)
    logits = size * torch.randn(2, 1 if classes == 2 else classes, 6, 7, generator=g)
    target = torch.randint(0, classes, (2, 6, 7), generator=g).to(torch.uint8)
    target[torch.rand(2, 6, 7, generator=g) < ignored] = IGNORE
    return logits.requires_grad_(), target


def loss_of(name, classes, *options, **further):
    return make_loss(Hyperparameters(loss=name, loss_options=options or None, **further), classes, IGNORE)


def assert_equal(ours, theirs, logits, atol=1e-6):
    """Values and gradients."""
    torch.testing.assert_close(ours, theirs, atol=atol, rtol=1e-5)
    (gradient,), (expected,) = torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits)
    torch.testing.assert_close(gradient, expected, atol=atol, rtol=1e-4)


REGIONS = [
    ("dice", (), smp.DiceLoss, {}),
    ("dice", ("smooth=1",), smp.DiceLoss, {"smooth": 1.0}),
    ("jaccard", (), smp.JaccardLoss, {}),
    ("tversky", ("alpha=0.3", "beta=0.7"), smp.TverskyLoss, {"alpha": 0.3, "beta": 0.7}),
    ("focal-tversky", ("gamma=1.3",), smp.TverskyLoss, {"alpha": 0.3, "beta": 0.7, "gamma": 1.3}),
    ("lovasz", (), smp.LovaszLoss, {}),
]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(("name", "options", "kind", "arguments"), REGIONS)
def test_losses_of_regions_equal_smp(name, options, kind, arguments, classes):
    takes = kind is not smp.JaccardLoss  # it knows no ignored pixels
    logits, target = example(classes, ignored=0.2 if takes else 0.0)
    if kind is smp.TverskyLoss and classes > 2 and "gamma" in arguments:
        arguments = arguments | {"gamma": 1.0}  # smp takes the mean over classes before the power: see below
        options = ("gamma=1",)
    theirs = kind(
        "binary" if classes == 2 else "multiclass", **arguments, **({"ignore_index": IGNORE} if takes else {})
    )
    expected = theirs(logits, target[:, None].long() if classes == 2 else target.long())
    assert_equal(loss_of(name, classes, *options)(logits, target), expected, logits)


def test_focal_tversky_of_classes_is_the_mean_of_powers():
    logits, target = example(4)
    p, valid = logits.softmax(1), target != IGNORE
    losses = []
    for k in range(4):
        q, t = p[:, k][valid], (target[valid] == k).float()
        hit = (q * t).sum()
        losses.append((1 - hit / (hit + 0.3 * (q * (1 - t)).sum() + 0.7 * ((1 - q) * t).sum())) ** 0.75)
    assert_equal(loss_of("focal-tversky", 4)(logits, target), torch.stack(losses).mean(), logits)


def test_log_cosh_dice_is_that_of_dice():
    logits, target = example(2)
    assert_equal(loss_of("log-cosh-dice", 2)(logits, target), loss_of("dice", 2)(logits, target).cosh().log(), logits)


@pytest.mark.parametrize("classes", [2, 4])
def test_mcc_of_certain_predictions_is_that_of_scikit_learn(classes):
    logits, target = example(classes, size=1.0)
    hard = (logits[:, 0] > 0).long() if classes == 2 else logits.argmax(1)
    sure = 200.0 * (hard[:, None] * 2.0 - 1) if classes == 2 else 200.0 * F.one_hot(hard, classes).movedim(-1, 1)
    valid = (target != IGNORE).numpy()
    expected = matthews_corrcoef(target.numpy()[valid], hard.numpy()[valid])
    assert loss_of("mcc", classes)(sure, target).item() == pytest.approx(1 - expected, abs=1e-6)


def test_mcc_of_probabilities_is_that_of_smp():
    logits, target = example(2, ignored=0.0)
    expected = smp.MCCLoss(eps=1e-9)(logits.sigmoid(), target[:, None].float())
    assert_equal(loss_of("mcc", 2)(logits, target), expected, logits)


def test_a_handful_of_positives_has_an_exact_correlation():
    target = torch.zeros(1, 1024, 1024, dtype=torch.uint8)
    target[0, 0, :3] = 1
    sure = 200.0 * (target[:, None].float() * 2 - 1)
    assert loss_of("mcc", 2)(sure, target).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("pos_weight", [1.0, 3.5])
def test_bce_is_torchs(pos_weight):
    logits, target = example(2)
    valid = target != IGNORE
    expected = F.binary_cross_entropy_with_logits(
        logits[:, 0][valid], target[valid].float(), pos_weight=torch.tensor(pos_weight)
    )
    assert_equal(loss_of("bce", 2, f"pos_weight={pos_weight}")(logits, target), expected, logits)


def test_weighted_ce_is_torchs_and_of_two_classes_the_same_number():
    logits, target = example(4)
    expected = F.cross_entropy(logits, target.long(), torch.tensor([1.0, 2, 3, 0.5]), ignore_index=IGNORE)
    assert_equal(loss_of("ce", 4, class_weights="1,2,3,0.5")(logits, target), expected, logits)
    logits, target = example(2)
    both = torch.cat([torch.zeros_like(logits), logits], 1)
    expected = F.cross_entropy(both, target.long(), torch.tensor([1.0, 5.0]), ignore_index=IGNORE)
    assert_equal(loss_of("ce", 2, class_weights="1,5")(logits, target), expected, logits)


def test_soft_ce_is_torchs_and_of_two_classes_the_same_number():
    for classes in (2, 4):
        logits, target = example(classes)
        both = torch.cat([torch.zeros_like(logits), logits], 1) if classes == 2 else logits
        expected = F.cross_entropy(both, target.long(), ignore_index=IGNORE, label_smoothing=0.2)
        assert_equal(loss_of("soft-ce", classes, "smoothing=0.2")(logits, target), expected, logits)


def test_class_weights_weigh_the_mean_over_classes():
    logits, target = example(4)
    alone = loss_of("dice", 4, class_weights="0,0,1,0")(logits, target)
    label = torch.where(target == IGNORE, IGNORE, (target == 2).to(torch.uint8))
    one = smp.DiceLoss("binary", from_logits=False, ignore_index=IGNORE)(
        logits.softmax(1)[:, 2:3], label[:, None].long()
    )
    assert_equal(alone, one, logits)


def test_a_sum_is_the_sum_times_weights():
    logits, target = example(2)
    dice, focal = (loss_of(name, 2, focal_loss_alpha=0.3) for name in ("dice", "focal"))
    expected = 0.25 * dice(logits, target) + 2 * focal(logits, target)
    found = loss_of("dice:0.25+focal:2", 2, focal_loss_alpha=0.3)
    assert_equal(found(logits, target), expected, logits)
    total, pixels = found.total(logits, target)
    torch.testing.assert_close(total / pixels, expected)
    named = loss_of("focal-dice", 2)(logits, target)
    torch.testing.assert_close(named, loss_of("focal", 2)(logits, target) + dice(logits, target))


def test_the_default_is_the_focal_loss_itself():
    logits, target = example(2)
    ours, named = make_loss(Hyperparameters(), 2, IGNORE), loss_of("focal", 2, "gamma=2")
    assert type(ours).__name__ == "FocalLoss"
    assert torch.equal(ours(logits, target), named(logits, target))


@pytest.mark.parametrize(("name", "classes"), EVERY)
def test_a_batch_without_a_valid_pixel_gives_zero_joined_to_the_graph(name, classes):
    logits, target = example(classes)
    loss = loss_of(name, classes)(logits, torch.full_like(target, IGNORE))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("wild", [math.inf, -math.inf, math.nan, 1e30])
@pytest.mark.parametrize(("name", "classes"), EVERY)
def test_what_the_network_says_of_ignored_pixels_does_not_matter(name, classes, wild):
    logits, target = example(classes)
    loss = loss_of(name, classes)
    changed = torch.where((target == IGNORE)[:, None], wild, logits.detach()).requires_grad_()
    found = loss(changed, target)
    assert torch.equal(found, loss(logits, target))
    found.backward()
    assert torch.isfinite(changed.grad).all()
    assert not changed.grad.movedim(1, -1)[target == IGNORE].any()


@pytest.mark.parametrize(("name", "classes"), EVERY)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([0.0, 1.0, 40.0, 1e4]), present=st.booleans())
@settings(max_examples=5, deadline=None)
def test_losses_and_gradients_are_finite(name, classes, seed, size, present):
    """Also for certain networks, and where a batch has no foreground."""
    logits, target = example(classes, seed, size=size)
    if not present:
        target[target != IGNORE] = 0
    loss = loss_of(name, classes)(logits, target)
    loss.backward()
    assert torch.isfinite(loss)
    assert loss >= -1e-6
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(("name", "classes"), EVERY)
def test_a_step_down_the_gradient_lowers_the_loss(name, classes):
    logits, target = example(classes, size=1.0)
    loss = loss_of(name, classes)
    before = loss(logits, target)
    before.backward()
    assert loss(logits - 0.1 * logits.grad / logits.grad.norm(), target) < before


@pytest.mark.parametrize(("name", "classes"), EVERY)
def test_half_precision_logits_are_judged_in_single(name, classes):
    logits, target = example(classes)
    loss = loss_of(name, classes)(logits.to(torch.bfloat16), target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, loss_of(name, classes)(logits, target), rtol=0.03, atol=0.02)


def test_auto_becomes_numbers_of_the_training_pixels():
    chosen = Hyperparameters(loss="bce+dice", loss_options=("pos_weight=auto", "smooth=1"), class_weights=None)
    assert with_numbers(chosen, lambda: [900, 100]).loss_options == ("pos_weight=9", "smooth=1")
    assert with_numbers(chosen, lambda: [900, 0]).loss_options == ("pos_weight=1", "smooth=1")
    weighed = with_numbers(Hyperparameters(loss="ce", class_weights="auto"), lambda: [800, 200, 0])
    weights = np.array([float(w) for w in weighed.class_weights.split(",")])
    assert weights == pytest.approx([0.4, 1.6, 1.0])  # inverse to the pixels, mean 1; the absent class at 1
    plain = Hyperparameters()
    assert with_numbers(plain, lambda: 1 / 0) is plain  # nobody counts


def test_the_loss_of_an_earlier_run_is_made_from_what_it_left():
    logits, target = example(2)
    recorded = recorded_loss(
        {"loss": "bce", "loss_options": ["pos_weight=auto"], "learning_rate": 1},
        {"loss_options": ["pos_weight=4"]},
        2,
        IGNORE,
    )
    assert torch.equal(recorded(logits, target), loss_of("bce", 2, "pos_weight=4")(logits, target))
    older = recorded_loss({"focal_loss_alpha": 0.3}, None, 2, IGNORE)
    assert torch.equal(older(logits, target), loss_of("focal", 2, "alpha=0.3")(logits, target))
