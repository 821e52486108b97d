"""Components over strips are those of the whole array, however it is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from darts_train.raster.components import StripComponents, Tally, label_strip, with_rows_around

arrays = st.tuples(
    st.integers(0, 2**32 - 1), st.integers(1, 14), st.integers(1, 14), st.integers(1, 3), st.floats(0.2, 0.8)
)


def drawn(seed, height, width, keys, share):
    rng = np.random.default_rng(seed)
    return (rng.integers(1, keys + 1, (height, width)) * (rng.random((height, width)) < share)).astype(np.uint8)


def cut(array, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(array) - 1)))))
    return [part for part in np.split(array, cuts) if len(part)]


@pytest.mark.parametrize("connectivity", [4, 8])
@settings(max_examples=20, deadline=None)
@given(of=arrays, data=st.data())
def test_components_of_strips_are_those_of_the_array(connectivity, of, data):
    array = drawn(*of)
    parts = cut(array, data)
    found, sizes = StripComponents(connectivity), Tally()
    for part in parts:
        sizes.add(found.add(part).ravel())
    ours = np.concatenate([found.of(i, part) for i, part in enumerate(parts)])
    whole, count = label_strip(array, connectivity)
    assert ours.max(initial=0) == count
    pairs = np.unique(np.stack([ours.ravel(), whole.ravel()]), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
    measured = sizes.of_components(found.component())[:, 0]
    assert np.array_equal(measured[1:], np.bincount(ours.ravel(), minlength=count + 1)[1:])


def test_a_strip_is_labelled_key_by_key():
    keys = np.array([[1, 1, 2], [0, 2, 1]], np.uint8)
    labels, count = label_strip(keys, 8)
    assert count == 2 + 0
    one = ndimage.label(keys == 1, np.ones((3, 3)))[0]
    assert labels[0, 0] == labels[0, 1] == labels[1, 2]
    assert labels[0, 2] == labels[1, 1] != labels[0, 0]
    assert one.max() == 1
    assert label_strip(keys, 4)[1] == 4


def test_nothing_has_no_component():
    found = StripComponents()
    assert not found.add(np.zeros((3, 4), np.uint8)).any()
    assert found.component().tolist() == [0]


def test_a_weighted_tally():
    tally = Tally(2, np.float64)
    tally.add(np.array([0, 2, 2, 3]), 1, np.array([9.0, 0.25, 0.5, 1.0]))
    assert tally.of_components(np.array([0, 1, 1, 2]))[:, 1].tolist() == [0, 0.75, 1.0]


def test_rows_around():
    strips = [np.full((1, 2), i, np.uint8) for i in (1, 2, 3)]
    frames = dict(with_rows_around(iter(strips), 9))
    assert [frame[:, 0].tolist() for frame in frames.values()] == [[9, 1, 2], [1, 2, 3], [2, 3, 9]]
    assert list(with_rows_around(iter([]), 9)) == []
