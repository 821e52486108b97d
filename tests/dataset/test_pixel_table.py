import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.dataset.pixel_table import OTHERS, RING, PixelSampler

IGNORE = 255
CLASSES = ("background", "kelp")


def patch(number, size=8, positive=(slice(2, 4), slice(2, 4))):
    """Band 0 names each pixel, so that a row of the table says where it came from."""
    x = (number * 1000 + np.arange(size * size, dtype=np.float32)).reshape(1, size, size)
    y = np.zeros((size, size), np.uint8)
    y[positive] = 1
    return x, y


def drawn(limit=10_000, ring=1, seed=0, patches=1, order=1, classes=CLASSES):
    sampler = PixelSampler(classes, 1, IGNORE, limit, ring, seed)
    for number in list(range(patches))[::order]:
        sampler.add(number, *patch(number))
    return sampler.table()


def test_all_pixels_are_kept_where_there_is_room():
    table = drawn()
    assert table.drawn == {"kelp": (4, 4), RING: (12, 12), OTHERS: (48, 48)}
    assert sorted(table.x[:, 0]) == list(range(64))
    assert sorted(table.x[table.y == 1, 0]) == [18, 19, 26, 27]
    assert (table.weight == 1).all()


def test_the_ring_is_a_square_dilation_of_the_foreground():
    assert drawn(ring=0).drawn[RING] == (0, 0)
    assert drawn(ring=2).drawn[RING] == (6 * 6 - 4, 6 * 6 - 4)
    table = drawn(ring=1)
    ring = {9, 10, 11, 12, 17, 20, 25, 28, 33, 34, 35, 36}
    assert set(table.x[4:16, 0].astype(int)) == ring


def test_ignored_pixels_and_what_is_no_class_are_left_out():
    sampler = PixelSampler(CLASSES, 1, IGNORE, 100, 1, 0)
    x, y = patch(0)
    y[0], y[7] = IGNORE, 7
    y[2, 2] = IGNORE
    sampler.add(0, x, y)
    table = sampler.table()
    assert set(table.y) == {0, 1}
    assert len(table.y) == 64 - 16 - 1
    assert table.drawn["kelp"] == (3, 3)


@settings(max_examples=40, deadline=None)
@given(limit=st.integers(1, 60), patches=st.integers(1, 6), seed=st.integers(0, 99))
def test_a_draw_is_bounded_without_repeats_and_weighs_as_much_as_there_is(limit, patches, seed):
    table = drawn(limit, seed=seed, patches=patches)
    assert len(set(table.x[:, 0])) == len(table.y)
    seen = sum(all_ for all_, _ in table.drawn.values())
    assert seen == 64 * patches
    for all_, kept in table.drawn.values():
        assert kept == min(all_, limit)
    scale = seen / table.weight.sum()
    assert (table.weight[table.y == 1] * scale).sum() == pytest.approx(4 * patches)
    assert table.weight.mean() == pytest.approx(1)


def test_the_draw_depends_on_the_seed_and_not_on_the_order():
    rows = [set(drawn(5, seed=s, patches=4, order=o).x[:, 0]) for s, o in ((0, 1), (0, -1), (1, 1))]
    assert rows[0] == rows[1] != rows[2]


def test_every_pixel_is_as_likely_as_any_other():
    counts = np.zeros(3000)
    for seed in range(300):
        sampler = PixelSampler(CLASSES, 1, IGNORE, 16, 0, seed)
        for number in range(3):
            x, _ = patch(number)
            sampler.add(number, x, np.zeros((8, 8), np.uint8))
        counts[sampler.table().x[:, 0].astype(int)] += 1
    found = np.concatenate([counts[k * 1000 : k * 1000 + 64] for k in range(3)])
    expected = 300 * 16 / 192
    assert abs(found.reshape(3, 64).mean(1) - expected).max() < 2  # 5 standard errors: late patches are no rarer
    assert found.max() < expected + 6 * expected**0.5


def test_memory_is_bounded():
    sampler = PixelSampler(CLASSES, 1, IGNORE, 50, 0, 0)
    held = []
    for number in range(40):
        sampler.add(number, *patch(number))
        stratum = sampler._strata[OTHERS]
        held.append(len(stratum._keys) + sum(len(part[0]) for part in stratum._waiting))
    assert max(held) <= 2 * 50 + 64


def test_no_pixels_give_an_empty_table():
    table = PixelSampler(("background", "a", "b"), 3, IGNORE, 5, 1, 0).table()
    assert table.x.shape == (0, 3)
    assert len(table.weight) == 0
    assert table.drawn == {"a": (0, 0), "b": (0, 0), RING: (0, 0), OTHERS: (0, 0)}
