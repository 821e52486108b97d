"""MixUp and CutMix: what is mixed with what, no data, draws; and a run that mixes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.splits import SplitIndices
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import make_model_config
from darts_train.options.learning import Hyperparameters
from darts_train.raster.band import Band
from darts_train.training.augmentation.usual import step_seed
from darts_train.training.loading.mixing import Mixed, Mixing, mixed_up, pasted, rectangles
from darts_train.training.losses.build import check_learning, make_loss
from darts_train.training.module import SegmentationModule
from darts_train.training.pictures.of_run import _augmentation
from darts_train.training.stopping.termination import Terminated
from tests.experiments.test_run_learning import stopped_at
from tests.support.runs import SMALL, learned_rows, run, weights_hash
from tests.support.sets import make_set

CPU = torch.device("cpu")
IGNORE, SIZE = 7, 12
NAN = torch.nan
SWAP = torch.tensor([1, 0])


def batch(n=4, bands=2, seed=0):
    """Every pixel tells its patch and place: x = 1000·patch + place in the first band, and so do labels."""
    place = torch.arange(SIZE * SIZE).view(SIZE, SIZE)
    x = (1000.0 * torch.arange(n).view(-1, 1, 1, 1) + place).repeat(1, bands, 1, 1)
    return x, torch.arange(n).view(-1, 1, 1).repeat(1, SIZE, SIZE) % IGNORE


def done(mixup, cutmix, step=0, n=4):
    x, y = batch(n)
    return Mixing(mixup, cutmix, IGNORE)(x, y, step_seed(1, step))


def kind(mixed):
    return "mixup" if mixed.other is not None else "cutmix"


@pytest.mark.parametrize("share", [0.7, 0.3])
def test_mixup_takes_the_larger_share_of_the_patch_itself(share):
    x = torch.tensor([1.0, 2.0]).view(2, 1, 1, 1)
    y = torch.tensor([0, 1]).view(2, 1, 1)
    mixed = mixed_up(x, y, SWAP, share, IGNORE)
    torch.testing.assert_close(mixed.x.flatten(), torch.tensor([1.3, 1.7]))
    assert (mixed.y.flatten().tolist(), mixed.other.flatten().tolist()) == ([0, 1], [1, 0])
    assert mixed.share == pytest.approx(0.3)


@given(share=st.floats(0, 1), order=st.permutations(range(4)))
@settings(max_examples=25, deadline=None)
def test_a_share_with_one_order_is_the_rest_with_its_inverse(share, order):
    """What the larger share being one's own rests on: the two batches are the same, in another order."""
    x, y = torch.rand(4, 1, 2, 2, generator=torch.Generator().manual_seed(3)), torch.arange(4).view(4, 1, 1)
    y = y.expand(4, 2, 2)
    rest = min(share, 1 - share)
    found = mixed_up(x, y, torch.tensor(order), share, IGNORE)
    plain = (1 - rest) * x + rest * x[torch.tensor(order)]
    torch.testing.assert_close(found.x, plain)
    inverse = torch.tensor(np.argsort(order))
    torch.testing.assert_close(rest * x + (1 - rest) * x[inverse], plain[inverse])


def test_no_data_of_either_is_no_data_and_labels_stay_where_something_is_seen():
    # Pixels: both seen; only the first; only the second; the second lacks a band; and is a gap in one band.
    first = torch.tensor([[1.0, 1, NAN, 1, 1], [1, 1, NAN, 1, 1]])
    second = torch.tensor([[3.0, NAN, 3, 3, 3], [3, NAN, 3, NAN, NAN]])
    x = torch.stack([first, second])[:, :, None]
    y = torch.tensor([[0, 0, IGNORE, 0, 0], [1, IGNORE, 1, 1, IGNORE]])[:, None]
    mixed = mixed_up(x, y, SWAP, 0.75, IGNORE)
    nan = math.nan
    expected = torch.tensor([[1.5, nan, nan, 1.5, 1.5], [1.5, nan, nan, nan, nan]])
    torch.testing.assert_close(mixed.x[0, :, 0], expected, equal_nan=True)
    assert mixed.y[0, 0].tolist() == [0, IGNORE, IGNORE, 0, IGNORE]
    assert mixed.other[0, 0].tolist() == [1, IGNORE, IGNORE, 1, IGNORE]
    assert mixed.y[1, 0].tolist() == [1, IGNORE, IGNORE, 1, IGNORE]
    assert mixed.other[1, 0].tolist() == [0, IGNORE, IGNORE, 0, IGNORE]


