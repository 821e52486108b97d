"""The usual augmentation, symmetries, blurs against a convolution, and that threads and blocks change no bit."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.models.cpu_threads import one_by_one
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.raster.band import Band
from darts_train.training.augmentation import patches as augmentation_patches
from darts_train.training.augmentation import pipeline as augmentation_pipeline
from darts_train.training.augmentation.pipeline import Pipeline
from darts_train.training.augmentation.symmetry import NONE, all_moved, followed_by, mirrored, moved, turned, upended
from darts_train.training.augmentation.usual import USUAL, has_missing_values, missing_values, step_seed

CPU = torch.device("cpu")
SYMMETRIES = list(itertools.product([False, True], repeat=3))
LIGHT_ALONE = USUAL[1:]


def bands(optical):
    return tuple(Band(f"b{i}", 1e-4, -0.1, 0.0, 1.0, flag) for i, flag in enumerate(optical))


def decode(x, part=slice(None), out=None):
    return torch.nan_to_num(x, 0.0, out=out)


def touched(x, optical, step=0, fill=0.0, texts=LIGHT_ALONE):
    def filled(x, part=slice(None), out=None):
        return torch.nan_to_num(x, fill, out=out)

    y = torch.zeros(len(x), *x.shape[-2:], dtype=torch.uint8)
    return Pipeline(texts, bands(optical), fill, 255)(x, y, filled, step_seed(0, step))[0]


def all_symmetries(t):
    turns = [torch.rot90(t, k, (-2, -1)) for k in range(4)]
    return [*turns, *(u.flip(-1) for u in turns)]


def codes_and_labels(n=64, c=3, size=8, seed=0):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (n, size, size), generator=g, dtype=torch.uint8)
    return torch.randint(0, 2**15, (n, c, size, size), generator=g, dtype=torch.int16), y


def plain(x, part=slice(None), out=None):
    return x.to(torch.float32) if out is None else out.copy_(x)


def test_image_and_labels_move_alike_and_no_value_changes():
    x, y = codes_and_labels()
    x[:, 0] = y.to(torch.int16)
    moved_x, moved_y = Pipeline(["D4"], bands([False] * 3), 0.0, 255)(x, y, plain, 1)
    assert moved_y.dtype == torch.uint8
    assert torch.equal(moved_x[:, 0], moved_y.to(torch.float32))
    for before, after in zip(x, moved_x, strict=True):
        assert any(torch.equal(after, candidate.to(torch.float32)) for candidate in all_symmetries(before))


@pytest.mark.parametrize(
    "texts", [["D4"], ["HorizontalFlip", "VerticalFlip", "RandomRotate90"], ["OneOf:p=1/D4"], ["Rotate:p=0", "D4"]]
)
def test_all_eight_symmetries_are_found(texts):
    y = torch.arange(16, dtype=torch.uint8).reshape(1, 4, 4).repeat(800, 1, 1)
    _, found_y = Pipeline(texts, bands([True]), 0.0, 255)(y[:, None].to(torch.int16), y, plain, 3)
    found = [sum(torch.equal(m, candidate) for m in found_y) for candidate in all_symmetries(y[0])]
    assert sum(found) == 800
    assert min(found) > 30


def test_d4_is_even():
    y = torch.arange(16, dtype=torch.uint8).reshape(1, 4, 4).repeat(1600, 1, 1)
    _, found_y = Pipeline(["D4"], bands([True]), 0.0, 255)(y[:, None].to(torch.int16), y, plain, 3)
    found = [sum(torch.equal(m, candidate) for m in found_y) for candidate in all_symmetries(y[0])]
    assert min(found) > 140  # 200 expected, standard deviation 13


@pytest.mark.parametrize("first", SYMMETRIES)
def test_symmetries_are_put_together(first):
    t = torch.arange(9).reshape(3, 3)
    done = moved(t, first)
    assert torch.equal(moved(t, mirrored(first)), done.flip(-1))
    assert torch.equal(moved(t, upended(first)), done.flip(-2))
    for quarters in range(4):
        assert torch.equal(moved(t, turned(first, quarters)), torch.rot90(done, quarters, (-2, -1)))
    for second in SYMMETRIES:
        assert torch.equal(moved(t, followed_by(first, second)), moved(done, second))
    assert moved(t, NONE) is t


def test_each_patch_has_its_own_symmetry():
    t = torch.arange(8 * 2 * 9).reshape(8, 2, 3, 3)
    assert torch.equal(all_moved(t, SYMMETRIES), torch.stack([moved(a, s) for a, s in zip(t, SYMMETRIES, strict=True)]))


def test_a_step_repeats_itself_and_others_differ():
    x, y = codes_and_labels(8)
    pipeline = Pipeline(USUAL, bands([True] * 3), 0.0, 255)
    found = [pipeline(x, y, lambda *a: plain(*a) / 2**15, step_seed(*at))[0] for at in [(1, 5), (1, 5), (1, 6), (2, 5)]]
    assert torch.equal(found[0], found[1])
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(found[1:], 2))


def test_patches_draw_for_themselves():
    x = torch.full((40, 1, 4, 4), 0.5)
    found = touched(x, [True])
    assert 2 <= sum(torch.equal(patch, x[0]) for patch in found) <= 20  # a quarter is touched by neither
    assert len({float(patch.mean()) for patch in found}) > 20


def test_bands_have_noise_of_their_own_however_they_are_divided(monkeypatch):
    x = torch.full((4, 3, 8, 8), 0.5)
    for block in (64, 2**20):
        monkeypatch.setattr(augmentation_patches, "_BLOCK", block)
        found = touched(x, [True] * 3, texts=["MultiplicativeNoise:p=1"])
        assert len({band.numpy().tobytes() for patch in found for band in patch}) == 12
        shared = touched(x, [True] * 3, texts=["MultiplicativeNoise:p=1:per_channel=false"])
        assert torch.equal(shared, shared[:, :1].expand_as(shared))
        assert (found / x).min() >= 0.9 - 1e-6
        assert (found / x).max() <= 1.1 + 1e-6
        assert (found / x).std() == pytest.approx(0.2 / 12**0.5, rel=0.1)


def test_blocks_are_neighbours_of_one_kind():
    kinds = augmentation_patches.Bands((True, True, True, False, True), None, 0.0, 255, None)
    assert kinds.blocks(None) == [slice(0, 3), slice(3, 4), slice(4, 5)]
    assert kinds.blocks(augmentation_patches._BLOCK // 2) == [slice(0, 2), slice(2, 3), slice(3, 4), slice(4, 5)]
    assert kinds.blocks(2**40) == [slice(i, i + 1) for i in range(5)]


def test_only_optical_bands_are_touched_and_stay_in_range():
    x = torch.rand(32, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    found = touched(x, [True, False, True], 1)
    assert torch.equal(found[:, 1], x[:, 1])
    assert not torch.equal(found[:, 0], x[:, 0])
    assert found.min() >= 0
    assert found.max() <= 1
    assert (found[:, 0] / x[:, 0]).log().abs().median() < 0.3


@pytest.mark.parametrize("fill", [0.0, -1.0])
def test_no_data_stays_no_data(fill):
    x = torch.rand(16, 2, 8, 8)
    missing = torch.rand(16, 2, 8, 8) < 0.3
    x[missing] = torch.nan
    assert (touched(x, [True, True], 2, fill)[missing] == fill).all()


def test_what_is_missing_in_codes_and_floats():
    assert missing_values(torch.tensor([-1, 0, 5], dtype=torch.int16)).tolist() == [True, False, False]
    assert missing_values(torch.tensor([float("nan"), 0.0])).tolist() == [True, False]
    for some in ([-1, 0, -2], [0, -2, 5], [-(2**15), 2**15 - 1]):
        assert has_missing_values(torch.tensor(some, dtype=torch.int16)) == (-1 in some)
    assert has_missing_values(torch.tensor([1.0, float("nan")]))
    assert not has_missing_values(torch.tensor([1.0, 3e38]))
    assert not has_missing_values(torch.empty(0))


def test_brightness_is_a_share_of_what_has_data():
    x = torch.full((64, 2, 4, 4), 0.2)
    x[:, 1] = 0.4
    x[..., 0] = torch.nan
    ratio = (touched(x, [True, True], 3) / x)[..., 1:]
    assert ratio.min() >= (1 - 0.2 - 0.2) * 0.9 - 1e-6
    assert ratio.max() <= (1 + 0.2 + 0.2) * 1.1 + 1e-6
    smooth = ratio.std(dim=(-2, -1)) < 1e-6  # patches without noise: both bands by the same factor
    both = smooth.all(dim=1)
    assert both.sum() > 5
    torch.testing.assert_close(ratio[both, 0].mean((-2, -1)), ratio[both, 1].mean((-2, -1)))


@given(side=st.integers(1, 13), half=st.integers(0, 3), gaps=st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_blur_is_the_mean_over_what_is_there(side, half, gaps):
    width = 2 * half + 1
    x = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(side))
    if gaps:
        x[:, 1, : side // 2] = torch.nan
    valid = (~x.isnan()).to(torch.float32)
    kernel = torch.ones(3, 1, width, width)
    sums, counts = (
        torch.nn.functional.conv2d(t, kernel, padding=half, groups=3) for t in (torch.nan_to_num(x, 0.0), valid)
    )
    expected = torch.where(valid > 0, sums / counts.clamp(min=1), 0.0)
    found = touched(x, [True] * 3, texts=[f"Blur:p=1:blur_limit={width}..{width}"])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("optical", [[True] * 3, [True, False, True], [False] * 3])
@pytest.mark.parametrize("gaps", ["none", "some", "all"])
@pytest.mark.parametrize("zeros", [None, torch.tensor([-0.5, 0.1, -2.0])[:, None, None]])
def test_threads_change_no_bit(optical, gaps, zeros, monkeypatch):
    layer = InputLayer(InputSpecification.from_set(bands(optical), None, 0.25))
    x, y = codes_and_labels(6, 3, 20, 7)
    if gaps != "none":
        x[::2, :, : 20 if gaps == "all" else 10] = -1
    pipeline = Pipeline([*USUAL, "Rotate"], bands(optical), 0.25, 255, zeros)
    found = []
    for worth in (0, 2**40):
        monkeypatch.setattr(augmentation_pipeline, "_WORTH_A_THREAD", worth)
        found.append(pipeline(x, y, layer, 5))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    first = pipeline(x[:1], y[:1], layer, 5)  # and a patch knows nothing of the others
    assert torch.equal(first[0][0], found[0][0][0])


def test_every_part_is_done_once_and_torch_keeps_its_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        done: list[int] = []
        one_by_one(done.append, list(range(9)), True)
        assert sorted(done) == list(range(9))
        assert torch.get_num_threads() == 2
        with pytest.raises(ZeroDivisionError):
            one_by_one(lambda i: 1 // i, [1, 0, 2], True)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
