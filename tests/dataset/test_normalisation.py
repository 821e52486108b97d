"""Statistics of the training patches against NumPy over all their pixels at once."""

import numpy as np
import pytest

from darts_train.dataset import normalisation
from darts_train.dataset.normalisation import training_numbers
from darts_train.dataset.reader import TrainData
from darts_train.raster.band import NODATA
from tests.support.sets import make_set


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("numbers") / "set"
    make_set(root, patches=6, size=16)
    return TrainData.open(root)


def test_numbers_are_those_of_all_valid_pixels_of_the_given_patches(data):
    rows = np.array([4, 0, 3])
    for channel, (band, found) in enumerate(zip(data.bands, training_numbers(data, rows), strict=True)):
        codes = np.stack([data.read(int(row))[0][channel] for row in rows])
        values = band.offset + band.scale * codes[codes != NODATA].astype(np.float64)
        assert found.valid == values.size
        expected = (values.mean(), values.std(), values.min(), values.max(), *np.percentile(values, (1, 99)))
        numbers = (found.mean, found.std, found.minimum, found.maximum, found.q01, found.q99)
        assert numbers == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_they_are_counted_once(data, monkeypatch):
    first = training_numbers(data, np.array([1, 2]))
    monkeypatch.setattr(TrainData, "read", lambda *_: pytest.fail("read again"))
    assert training_numbers(TrainData.open(data.root), np.array([2, 1])) is first


def test_other_rows_are_other_numbers_and_few_are_kept(data):
    assert training_numbers(data, np.array([0])) != training_numbers(data, np.array([1]))
    for start in range(6):
        for end in range(start + 1, 7):
            training_numbers(data, np.arange(start, end))
    assert len(normalisation._found) == normalisation._KEPT