def test_an_unknown_label_does_not_hide_the_other():
    x, y = torch.rand(2, 1, 1, 1), torch.tensor([0, IGNORE]).view(2, 1, 1)
    mixed = mixed_up(x, y, SWAP, 0.6, IGNORE)
    assert (mixed.y.flatten().tolist(), mixed.other.flatten().tolist()) == ([0, IGNORE], [IGNORE, 0])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", ["focal", "bce:0.5+dice:0.5", "ce:0.5+lovasz"])
def test_losses_are_weighed_by_the_shares(name, classes):
    if classes == 3:
        name = name.replace("bce", "soft-ce")
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1 if classes == 2 else classes, 4, 4, generator=g, requires_grad=True)
    y, other = torch.randint(0, classes, (2, 2, 4, 4), generator=g)
    y[0, :2] = IGNORE
    loss = make_loss(Hyperparameters(loss=name), classes, IGNORE)
    found = Mixed(logits, y, other, 0.25).loss(loss, logits)
    torch.testing.assert_close(found, 0.75 * loss(logits, y) + 0.25 * loss(logits, other))
    nothing = torch.full_like(y, IGNORE)
    zero = Mixed(logits, nothing, nothing, 0.25).loss(loss, logits)
    zero.backward()
    assert zero.item() == 0
    assert logits.grad.eq(0).all()


