"""Chosen augmentations: places, no data, other bands, draws, and what is refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.raster.band import Band
from darts_train.training.augmentation.pipeline import Pipeline
from darts_train.training.augmentation.registry import GROUPS, OPERATIONS
from darts_train.training.augmentation.text import parse_steps
from darts_train.training.augmentation.usual import step_seed

CPU = torch.device("cpu")
FILL, IGNORE, SIZE = -0.5, 7, 24
GEOMETRIC = ("HorizontalFlip", "VerticalFlip", "RandomRotate90", "D4", "Rotate", "Affine", "Perspective",
             "RandomResizedCrop")  # fmt: skip
ERASING = ("CoarseDropout", "BandDropout")
LIGHT = tuple(name for name in OPERATIONS if name not in GEOMETRIC + ERASING)
STRONG = {"Affine": ":scale=0.7..1.4:rotate=40:shear=15:translate_percent=0.2"}
NEUTRAL = (
    "Rotate:limit=0", "Affine", "Perspective:scale=0", "RandomResizedCrop:scale=1:ratio=1", "Blur:blur_limit=1..1",
    "MotionBlur:blur_limit=1..1", "GaussianBlur:sigma_limit=0..0", "HueSaturationValue:hue_shift_limit=0:"
    "sat_shift_limit=0:val_shift_limit=0", "RandomBrightnessContrast:brightness_limit=0:contrast_limit=0",
    "RandomGamma:gamma_limit=100", "MultiplicativeNoise:multiplier=1", "GaussNoise:std_range=0..0",
)  # fmt: skip


def bands(*names):
    return [Band(name, 1e-4, -0.1, -0.1, 0.5, name != "slope") for name in names]


COLOURS = bands("red", "slope", "green", "blue")


def batch(n=5, seed=0, gaps=True):
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 4, SIZE, SIZE, generator=g)
    if gaps:
        x[torch.rand(n, 4, 1, 1, generator=g).expand_as(x) * torch.rand(x.shape, generator=g) > 0.6] = torch.nan
    return x, torch.randint(0, 3, (n, SIZE, SIZE), generator=g, dtype=torch.uint8)


def decode(x, bands=slice(None), out=None):
    return torch.nan_to_num(x, FILL, out=out)


def done(texts, x, y, step=0, zeros=None, of=COLOURS):
    return Pipeline(texts, of, FILL, IGNORE, zeros)(x, y, decode, step_seed(1, step))


@pytest.mark.parametrize("name", GEOMETRIC)
@given(step=st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_bands_and_labels_go_to_the_same_places(name, step):
    """Two bands say where each pixel came from; the label there must be the label here."""
    place = torch.arange(SIZE, dtype=torch.float32)
    rows, columns = torch.meshgrid(place, place, indexing="ij")
    x = torch.stack([rows, columns]).expand(4, 2, SIZE, SIZE) / SIZE
    y = torch.randint(0, 5, (4, SIZE, SIZE), generator=torch.Generator().manual_seed(step), dtype=torch.uint8)
    found, labels = done([f"{name}:p=1{STRONG.get(name, '')}"], x, y, step, of=bands("a", "b"))
    gone = found[:, 0] == FILL
    assert torch.equal(gone, found[:, 1] == FILL)
    at = found * SIZE
    inside = ~gone & (at > 0.05).all(1) & (at < SIZE - 1.05).all(1)
    clear = inside & ((at - at.floor() - 0.5).abs() > 0.02).all(1)  # which of two pixels is nearer
    assert clear.float().mean() > 0.2
    nearest = (at.round().long().clamp(0, SIZE - 1)).unbind(1)
    came = torch.stack([one[r, c] for one, r, c in zip(y, *nearest, strict=True)])
    assert torch.equal(labels[clear], came[clear])
    assert (labels[gone] == IGNORE).float().mean() > 0.9 if gone.sum() > 50 else True


@pytest.mark.parametrize("zeros", [None, torch.full((4, 1, 1), -1.0)])
@pytest.mark.parametrize("name", LIGHT)
def test_light_changes_optical_bands_alone_and_leaves_no_data(name, zeros):
    x, y = batch()
    found, labels = done([f"{name}:p=1"], x, y, zeros=zeros)
    missing, before = x.isnan(), decode(x)
    assert (found[missing] == FILL).all()
    assert torch.equal(found[:, 1], before[:, 1])
    assert torch.equal(labels, y)
    assert found.isfinite().all()
    assert not torch.equal(found, before)
    if zeros is None:
        assert found[~missing].min() >= 0
        assert found[~missing].max() <= 1


@pytest.mark.parametrize("text", NEUTRAL)
@pytest.mark.parametrize("zeros", [None, torch.full((4, 1, 1), -1.0)])
def test_neutral_parameters_change_nothing(text, zeros):
    x, y = batch(gaps=not text.startswith(("Rotate", "Affine", "Perspective", "Random")))
    found, labels = done([f"{text}:p=1"], x, y, zeros=zeros)
    torch.testing.assert_close(found, decode(x), atol=2e-5, rtol=0)
    assert torch.equal(labels, y)


def test_what_comes_from_outside_is_no_data_and_ignored():
    x, y = batch(gaps=False)
    found, labels = done(["Affine:p=1:scale=0.5"], x, y)
    gone = (found == FILL).all(1)
    assert torch.equal(gone, labels == IGNORE)
    assert 0.7 < gone.float().mean() < 0.8


def test_no_data_is_not_mixed_into_its_neighbours():
    x = torch.full((3, 4, SIZE, SIZE), 0.5)
    x[..., 8:12] = torch.nan
    y = torch.zeros(3, SIZE, SIZE, dtype=torch.uint8)
    for name in ("Rotate", "Perspective", "RandomResizedCrop", "Blur", "MotionBlur", "GaussianBlur"):
        found, _ = done([f"{name}:p=1"], x, y)
        seen = found[found != FILL]
        torch.testing.assert_close(seen, torch.full_like(seen, 0.5))


def test_holes_and_lost_bands():
    x, y = batch(gaps=False)
    found, labels = done(["CoarseDropout:p=1:hole_height_range=4..4:hole_width_range=6..6:num_holes_range=1"], x, y)
    assert (labels == IGNORE).sum((1, 2)).tolist() == [24] * 5
    assert torch.equal((found == FILL).all(1), labels == IGNORE)
    kept = done(["CoarseDropout:p=1:ignore=false"], x, y)
    assert torch.equal(kept[1], y)
    assert (kept[0] == FILL).any()
    lost, _ = done(["BandDropout:p=1:num_bands_range=2"], x, y)
    assert (lost == FILL).all(-1).all(-1).sum(1).tolist() == [2] * 5


def test_a_step_repeats_itself_and_others_differ():
    texts = ["D4", "Rotate", "OneOf:p=1/Blur/GaussNoise", "CoarseDropout"]
    x, y = batch()
    first, again, other = (done(texts, x, y, step)[0] for step in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_chances_choose_patches():
    x, y = batch(400, gaps=False)
    changed = [not torch.equal(a, b) for a, b in zip(done(["RandomGamma:p=0.25"], x, y)[0], x, strict=True)]
    assert 70 < sum(changed) < 130
    assert torch.equal(done(["RandomGamma:p=0", "OneOf:p=0/Blur"], x, y)[0], x)
    found, _ = done(["OneOf:p=1/HorizontalFlip:p=0.9/(Sequential:p=0.1/VerticalFlip:p=1)"], x, y)
    mirrored = sum(torch.equal(a, b.flip(-1)) for a, b in zip(found, x, strict=True))
    upended = sum(torch.equal(a, b.flip(-2)) for a, b in zip(found, x, strict=True))
    assert mirrored + upended == 400
    assert 20 < upended < 65


def test_posterized_values_are_few():
    x, y = batch(gaps=False)
    assert len(done(["Posterize:num_bits=2"], x, y)[0][:, 0].unique()) == 4


def test_hue_of_red_turns_to_green():
    x = torch.zeros(1, 4, 2, 2)
    x[:, 0] = 1.0
    y = torch.zeros(1, 2, 2, dtype=torch.uint8)
    text = "HueSaturationValue:hue_shift_limit=60..60:sat_shift_limit=0:val_shift_limit=0:p=1"
    found, _ = done([text], x, y)
    torch.testing.assert_close(found[0, :, 0, 0], torch.tensor([0.0, 0.0, 1.0, 0.0]))


def test_precision_of_the_network_is_not_that_of_augmentation():
    x, y = batch()
    texts = ["Affine:p=1:scale=0.7..1.4:rotate=40", "Blur:p=1"]
    expected, labels = done(texts, x, y)
    with torch.autocast("cpu", torch.bfloat16):
        found, moved = done(texts, x, y)
    assert torch.equal(found, expected)
    assert torch.equal(moved, labels)


def test_empty_batches_pass():
    x, y = batch(0)
    assert done(list(map(str, OPERATIONS)), x, y)[0].shape == (0, 4, SIZE, SIZE)


@pytest.mark.parametrize("name", [*OPERATIONS, "OneOf:p=0.3/Blur/(Sequential/D4/Rotate:limit=-10..20:p=0.1)"])
def test_a_step_is_read_from_its_own_text(name):
    (step,) = parse_steps([name])
    assert parse_steps([str(step)]) == (step,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Rotat", "no augmentation 'Rotat'; nearest: Rotate"),
        ("Zzz", "there are HorizontalFlip"),
        ("Rotate:limits=3", "no parameter 'limits'; nearest: limit"),
        ("D4:x=3", "D4 has no parameter 'x'; it has p alone"),
        ("Rotate:limit", "'limit' is not name=value"),
        ("Rotate:limit=a", "limit: 'a' is not a number or two"),
        ("Rotate:limit=5..1", "the first end"),
        ("Rotate:limit=nan", "not a finite number"),
        ("Rotate:limit=1:limit=2", "given twice"),
        ("Rotate:p=2", "p: '2' must be at least 0 and at most 1"),
        ("Rotate:p=0..1", "not one number"),
        ("Blur:blur_limit=2.5", "not a whole number"),
        ("CoarseDropout:ignore=1.5", "not true or false"),
        ("OneOf", "OneOf needs members"),
        ("D4/Blur", "D4 takes no members"),
        ("OneOf/Blur:p=0", "a p above 0"),
        ("OneOf/(Blur", "brackets"),
        ("", "no augmentation ''"),
    ],
)
def test_what_cannot_be_is_refused(text, words):
    with pytest.raises(UserError) as error:
        parse_steps([text])
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_hue_needs_colours():
    with pytest.raises(UserError, match="needs the optical bands red, green and blue; there are nir"):
        Pipeline(["OneOf/HueSaturationValue"], bands("nir", "slope"), 0.0, 255)


def test_groups_and_operations_share_no_name():
    assert not set(OPERATIONS) & set(GROUPS)


def test_a_normal_curve_is_cut_off_where_a_side_is_given():
    x = torch.zeros(1, 4, SIZE, SIZE)
    x[..., SIZE // 2, SIZE // 2] = 1.0
    text = "GaussianBlur:sigma_limit=3..3:blur_limit=4..5:p=1"
    blurred, _ = done([text], x, torch.zeros(1, SIZE, SIZE, dtype=torch.uint8))
    line = blurred[0, 0, SIZE // 2]
    curve = torch.exp(-0.5 * (torch.arange(-2, 3) / 3.0) ** 2)
    curve /= curve.sum()
    assert torch.allclose(line[SIZE // 2 - 2 : SIZE // 2 + 3], curve * curve[2], atol=1e-6)
    assert line.count_nonzero() == 5
