"""The focal loss against that of segmentation-models-pytorch, and where that one gives NaN."""

import pytest
import torch
from segmentation_models_pytorch.losses import FocalLoss as SmpFocalLoss
from segmentation_models_pytorch.losses._functional import softmax_focal_loss_with_logits

from darts_train.training.losses.focal import FocalLoss

IGNORE = 255


def example(channels, classes, seed=0):
    g = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, channels, 8, 8, generator=g)
    target = torch.randint(0, classes, (2, 8, 8), generator=g).to(torch.uint8)
    target[torch.rand(2, 8, 8, generator=g) < 0.2] = IGNORE
    return logits.requires_grad_(), target


@pytest.mark.parametrize("alpha", [None, 0.25, 1.0])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_binary_loss_and_gradient_equal_smp(alpha, gamma):
    logits, target = example(1, 2)
    ours = FocalLoss(2, alpha, gamma, IGNORE)(logits, target)
    (gradient,) = torch.autograd.grad(ours, logits)
    theirs = SmpFocalLoss("binary", alpha=alpha, gamma=gamma, ignore_index=IGNORE)(logits, target.long())
    (expected,) = torch.autograd.grad(theirs, logits)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-4)


def test_multiclass_loss_equals_the_softmax_form():
    logits, target = example(3, 3)
    valid = target != IGNORE
    pixels, labels = logits.movedim(1, -1)[valid], target[valid].long()
    expected = softmax_focal_loss_with_logits(pixels, labels, gamma=2.0)
    torch.testing.assert_close(FocalLoss(3, None, 2.0, IGNORE)(logits, target), expected)


@pytest.mark.parametrize("alpha", [None, 0.3])
def test_two_classes_give_the_same_number_in_either_form(alpha):
    logits, target = example(1, 2)
    softmax = FocalLoss(3, alpha, 2.0, IGNORE)  # the number only chooses the form
    both = torch.cat([torch.zeros_like(logits), logits], dim=1)
    torch.testing.assert_close(softmax(both, target), FocalLoss(2, alpha, 2.0, IGNORE)(logits, target))


@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 3)])
def test_a_batch_without_a_valid_pixel_gives_zero_with_a_gradient(channels, classes):
    logits, target = example(channels, classes)
    loss = FocalLoss(classes, 0.25, 2.0, IGNORE)(logits, torch.full_like(target, IGNORE))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_what_the_network_says_of_ignored_pixels_does_not_matter():
    logits, target = example(1, 2)
    loss = FocalLoss(2, None, 2.0, IGNORE)
    wild = logits.detach().clone()
    wild[:, 0][target == IGNORE] = float("inf")
    wild.requires_grad_()
    torch.testing.assert_close(loss(wild, target), loss(logits, target))
    loss(wild, target).backward()
    assert torch.isfinite(wild.grad[:, 0][target != IGNORE]).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 5.0])
@pytest.mark.parametrize("size", [40.0, 1e4])
def test_certainty_brings_no_nan(gamma, size):
    logits = torch.tensor([[[[size, -size, size, -size]]]], requires_grad=True)
    loss = FocalLoss(2, None, gamma, IGNORE)(logits, torch.tensor([[[1, 0, 0, 1]]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_half_precision_logits_are_judged_in_single():
    logits, target = example(1, 2)
    loss = FocalLoss(2, None, 2.0, IGNORE)(logits.to(torch.bfloat16), target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, FocalLoss(2, None, 2.0, IGNORE)(logits, target), rtol=0.02, atol=0.01)
