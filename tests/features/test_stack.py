import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.features.known import sources_of
from darts_train.features.stack import FeatureStack
from darts_train.features.terrain_bands import TERRAIN
from darts_train.raster.band import Band
from darts_train.raster.catalogue import CATALOGUE
from darts_train.raster.encoding import decode, encode
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


windows = st.builds(Window, st.integers(-5, 90), st.integers(-5, 90), st.integers(1, 60), st.integers(1, 60))


@settings(max_examples=25, deadline=None)
@given(windows, st.sampled_from([(60.0, 0.0), (35.0, 15.0)]))
def test_a_pixel_does_not_depend_in_any_bit_on_the_window(window, radii):
    bands = {"blue": lambda x, y: 0.1 + x / 999, "red": lambda x, y: y / 700, "nir": lambda x, y: (x + y) / 300}
    made = FunctionScene({**bands, "dem": hills}, sun=(200.0, 30.0))
    stack = FeatureStack([*ALL, "evi", "bai", "msavi", "spyndex:savi"], *radii)
    whole = Window(-5, -5, 155, 155)
    rows, columns = window.slices(whole)
    expected = stack.compute(made, whole)[:, rows, columns]
    assert np.array_equal(stack.compute(made, window), expected, equal_nan=True)


def test_halo():
    made = scene()
    assert FeatureStack(["red", "dem", "ndvi", "savi", "bai"]).halo(made) == 0
    assert FeatureStack(["slope", "tri", "dissection", "hillshade"]).halo(made) == 1
    assert FeatureStack(["slope", "vrm"]).halo(made) == 2
    assert FeatureStack(["slope", "relative_elevation"], 100.0).halo(made) == 10
    assert FeatureStack(["vrm", "relative_elevation"], 10.0).halo(made) == 2


def test_a_band_of_the_scene_goes_before_one_that_could_be_computed():
    made = FunctionScene({"slope": lambda x, y: 7 + 0 * x})
    assert (FeatureStack(["slope"]).compute(made, Window(0, 0, 3, 3)) == 7).all()


def test_bands_are_those_of_the_scene_and_of_the_catalogue():
    assert FeatureStack(["nir", "ndvi"]).bands_for(scene()) == (CATALOGUE["nir"], CATALOGUE["ndvi"])


def test_without_a_known_sun_the_usual_one_is_taken():
    known = FeatureStack(["hillshade"]).compute(scene(sun=(225.0, 25.0)), Window(0, 0, 5, 5))
    assert np.array_equal(FeatureStack(["hillshade"]).compute(scene(), Window(0, 0, 5, 5)), known)


def test_unknown_suns_are_said_in_one_line(caplog):
    FeatureStack(["hillshade"]).warn_of_sun([scene(), scene(sun=(225.0, 25.0)), scene()])
    FeatureStack(["slope"]).warn_of_sun([scene()])
    assert [record.getMessage() for record in caplog.records] == [
        f"{scene().scene_id}, {scene().scene_id}: the sun's place is unknown; azimuth 225, elevation 25 degrees taken"
    ]


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


def test_all_that_is_missing_is_said_at_once():
    made = FunctionScene({"red": lambda x, y: x})
    stack = FeatureStack(["ndvi", "red", "evi", "slope"])
    with pytest.raises(UserError) as refused:
        stack.bands_for(made)
    assert str(refused.value) == (
        "made.tif: band ndvi needs nir, band evi needs nir and blue, band slope needs dem, which it has not."
        " In total nir, blue, dem are missing."
    )
    assert sources_of(stack.names, ["nir", "red", "blue", "dem"]) == {
        "ndvi": ("nir", "red"),
        "red": ("red",),
        "evi": ("nir", "red", "blue"),
        "slope": ("dem",),
    }


def test_any_index_of_the_catalogue_of_spyndex():
    made = FunctionScene({"green": lambda x, y: 0.1 + 0 * x, "nir": lambda x, y: 0.3 + 0 * x})
    stack = FeatureStack(["green", "NdWi"])
    assert [band.name for band in stack.bands_for(made)] == ["green", "NdWi"]
    assert np.allclose(stack.compute(made, Window(0, 0, 3, 2))[1], -0.5)
    with pytest.raises(UserError, match="band bai needs red, which"):
        FeatureStack(["bai"]).bands_for(made)
    with pytest.raises(UserError, match="band spyndex:RVI needs rededge075 and red"):
        FeatureStack(["spyndex:RVI"]).bands_for(made)
    with pytest.raises(UserError, match=r"no band ndwii.*nearest: ndwi, ndwiwm, ndvi; nearest of spyndex: ndwi"):
        FeatureStack(["ndwii"]).bands_for(made)


