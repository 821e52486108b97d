"""Tiles as those of the kelp challenge: SWIR, NIR, R, G, B, QA, DEM as int16, no place on the earth, no labels lost."""

import numpy as np
import pandas as pd
import pytest
import zarr

from darts_train.base.errors import UserError
from darts_train.dataset.set_config import SetConfig
from darts_train.features.masking import IndexRules
from darts_train.options.masking import Masking
from darts_train.options.preprocessing import Output, Patches, Raster
from darts_train.preprocess.quality_measures import ElevationShares, HighPositive, QualityShares, quality_measures
from darts_train.preprocess.raster import preprocess_raster_train_data
from darts_train.raster.band import NODATA
from tests.support.geo import write_raster

NAMES = ("swir16", "nir", "red", "green", "blue", "qa", "dem")
MISSING = -32768
SIZE = 30
NAN = np.nan


def tile():
    """Land in rows 0 to 9, elevation missing in row 10, cloud in column 0; a red pixel missing; counts int16."""
    rng = np.random.default_rng(5)
    values = rng.integers(500, 6000, (7, SIZE, SIZE)).astype(np.int16)
    values[5], values[6] = 0, 0
    values[5, :, 0] = 1
    values[6, :10] = 40
    values[6, 10] = MISSING
    values[2, 20, 20] = MISSING
    return values


@pytest.fixture
def make(tmp_path):
    values, labels = tile(), np.zeros((SIZE, SIZE), np.uint8)
    labels[15:] = 1
    write_raster(tmp_path / "images" / "a.tif", values, origin=None)
    write_raster(tmp_path / "labels" / "a.tif", labels, origin=None)

    def run(*bands, cut=None, masking=None, **raster):
        preprocess_raster_train_data(
            Raster(**{"image_dir": tmp_path / "images", "label_dir": tmp_path / "labels", "band_names": NAMES,
                      "bands": bands, "nodata": MISSING, "scale": 1e-4, **raster}),
            Output(train_data_dir=tmp_path / "set", overwrite=True),
            Patches(**{"patch_size": 32, "overlap": 0, "exclude_nan": False, **(cut or {})}),
            masking=Masking(**(masking or {})),
        )  # fmt: skip
        group = zarr.open_group(tmp_path / "set" / "data.zarr", mode="r")
        config = SetConfig.read(tmp_path / "set" / "config.toml")
        return group["x"][0], group["y"][0], pd.read_parquet(tmp_path / "set" / "metadata.parquet").iloc[0], config

    return run


MASKS = {"mask_indices_by_qa": True, "mask_indices_by_water": True, "optional_bands": ("dem",)}


def test_the_production_set_with_its_masks(make):
    x, y, row, config = make("red", "green", "blue", "swir16", "nir", "qa", "dem", "kelp-17", masking=MASKS)
    assert config.band_names[7:10] == ("kelp:DEMWM", "kelp:NDVI", "kelp:ATSAVI")
    assert (len(config.band_names), config.band_names[-1]) == (24, "kelp:mCRIG")
    inside, values = np.s_[:SIZE, :SIZE], tile()
    labelled = np.ones((SIZE, SIZE), bool)
    labelled[20, 20] = False  # red
    assert np.array_equal(y[inside] != 255, labelled)
    shown = labelled & (values[5] == 0) & (values[6] <= 0)
    assert np.array_equal(x[8][inside] != NODATA, shown)  # NDVI
    assert np.array_equal(x[6][inside] != NODATA, values[6] != MISSING)  # elevation
    assert (x[7][inside] != NODATA).all()  # DEMWM
    demwm = config.bands[7]
    assert np.allclose(demwm.offset + demwm.scale * x[7][:10, :SIZE], 40)  # metres, whatever the scale of light
    n, r = (np.where(values[i] > 0, values[i] * 1e-4, 1) for i in (1, 2))
    ndvi = config.bands[8].offset + config.bands[8].scale * x[8][inside].astype(float)
    assert np.abs(ndvi - (n - r) / (n + r))[shown].max() < 6e-5
    assert (row.qa_ok, row.high_corrupted_pixels_pct, row.dem_has_nans) == (False, False, True)
    assert row.qa_corrupted_pixels_pct == 1 / 30
    assert row.dem_nan_pixels_pct == 1 / 30
    assert row.dem_zero_pixels_pct == pytest.approx(19 / 30)
    assert row.water_pixels_pct == pytest.approx(20 / 30)
    assert "qa_ok: flag" in map(str, config.columns)
    assert config.settings["mask_indices_by_qa"] is True


