"""The five normalisations of the kelp group, written out by hand, of stored and of derived bands.

Theirs add 1e-6 or so to each denominator, and take means of the quantiles of tiles; here quantiles are those of all
valid training pixels.
"""

import numpy as np
import pytest
import torch

from darts_train.dataset.band_numbers import BandNumbers
from darts_train.dataset.normalisation import training_numbers
from darts_train.dataset.reader import TrainData
from darts_train.features.derived import derivation
from darts_train.models.input_spec import InputSpecification
from darts_train.models.normalisation import fitted_bands
from darts_train.raster.band import Band
from darts_train.training.deriving import input_layer
from tests.support.sets import make_set

TRAIN = np.array([0, 2, 3, 5])
FILL = -3.0


def min_max(x, train):
    low, high = min(map(np.nanmin, train)), max(map(np.nanmax, train))
    return (np.clip(x, low, high) - low) / (high - low)


def quantile(x, train):
    low, high = np.nanquantile(np.stack(train), 0.01), np.nanquantile(np.stack(train), 0.99)
    return (np.clip(x, low, high) - low) / (high - low)


def z_score(x, train):
    return (x - np.nanmean(np.stack(train))) / np.nanstd(np.stack(train))


def per_sample_min_max(x, train):
    return (x - np.nanmin(x)) / (np.nanmax(x) - np.nanmin(x))


def per_sample_quantile(x, train):
    low, high = np.nanquantile(x, 0.01), np.nanquantile(x, 0.99)
    return (np.clip(x, low, high) - low) / (high - low)


KINDS = {
    "minmax": min_max,
    "quantile": quantile,
    "zscore": z_score,
    "sample-minmax": per_sample_min_max,
    "sample-quantile": per_sample_quantile,
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    root = tmp_path_factory.mktemp("kelp") / "set"
    make_set(root, patches=6, size=16, bands=4, nodata=True)
    return TrainData.open(root)


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_what_it_is_by_hand(opened, kind):
    names = (*(band.name for band in opened.bands), "ndvi", "gndvi")
    made = derivation(names, names[4:], opened.bands, "set")
    spec = InputSpecification.from_set(made.bands, None, FILL, kind, lambda: training_numbers(opened, TRAIN, made))
    layer = input_layer(spec, made=made)
    patches = [opened.read(row)[0] for row in range(6)]
    seen = layer(torch.from_numpy(np.stack(patches).view(np.int16))).numpy()
    codes = made(np.stack(patches))
    beyond = False
    for channel, band in enumerate(made.bands):
        values = np.where(
            codes[:, channel] == 65535, np.nan, band.offset + band.scale * codes[:, channel].astype(float)
        )
        for row in range(6):
            expected = KINDS[kind](values[row], [values[i] for i in TRAIN])
            beyond |= bool((expected[np.isfinite(expected)] > 1).any())
            np.testing.assert_allclose(seen[row, channel], np.nan_to_num(expected, nan=FILL), rtol=1e-5, atol=1e-5)
    assert beyond == (kind == "zscore")  # the only one that is not clipped


@pytest.mark.parametrize("kind", ["zscore", "minmax", "quantile"])
def test_masks_keep_0_and_1(kind):
    bands = [Band(name, 1.0, 0.0, 0.0, 10.0) for name in ("QA", "qa", "kelp:DEMWM")]
    mask, bits = BandNumbers(9, 0.2, 0.4, 0.0, 1.0, 0.0, 1.0), BandNumbers(9, 300.0, 99.0, 0.0, 900.0, 1.0, 800.0)
    found = fitted_bands(bands, kind, (mask, bits, bits))
    assert (found[0].low, found[0].high) == (0.0, 1.0)
    assert found[1].high > 300  # bits of many meanings
    assert (found[2].low, found[2].high) == ((300.0, 399.0) if kind == "zscore" else (0.0, 1.0))