def test_our_formula_goes_before_that_of_spyndex_whatever_the_capitals():
    stack = FeatureStack(["NDVI", "RVI", "SAVI"])
    assert [(band.name, band.low, band.high) for band in stack.bands_for(scene())] == [
        ("NDVI", -1.0, 1.0),
        ("RVI", 0.0, 2.0),
        ("SAVI", -1.5, 1.5),
    ]
    found = stack.compute(scene(), Window(0, 0, 2, 2))[:, 0, 0]
    assert found == pytest.approx([0.5, 1 / 3, 0.75], rel=1e-6)


def test_the_red_edge_of_planet_serves_as_that_of_sentinel():
    made = FunctionScene({"red": lambda x, y: 0.1 + 0 * x, "rededge": lambda x, y: 0.3 + 0 * x})
    assert np.allclose(FeatureStack(["vi700"]).compute(made, Window(0, 0, 2, 2)), 0.5)
    stack = FeatureStack(["ndvi705"])
    with pytest.raises(UserError, match="needs rededge075"):
        stack.bands_for(made)
    assert sources_of(["ndvi705"], ["rededge", "rededge075"]) == {"ndvi705": ("rededge075", "rededge")}


def test_formulas_with_absolute_terms_refuse_counts():
    made = scene()
    made.bands["red"] = Band("red", 1.0, 0.0, 0.0, 255.0, optical=True)
    FeatureStack(["ndvi", "savi"]).bands_for(made)
    with pytest.raises(UserError, match="band msavi needs reflectances, but has counts of red; give --scale"):
        FeatureStack(["ndvi", "msavi"]).bands_for(made)


def test_aspect_is_from_true_north_where_grid_north_is_not():
    """A cone of ground that falls away from the pole, in the polar projection: it faces south everywhere."""
    step, x, y = 20.0, 1.2e6, -9e5
    pole = np.array([x, y])

    def cone(columns, rows):
        east, north = pole[0] + (columns + 0.5) * step, pole[1] - (rows + 0.5) * step
        return 3000 - np.hypot(east, north) / 1000

    grid = Grid(40, 40, (step, 0.0, x, 0.0, -step, y), "EPSG:3413")
    made = FunctionScene({"dem": cone}, grid=grid, sun=(180.0, 20.0))
    found, shade = FeatureStack(["aspect", "hillshade"]).compute(made, Window(0, 0, 40, 40))
    assert np.allclose(found, 180.0, atol=1.5)
    towards_grid_south = FunctionScene({"dem": cone}, grid=grid, sun=(180.0 + 53.0, 20.0))
    assert shade.mean() > FeatureStack(["hillshade"]).compute(towards_grid_south, Window(0, 0, 40, 40)).mean()


def test_aspect_at_the_edge_of_a_zone_is_turned_by_its_convergence():
    """UTM zone 8 is centred on 135° W; at 3° east of it and 70° north grid north lies 2.8° west of true north."""
    ramp = {"dem": lambda x, y: 500 + 2.0 * y}  # falls towards grid north
    at_the_edge = Grid(50, 50, (10.0, 0.0, 614000.0, 0.0, -10.0, 7771000.0), "EPSG:32608")
    in_the_middle = Grid(50, 50, (10.0, 0.0, 500000.0, 0.0, -10.0, 7771000.0), "EPSG:32608")
    for grid, expected in ((at_the_edge, 2.8), (in_the_middle, 0.0)):
        found = FeatureStack(["aspect"]).compute(FunctionScene(ramp, grid=grid), Window(0, 0, 5, 5))
        assert np.allclose((found - expected + 180) % 360 - 180, 0.0, atol=0.1)


def test_acceptance_vectors_of_the_operational_pipeline():
    """As bands of a scene, through the encodings in which they are stored."""
    flat = FunctionScene({"dem": lambda x, y: 812.0 + 0 * x}, sun=(225.0, 25.0))
    ramp = FunctionScene({"dem": lambda x, y: 10.0 * x})
    bump = FunctionScene({"dem": lambda x, y: 1.0 * ((x == 3) & (y == 3))})

    def stored(name, made):
        stack = FeatureStack([name])
        bands = stack.bands_for(made)
        return decode(encode(stack.compute(made, Window(0, 0, 7, 7)), bands)[0], bands)[0]

    assert np.abs(stored("relative_elevation", flat)).max() < 1e-5
    assert np.allclose(stored("slope", ramp), 45.0)
    assert np.allclose(stored("hillshade", flat), 0.7113)
    curvature = stored("curvature", bump)
    assert curvature[3, 3] == pytest.approx(4.0)
    assert curvature[2, 3] == curvature[3, 2] == pytest.approx(-1.0)


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
