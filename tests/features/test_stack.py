import numpy as np
import pytest

from darts_train.base.errors import UserError
from darts_train.features.stack import FeatureStack
from darts_train.features.terrain_bands import TERRAIN
from darts_train.raster.catalogue import CATALOGUE
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from tests.features.fakes import FunctionScene


def hills(columns, rows):
    return 300 + 20 * np.sin(columns / 7) + 15 * np.cos(rows / 11) + columns * rows / 500


def scene(**kwargs):
    bands = {"red": lambda x, y: 0.1 + 0 * x, "nir": lambda x, y: 0.3 + 0 * x, "dem": hills}
    return FunctionScene(bands, **kwargs)


def test_ndvi():
    result = FeatureStack(["ndvi", "red"]).compute(scene(), Window(0, 0, 4, 3))
    assert result.shape == (2, 3, 4)
    assert result.dtype == np.float32
    assert np.allclose(result[0], 0.5)
    assert np.allclose(result[1], 0.1)


ALL = ["dem", "relative_elevation", "hillshade", *TERRAIN, "ndvi"]


def test_a_pixel_is_the_same_in_every_window():
    stack, made = FeatureStack(ALL, 60.0), scene(sun=(200.0, 30.0))
    whole = stack.compute(made, Window(0, 0, 90, 80))
    for part in (Window(0, 0, 31, 17), Window(40, 33, 25, 47), Window(89, 79, 1, 1)):
        rows, columns = part.slices(Window(0, 0, 90, 80))
        assert np.array_equal(stack.compute(made, part), whole[:, rows, columns])
    assert not np.isnan(whole).any()


def test_halo():
    made = scene()
    assert FeatureStack(["red", "dem", "ndvi"]).halo(made) == 0
    assert FeatureStack(["slope"]).halo(made) == 1
    assert FeatureStack(["slope", "relative_elevation"], 100.0).halo(made) == 10


def test_a_band_of_the_scene_goes_before_one_that_could_be_computed():
    made = FunctionScene({"slope": lambda x, y: 7 + 0 * x})
    assert (FeatureStack(["slope"]).compute(made, Window(0, 0, 3, 3)) == 7).all()


def test_bands_are_those_of_the_scene_and_of_the_catalogue():
    assert FeatureStack(["nir", "ndvi"]).bands_for(scene()) == (CATALOGUE["nir"], CATALOGUE["ndvi"])


def test_without_a_known_sun_the_usual_one_is_taken():
    known = FeatureStack(["hillshade"]).compute(scene(sun=(225.0, 25.0)), Window(0, 0, 5, 5))
    assert np.array_equal(FeatureStack(["hillshade"]).compute(scene(), Window(0, 0, 5, 5)), known)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nri"], "no band nri; it has red, nir, dem.*nearest: nir"),
        (["relative_elevaton"], "nearest: relative_elevation"),
        (["tc_wetness"], "no band tc_wetness"),
    ],
)
def test_unknown_bands_are_refused_with_the_nearest_names(names, message):
    with pytest.raises(UserError, match=message):
        FeatureStack(names).bands_for(scene())


def test_a_computed_band_names_what_it_lacks():
    made = FunctionScene({"red": lambda x, y: x})
    with pytest.raises(UserError, match="band ndvi needs nir, which"):
        FeatureStack(["ndvi"]).bands_for(made)
    with pytest.raises(UserError, match="band slope needs dem"):
        FeatureStack(["slope"]).bands_for(made)


def test_terrain_of_a_picture_is_refused():
    with pytest.raises(UserError, match="no georeference"):
        FeatureStack(["slope"]).bands_for(scene(grid=Grid(10, 10)))


def test_a_ring_without_a_pixel_is_refused_before_work():
    with pytest.raises(UserError, match="ring is empty"):
        FeatureStack(["relative_elevation"], 10.0, 5.0).bands_for(scene())


@pytest.mark.parametrize(
    ("names", "outer", "inner"), [([], 100, 0), (["red", "red"], 100, 0), (["red"], 10, 10), (["red"], 10, -1)]
)
def test_impossible_stacks_are_refused(names, outer, inner):
    with pytest.raises(UserError):
        FeatureStack(names, outer, inner)