def test_masked_pixels_drop_no_patch_and_missing_ones_do(make):
    cut = {"exclude_nan": True}
    masks = {**MASKS, "optional_bands": ()}
    _, y, *_ = make("nir", "swir16", "kelp:MVI", cut=cut, masking=masks)
    assert (y[:SIZE, :SIZE] != 255).all()
    with pytest.raises(UserError, match="pixels without data"):
        make("red", "kelp:MVI", cut=cut, masking=masks)
    with pytest.raises(UserError, match="pixels without data"):
        make("dem", "kelp:MVI", cut=cut, masking=masks)
    all_land = {"mask_indices_by_water": True, "dem_band": "nir"}  # positive everywhere
    x, *_ = make("swir16", "kelp:MVI", cut=cut, masking=all_land)
    assert (x[1] == NODATA).all()


def test_indices_on_counts(make):
    x, _, _, config = make("nir", "kelp:AVI", masking={"indices_on": "counts"})
    band, values = config.bands[1], tile()
    found = band.offset + band.scale * x[1][:SIZE, :SIZE].astype(float)
    whole = values[2] > 0
    expected = 2.0 * values[1] - values[2]
    assert np.abs(found - expected)[whole].max() <= band.scale / 2


@pytest.mark.parametrize(
    ("bands", "masking", "raster", "message"),
    [
        (("red", "AVI"), {}, {}, "AVI means two things; say kelp:AVI"),
        (("kelp:DEMWM",), {"dem_band": "height"}, {}, "kelp:DEMWM needs height, which it has not"),
        (("ndvi",), {"mask_indices_by_qa": True, "qa_band": "clouds"}, {}, "masked by band clouds, which it has not"),
        (("kelp:AVI",), {}, {"scale": None}, "needs reflectances, but has counts of red, nir; give --scale"),
        (("red", "kelp-71"), {}, {}, "no band kelp-71.* nearest: kelp-17"),
        (("kelp:NDVI", "kelp-17"), {}, {}, "kelp:NDVI is given twice"),
        (("red",), {"optional_bands": ("dem",)}, {}, "--optional-bands: dem is none of the bands to store"),
        (("red", "nir"), {"mask_indices_by_qa": True}, {}, "no index among --bands"),
    ],
)
def test_what_cannot_be_is_told(make, bands, masking, raster, message):
    with pytest.raises(UserError, match=message):
        make(*bands, masking=masking, **raster)


def test_shares_of_a_patch():
    rules, y = IndexRules(), np.zeros((2, 2), np.uint8)
    qa, dem = np.array([[0, 1], [NAN, 0]]), np.array([[0, -5], [NAN, 3]])
    quality = QualityShares(rules).of(y, y, {"qa": qa})
    assert quality == {"qa_ok": False, "qa_corrupted_pixels_pct": 0.5, "high_corrupted_pixels_pct": True}
    assert QualityShares(rules).of(y, y, {"qa": 0 * y})["qa_ok"] is True
    assert QualityShares(rules).of(y, y, {}) == {} == ElevationShares(rules).of(y, y, {})
    shares = {"dem_has_nans": True, "dem_nan_pixels_pct": 0.5, "dem_zero_pixels_pct": 0.25}
    assert ElevationShares(rules).of(y, y, {"dem": dem}) == shares | {
        "water_pixels_pct": 0.75,
        "almost_all_water": False,
    }
    of_land = ElevationShares(IndexRules(unknown="land")).of(y, y, {"dem": dem})
    assert of_land == shares | {"water_pixels_pct": 0.5, "almost_all_water": False}
    assert ElevationShares(rules).of(y, y, {"dem": 0 * dem[:1]})["almost_all_water"]
    many = np.array([[1, 0], [2, 255]])
    assert HighPositive().of(y, many, {}) == {"high_positive_pixels_pct": True}
    assert HighPositive().of(y, np.where(many == 2, 255, many), {}) == {"high_positive_pixels_pct": False}


def test_shares_are_measured_where_a_scene_has_the_band():
    class Bands:
        def __init__(self, *names):
            self.bands = dict.fromkeys(names)

    assert quality_measures([Bands("red")], IndexRules()) == ()
    found = quality_measures([Bands("red"), Bands("red", "cloud")], IndexRules(qa_band="cloud"))
    assert [type(one) for one in found] == [QualityShares, HighPositive]
    assert [type(one) for one in quality_measures([Bands("dem")], IndexRules())] == [ElevationShares, HighPositive]