@given(step=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_cutmix_moves_pixels_with_their_labels(step):
    mixed = done(0.0, 1.0, step)
    x, _ = batch()
    assert torch.equal(mixed.x[:, 0], mixed.x[:, 1])
    patch = (mixed.x[:, 0] // 1000).long()
    assert torch.equal(patch % IGNORE, mixed.y)
    assert torch.equal(mixed.x % 1000, x % 1000)  # every pixel stays at its place
    for row, owners in enumerate(patch):
        came = owners != row
        assert len(owners.unique()) <= 2
        if came.any():
            rows, columns = came.any(1).nonzero(), came.any(0).nonzero()
            height, width = (int(ends.max() - ends.min()) + 1 for ends in (rows, columns))
            assert int(came.sum()) == height * width  # a rectangle
            assert height == width


@given(share=st.floats(0, 1), height=st.integers(1, 300), width=st.integers(1, 300), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_a_rectangle_lies_inside_and_has_the_area_of_the_rest(share, height, width, seed):
    draws = np.random.default_rng(seed)
    top, bottom, left, right = (end[0] for end in rectangles(draws, np.array([share]), torch.Size([height, width])))
    assert 0 <= top <= bottom <= height
    assert 0 <= left <= right <= width
    side = math.sqrt(1 - share)
    assert abs(bottom - top - side * height) <= 0.5 + 1e-9
    assert abs(right - left - side * width) <= 0.5 + 1e-9


def test_what_is_cut_out_keeps_its_gaps():
    x, y = batch(2)
    x[1, 0, 3] = NAN
    y[1, 3] = IGNORE
    mixed = pasted(x, y, SWAP, [[2, 0], [6, 0], [1, 0], [5, 0]])
    gaps = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    gaps[3, 1:5] = True
    assert torch.equal(mixed.x[0, 0].isnan(), gaps)
    assert not mixed.x[0, 1].isnan().any()
    assert torch.equal(mixed.y[0] == IGNORE, gaps)
    assert torch.equal(mixed.x[1].nan_to_num(-1), x[1].nan_to_num(-1))


def test_draws_are_those_of_the_step():
    one, again, other = (done(0.4, 0.4, step) for step in (3, 3, 4))
    assert torch.equal(one.x, again.x)
    assert not torch.equal(one.x, other.x)


def test_both_on_is_one_or_the_other():
    kinds = [kind(done(0.4, 0.4, step)) for step in range(120)]
    assert 40 < kinds.count("mixup") < 80
    assert {kind(done(0.4, 0.0, step)) for step in range(20)} == {"mixup"}
    assert {kind(done(0.0, 0.4, step)) for step in range(20)} == {"cutmix"}


@pytest.mark.parametrize(("alpha", "mean"), [(0.2, 0.1124), (1.0, 0.25)])
def test_shares_are_drawn_from_a_beta_distribution(alpha, mean):
    """E min(λ, 1 - λ) is 1/4 for the uniform distribution; for alpha 0.2 by numerical integration."""
    shares = [done(alpha, 0.0, step).share for step in range(300)]
    assert np.mean(shares) == pytest.approx(mean, abs=0.035)
    assert max(shares) <= 0.5


def test_nothing_to_mix():
    x, y = batch()
    assert Mixing(0.0, 0.0, IGNORE)(x, y, step_seed(1, 0)).x is x
    assert done(0.4, 0.4, n=1).other is None
    assert done(0.4, 0.4, n=0).x.shape == (0, 2, SIZE, SIZE)
    for changes, option in (({"mixup": 0.1}, "--mixup"), ({"cutmix": 1.0}, "--cutmix")):
        with pytest.raises(UserError, match=f"{option} mixes the patches of a batch, and --batch-size is 1"):
            check_learning(Hyperparameters(batch_size=1, **changes), 2)
    with pytest.raises(UserError, match="--mixup: -1"):
        Hyperparameters(mixup=-1)


@pytest.mark.parametrize("fit", [None, ("resize", 64)])
@pytest.mark.parametrize("augment", [True, False])
@pytest.mark.parametrize(
    "recipe", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "augmentations": ["D4", "CoarseDropout"]}]
)
def test_a_value_that_equals_the_fill_is_not_no_data(recipe, augment, fit):
    """Codes of the lower end become 0, as no data does; mixed with 1 they are something between."""
    spec = InputSpecification(tuple(Band(f"b{i}", 1e-4, 0.0, 0.0, 1.0, False) for i in range(2)))
    config = make_model_config(SMALL["model_arch"], SMALL["model_encoder"], None, spec, ("b", "s"), 32, 255, fit=fit)
    module = SegmentationModule(config, augment=augment, recipe=recipe)
    codes = torch.zeros(2, 2, 32, 32, dtype=torch.int16)
    codes[1] = 10000
    codes[0, :, :8] = -1
    y = torch.zeros(2, 32, 32, dtype=torch.uint8)
    y[0, :8] = 255
    for step in range(9):
        mixed = module.step_input(codes, y, step_seed(1, step))
        gone = mixed.x.isnan() if fit else mixed.y[:, None].expand_as(mixed.x) == 255
        assert torch.equal(gone.all(1), mixed.y == 255)
        assert fit or mixed.x.isfinite().all()
        seen = mixed.x[~gone].unique()
        assert len(seen) == 2 or step
        if mixed.share:
            assert torch.equal(mixed.other == 255, mixed.y == 255)
            expected = {0.0, 1.0, mixed.share, 1 - mixed.share}
            assert all(min(abs(value - one) for one in expected) < 1e-5 for value in seen.tolist())


@pytest.mark.parametrize("recipe", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_the_sheet_of_augmentations_shows_it(tmp_path, recipe):
    make_set(tmp_path / "set", patches=4, size=32, nodata=True)
    data = TrainData.open(tmp_path / "set")
    spec = InputSpecification(tuple(data.bands))
    config = make_model_config(SMALL["model_arch"], SMALL["model_encoder"], None, spec, ("b", "s"), 32, 255)
    rows, none = np.arange(4), np.empty(0, np.int64)
    sheets = [
        _augmentation(data, SegmentationModule(config, augment=False, recipe=one), SplitIndices(rows, none, none), None)
        for one in (recipe, {})
    ]
    (mixed, labels, *_), (plain, *_) = (sheet.args for sheet in sheets)
    assert np.isfinite(mixed).all()
    assert labels.shape == mixed.shape[:2] + mixed.shape[3:]
    assert np.array_equal(mixed[:, 0], plain[:, 0])  # the patch as it is
    assert not np.array_equal(mixed[:, 1:], plain[:, 1:])


def test_a_run_that_mixes_goes_on_bit_for_bit(tmp_path, monkeypatch):
    root, last = tmp_path / "set", "checkpoints/last.ckpt"
    make_set(root, patches=10, size=32, nodata=True)
    h = {"batch_size": 2, "mixup": 0.4, "cutmix": 1.0, "accumulate_grad_batches": 2, "loss": "dice+focal"}
    t = {"max_epochs": 1, "log_every_n_steps": 1, "save_top_k": 0}
    run(root, tmp_path / "full", h=h, t=t)
    with monkeypatch.context() as patch:
        stopped_at(2, patch)
        with pytest.raises(Terminated):
            run(root, tmp_path / "cut", h=h, t=t)
    assert run(root, tmp_path / "cut", h=h, t=t).resumed
    assert weights_hash(tmp_path / "cut" / last) == weights_hash(tmp_path / "full" / last)
    assert learned_rows(tmp_path / "cut") == learned_rows(tmp_path / "full")
