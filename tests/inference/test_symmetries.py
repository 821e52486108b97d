"""Test-time augmentation: eight symmetries, each undone, merged as probabilities."""

import numpy as np
import pytest

from darts_train.inference.windows.symmetries import SETS, applied, augmented, undone

CODES = np.random.default_rng(0).integers(0, 9000, (2, 3, 5, 8), np.uint16)


def test_there_are_eight_symmetries_and_no_ninth():
    image = np.arange(9, dtype=np.uint16).reshape(3, 3)
    seen = {applied(image, *one).tobytes() for one in SETS["d4"]}
    assert len(SETS["d4"]) == len(seen) == 8
    flips = {applied(image, *one).tobytes() for one in SETS["flips"]}
    assert flips == {image.tobytes(), image[:, ::-1].tobytes(), image[::-1].tobytes(), image[::-1, ::-1].tobytes()}


@pytest.mark.parametrize("one", SETS["d4"])
def test_each_is_undone(one):
    turned = applied(CODES, *one)
    assert turned.shape[-2:] == ((5, 8) if one[0] % 2 == 0 else (8, 5))
    np.testing.assert_array_equal(undone(turned.astype(np.float32), *one), CODES.astype(np.float32))


def leaning(channels):
    """Probabilities that depend on the way up: a gradient over the rows, and what the pixel is."""

    def probabilities(codes):
        height = codes.shape[2]
        rows = np.linspace(0.1, 1.0, height, dtype=np.float32)[:, None]
        raw = [rows * (1 + codes[:, i] / 9000) / 2.2 for i in range(channels)]
        stacked = np.stack(raw, axis=1).astype(np.float32)
        return stacked if channels == 1 else stacked / stacked.sum(axis=1, keepdims=True)

    return probabilities


def all_eight(channels):
    run = leaning(channels)
    return np.stack([undone(run(np.ascontiguousarray(applied(CODES, *one))), *one) for one in SETS["d4"]])


@pytest.mark.parametrize(
    ("merge", "expected"),
    [
        ("mean", lambda x: x.mean(axis=0)),
        ("max", lambda x: x.max(axis=0)),
        ("min", lambda x: x.min(axis=0)),
        ("gmean", lambda x: np.prod(x.astype(np.float64), axis=0) ** (1 / 8)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_merges_are_of_probabilities(merge, expected, channels):
    wanted = expected(all_eight(channels))
    if channels > 1:
        wanted = wanted / wanted.sum(axis=1, keepdims=True)
    found = augmented(leaning(channels), CODES, "d4", merge)
    assert found.dtype == np.float32
    assert found.shape == (2, channels, 5, 8)
    np.testing.assert_allclose(found, wanted, rtol=2e-6)


@pytest.mark.parametrize("merge", ["mean", "max", "min", "gmean"])
def test_the_result_turns_with_the_image(merge):
    run = leaning(1)
    here = augmented(run, CODES, "d4", merge)
    for one in SETS["d4"]:
        turned = augmented(run, np.ascontiguousarray(applied(CODES, *one)), "d4", merge)
        np.testing.assert_allclose(undone(turned, *one), here, rtol=2e-6)


def test_a_geometric_mean_with_nothing_is_nothing_and_no_warning():
    def certain(codes):
        return (codes[:, :1] > 4000).astype(np.float32)

    with np.errstate(all="raise"):
        found = augmented(certain, CODES, "d4", "gmean")
    np.testing.assert_array_equal(found, certain(CODES))


def test_without_augmentation_there_is_one_pass():
    passes = []
    run = leaning(1)
    augmented(lambda codes: passes.append(1) or run(codes), CODES, "none", "gmean")
    augmented(lambda codes: passes.append(1) or run(codes), CODES, "flips", "gmean")
    assert len(passes) == 1 + 4
