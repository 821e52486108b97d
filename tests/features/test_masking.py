import numpy as np
import pytest

from darts_train.base.errors import UserError
from darts_train.features.masking import SETTINGS, IndexRules, is_corrupted, is_water, rules_of
from darts_train.features.stack import FeatureStack
from darts_train.options.masking import Masking
from darts_train.raster.band import Band
from darts_train.raster.catalogue import CATALOGUE
from darts_train.raster.patches import Window
from tests.features.fakes import FunctionScene

NAN = np.nan
ELEVATION = np.array([[0.0, -3.0, 5.0, NAN]])
WINDOW = Window(0, 0, 8, 6)


class KelpScene(FunctionScene):
    """Cloud in column 1, land in columns 4 to 7, elevation missing in row 5; nir missing in one pixel."""

    def __init__(self, **bands):
        light = {name: lambda x, y, n=n: 0.1 + 0.01 * n + 0.001 * x for n, name in enumerate(("blue", "green", "red"))}
        marks = {
            "qa": lambda x, y: np.where(x == 1, 1.0, 0.0),
            "dem": lambda x, y: np.where(y == 5, NAN, np.where(x >= 4, 12.0, 0.0)),
            "nir": lambda x, y: np.where((x == 2) & (y == 2), NAN, 0.3 + 0.01 * x),
        }
        super().__init__({"red": light["red"]})
        self.functions = {**light, **marks, **bands}
        self.bands = {name: CATALOGUE.get(name, Band(name, 1, 0, 0, 1)) for name in self.functions}


def shown(names, scene=None, **rules):
    """Which pixels of each band have data, bool [c, 6, 8], and where labels count."""
    made, stack = scene or KelpScene(), FeatureStack(names, rules=IndexRules(**rules))
    stack.bands_for(made)
    values = stack.compute(made, WINDOW)
    hidden = stack.hidden(made, WINDOW, values)
    known = stack.known(values)
    return ~np.isnan(values if hidden is None else stack.masked(made, values, hidden)), known


def test_water_in_three_states():
    assert is_water(ELEVATION, "water").tolist() == [[True, True, False, True]]
    assert is_water(ELEVATION, "land").tolist() == [[True, True, False, False]]
    assert is_corrupted(np.array([0.0, 1.0, 3.0, NAN])).tolist() == [False, True, True, True]


def test_indices_are_masked_bands_and_labels_are_not():
    found, known = shown(["red", "kelp:NDVI", "ndvi", "kelp:NDVIWM"], by_qa=True, by_water=True)
    red, ndvi, ours, mark = found
    assert red.all()
    expected = np.ones((6, 8), bool)
    expected[:, 1] = False  # cloud
    expected[:5, 4:] = False  # land; what is unknown is water
    expected[2, 2] = False  # the source has no data
    assert np.array_equal(ndvi, expected)
    assert np.array_equal(ours, expected)
    assert mark.sum() == 6 * 8 - 1  # names in WM are masks themselves
    assert known.sum() == 6 * 8 - 1
    assert not known[2, 2]


def test_unknown_elevation_may_be_land():
    found, known = shown(["kelp:NDVI", "kelp:DEMWM"], by_water=True, unknown="land")
    assert not found[0, 5].any()
    assert not known[5].any()  # elevation of land is not known there
    found, known = shown(["kelp:NDVI", "kelp:DEMWM"], by_water=True)
    assert found[0, 5].all()
    assert known[5].all()
    demwm = FeatureStack(["kelp:DEMWM"]).compute(KelpScene(), WINDOW)[0]
    assert (demwm[5] == 0).all()
    assert (demwm[:5, 4:] == 12).all()


def test_optional_bands_change_no_label():
    assert shown(["dem", "red"])[1].sum() == 5 * 8
    assert shown(["dem", "red"], optional=("dem",))[1].all()


def test_quality_and_elevation_of_any_name_and_read_or_stored():
    scene = KelpScene(cloud=lambda x, y: np.where(x == 3, 1.0, 0.0), height=lambda x, y: np.where(y < 2, 3.0, -1.0))
    rules = {"by_qa": True, "by_water": True, "qa_band": "cloud", "dem_band": "height"}
    alone = shown(["kelp:GNDVI"], scene, **rules)[0]
    beside = shown(["kelp:GNDVI", "cloud", "height", "kelp:DEMWM"], scene, **rules)[0]
    assert np.array_equal(alone[0], beside[0])
    assert not alone[0, :2].any()
    assert not alone[0, :, 3].any()
    made = FeatureStack(["kelp:DEMWM"], rules=IndexRules(dem_band="height")).compute(scene, WINDOW)[0]
    assert made[:, 0].tolist() == [3, 3, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("names", "rules", "message"),
    [
        (["kelp:DEMWM"], {"dem_band": "elevation"}, "made.tif: band kelp:DEMWM needs elevation, which it has not"),
        (["ndvi"], {"by_qa": True, "qa_band": "clouds"}, "indices are masked by band clouds, which it has not; --qa"),
        (["ndvi"], {"by_water": True, "dem_band": "depth"}, "indices are masked by band depth, which it has not"),
        (["GVMI"], {}, "band GVMI needs swir22, which it has not. kelp:GVMI would take other bands"),
    ],
)
def test_a_mask_without_its_band(names, rules, message):
    with pytest.raises(UserError, match=message):
        FeatureStack(names, rules=IndexRules(**rules)).bands_for(KelpScene())


def test_counts_are_used_as_the_file_has_them():
    counts = np.array([[3000.0, 5000.0]], np.float32)

    class Scaled(KelpScene):
        lines = property(lambda self: {"nir": (1e-4, -0.1), "red": (1e-4, -0.1)})

    scene = Scaled(nir=lambda x, y: 1e-4 * 5000 - 0.1 + 0 * x, red=lambda x, y: 1e-4 * 3000 - 0.1 + 0 * x)
    stack = FeatureStack(["kelp:AVI", "ndvi"], rules=IndexRules(counts=True))
    found = stack.compute(scene, Window(0, 0, 1, 1))[:, 0, 0]
    assert found[0] == 2 * counts[0, 1] - counts[0, 0]
    assert found[1] == pytest.approx(2000 / 8000)
    avi, ndvi = stack.bands_for(scene)
    assert avi.least <= -8192
    assert avi.greatest >= 16384
    assert ndvi == CATALOGUE["ndvi"]
    on_values = FeatureStack(["kelp:AVI"]).compute(scene, Window(0, 0, 1, 1))[0, 0, 0]
    assert on_values == pytest.approx(0.6)


def test_rules_follow_from_the_options_of_a_set():
    assert rules_of({}) == rules_of(vars(Masking())) == IndexRules()
    options = Masking(
        qa_band="q", dem_band="d", mask_indices_by_qa=True, mask_indices_by_water=True, unknown_elevation="land",
        optional_bands=("d",), indices_on="counts",
    )  # fmt: skip
    assert rules_of(vars(options)) == IndexRules("q", "d", True, True, "land", ("d",), True)
    assert set(SETTINGS) == set(vars(options))
