import warnings

import numpy as np
import pytest
import rasterio

from darts_train.base.errors import UserError
from darts_train.raster.catalogue import CATALOGUE
from darts_train.raster.encoding import encode
from darts_train.raster.patches import Window
from darts_train.scenes.measure import merge_encodings, native_band
from darts_train.scenes.raster_file import open_dataset
from darts_train.scenes.raster_scene import RasterScene
from tests.support.geo import DATA, SAMPLE, sample_pixels, test_data, write_raster

L7 = SAMPLE / "landsat7_toa6.tif"
WHOLE = Window(0, 0, 512, 512)


def test_stored_codes_of_the_sample_are_its_counts():
    scene = RasterScene.open(L7, scale=1e-4)
    counts = sample_pixels(bands=6)
    codes, clipped = encode(scene.read(list(scene.bands), WHOLE), list(scene.bands.values()))
    assert np.array_equal(np.where(counts == 0, 65535, counts), codes)
    assert not clipped.any()
    assert list(scene.bands) == ["blue", "green", "red", "nir", "swir16", "swir22"]
    assert all(band.optical and (band.low, band.high) == (-0.1, 0.5) for band in scene.bands.values())


def test_a_window_beyond_the_scene_is_padded():
    scene = RasterScene.open(L7, scale=1e-4)
    inside = scene.read(["red"], Window(0, 0, 6, 5))[0]
    around = scene.read(["red"], Window(-3, -2, 9, 7))[0]
    assert np.array_equal(around[2:, 3:], inside, equal_nan=True)
    assert np.isnan(around[:2]).all()
    assert np.isnan(around[:, :3]).all()
    assert np.isnan(scene.read(["red"], Window(600, 600, 4, 4))).all()
    assert scene.quality(Window(510, 510, 4, 4)).tolist() == [[2, 2, 0, 0], [2, 2, 0, 0], [0] * 4, [0] * 4]


def test_bands_come_in_the_order_asked_for():
    scene = RasterScene.open(L7, scale=1e-4)
    both = scene.read(["nir", "blue"], WHOLE)
    assert np.array_equal(both[1], scene.read(["blue"], WHOLE)[0], equal_nan=True)
    with pytest.raises(UserError, match=r"no band nri; it has blue.*nearest: nir"):
        scene.read(["nri"], WHOLE)


def test_names(tmp_path):
    values = np.ones((3, 4, 4), np.uint8)
    plain = write_raster(tmp_path / "a.tif", values.astype(np.int16))
    assert RasterScene.open(plain).names == ("band_1", "band_2", "band_3")
    same = write_raster(tmp_path / "b.tif", values.astype(np.int16), descriptions=["x", "x", "x"])
    assert RasterScene.open(same).names == ("band_1", "band_2", "band_3")
    described = write_raster(tmp_path / "c.tif", values, descriptions=["VV", "VH", "DEM"])
    assert RasterScene.open(described).names == ("vv", "vh", "dem")
    assert RasterScene.open(described, ["Red", "green", "blue"]).names == ("red", "green", "blue")
    with pytest.raises(UserError, match="3 bands in the file, 2 names"):
        RasterScene.open(described, ["red", "green"])
    with pytest.raises(UserError, match="given twice"):
        RasterScene.open(described, ["red", "red", "blue"])


def test_a_picture_is_a_raster_without_georeference(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (3, 20, 30)).astype(np.uint8)
    with rasterio.open(tmp_path / "a.png", "w", driver="PNG", width=30, height=20, count=3, dtype="uint8") as file:
        file.write(values)
    scene = RasterScene.open(tmp_path / "a.png")
    assert (scene.grid.transform, scene.grid.crs, scene.scene_id) == (None, None, "a")
    assert scene.names == ("red", "green", "blue")
    assert np.array_equal(scene.read(["red", "green", "blue"], scene.grid.extent), values)
    red = scene.bands["red"]
    assert (red.scale, red.offset, red.low, red.high, red.optical) == (1, 0, 0, 255, True)


def test_alpha_is_no_band_but_a_mask(tmp_path):
    values = np.full((4, 8, 8), 100, np.uint8)
    values[3, :4] = 0
    path = write_raster(tmp_path / "a.tif", values, photometric="RGB", alpha="yes")
    scene = RasterScene.open(path)
    assert len(scene.names) == 3
    assert (scene.quality(scene.grid.extent) == 2).sum() == 32
    assert np.isnan(scene.read(["red"], scene.grid.extent)[0, :4]).all()


@pytest.mark.parametrize(("declared", "given"), [(7, None), (None, 7), (0, 7)])
def test_no_data_by_the_file_or_by_the_user(tmp_path, declared, given):
    values = np.array([[[7, 8], [0, 9]]], np.uint16)
    scene = RasterScene.open(write_raster(tmp_path / "a.tif", values, nodata=declared), nodata=given)
    assert np.isnan(scene.read(["band_1"], scene.grid.extent)[0]).tolist() == [[True, False], [False, False]]


def test_a_no_data_that_the_type_cannot_hold_is_nowhere(tmp_path):
    scene = RasterScene.open(write_raster(tmp_path / "a.tif", np.ones((1, 4, 4), np.uint8)), nodata=-9999)
    assert not np.isnan(scene.read(["band_1"], scene.grid.extent)).any()


def test_what_is_not_finite_is_no_data(tmp_path):
    values = np.array([[[np.inf, -np.inf], [np.nan, 0.5]]], np.float32)
    scene = RasterScene.open(write_raster(tmp_path / "a.tif", values))
    assert np.isnan(scene.read(["band_1"], scene.grid.extent)[0]).tolist() == [[True, True], [True, False]]
    assert (scene.quality(scene.grid.extent) != 0).tolist() == [[False, False], [False, True]]


def test_scale_and_offset_of_the_file_hold_unless_the_user_knows_better(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.full((1, 4, 4), 2000, np.uint16), descriptions=["red"])
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (1e-4,), (-0.1,)
    assert RasterScene.open(path).read(["red"], Window(0, 0, 1, 1))[0, 0, 0] == pytest.approx(0.1)
    assert RasterScene.open(path).bands["red"].offset == -0.1
    assert RasterScene.open(path, scale=1e-3, offset=0).read(["red"], Window(0, 0, 1, 1))[0, 0, 0] == pytest.approx(2)


class TestNativeBand:
    def test_signed_counts_are_shifted_and_keep_their_quantum(self):
        counts = np.arange(-32768.0, 32766.0, 7)
        band = native_band("x", "int16", 1e-4, 0.0, counts)
        assert band.scale == 1e-4
        codes = encode((counts * 1e-4)[None, None].astype(np.float32), [band])[0]
        assert np.array_equal(codes[0, 0], counts + 32768)

    def test_counts_named_red_are_not_reflectance(self):
        band = native_band("red", "uint16", 1.0, 0.0, np.linspace(200, 4000, 500))
        assert band.low > 200
        assert band.high > 3000
        assert (band.scale, band.offset, band.optical) == (1.0, 0.0, True)

    def test_floats_of_a_known_band_are_stored_as_the_catalogue_says(self):
        assert native_band("slope", "float32", 1, 0, np.array([0.5, 33.0])) == CATALOGUE["slope"]

    def test_other_floats_are_measured_with_room_to_spare(self):
        values = np.linspace(-25.0, 3.0, 1000)
        band = native_band("vv", "float32", 1, 0, values)
        assert band.least < -27
        assert band.greatest > 5
        assert -25 <= band.low < band.high <= 3
        assert band.scale < 6e-4

    @pytest.mark.parametrize("values", [np.empty(0), np.full(3, np.inf), np.full(9, 4.0)])
    @pytest.mark.parametrize("dtype", ["float32", "uint16", "uint8", "int32"])
    def test_bands_without_a_spread_can_be_stored(self, dtype, values):
        band = native_band("x", dtype, 1.0, 0.0, values)
        assert band.least <= 4.0 <= band.greatest or not np.isfinite(values).any() or not len(values)

    @pytest.mark.parametrize(("values", "offset"), [([0, 60000], 0), ([-5, 300], -32768)])
    def test_wide_integers_that_fit_keep_their_quantum(self, values, offset):
        band = native_band("x", "int32", 1.0, 0.0, np.array(values, float))
        assert (band.scale, band.offset) == (1.0, offset)

    def test_wide_integers_that_do_not_fit_are_measured(self):
        assert native_band("x", "int32", 1.0, 0.0, np.array([0.0, 1e6])).scale > 15

    def test_encodings_of_several_scenes_are_merged(self):
        a, b = (native_band("x", "float32", 1, 0, np.linspace(low, low + 10, 50)) for low in (0.0, 100.0))
        merged = merge_encodings([a, b])
        assert merged.least <= a.least
        assert merged.greatest >= b.greatest
        assert (merged.low, merged.high) == (a.low, b.high)
        assert merge_encodings([a, a]) == a

    def test_counts_of_two_types_keep_their_quantum(self):
        a, b = (native_band("x", dtype, 1.0, 0.0, np.array([5.0, 900.0])) for dtype in ("uint16", "int16"))
        merged = merge_encodings([a, b])
        assert (merged.scale, merged.offset) == (1.0, -32768.0)

    def test_different_units_are_not_merged(self):
        counts, reflectance = (native_band("red", "uint16", scale, 0, np.array([900.0])) for scale in (1.0, 1e-4))
        with pytest.raises(ValueError, match=r"worth 0\.0001 in one scene and 1 in another"):
            merge_encodings([counts, reflectance])


class TestBadFiles:
    def test_no_file(self, tmp_path):
        with pytest.raises(UserError, match="no such file"):
            RasterScene.open(tmp_path / "none.tif")

    def test_text(self, tmp_path):
        (tmp_path / "a.tif").write_text("hello")
        with pytest.raises(UserError, match=r"a\.tif: cannot be read as a raster"):
            RasterScene.open(tmp_path / "a.tif")

    def test_empty(self, tmp_path):
        (tmp_path / "a.tif").touch()
        with pytest.raises(UserError, match="cannot be read"):
            RasterScene.open(tmp_path / "a.tif")

    def test_a_jpeg_that_calls_itself_tif(self, tmp_path):
        values = np.zeros((3, 16, 16), np.uint8)
        with rasterio.open(tmp_path / "a.jpg", "w", driver="JPEG", width=16, height=16, count=3, dtype="uint8") as file:
            file.write(values)
        (tmp_path / "a.jpg").rename(tmp_path / "a.tif")
        with pytest.raises(UserError, match=r"named \.tif, but it is JPEG"):
            RasterScene.open(tmp_path / "a.tif")

    @pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 0.999])
    @pytest.mark.parametrize("tiled", [True, False])
    def test_a_file_cut_short(self, tmp_path, share, tiled):
        options = {"tiled": True, "blockxsize": 64, "blockysize": 64} if tiled else {}
        path = write_raster(tmp_path / "a.tif", sample_pixels(size=256), **options)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(UserError, match=r"a\.tif: (the file is cut short|cannot be read)"):
            RasterScene.open(path)

    def test_complex_numbers(self, tmp_path):
        path = write_raster(tmp_path / "a.tif", np.ones((1, 4, 4), np.complex64))
        with pytest.raises(UserError, match="no band of real numbers"):
            RasterScene.open(path)


def test_a_radar_scene():
    path = test_data("sen1floods11")
    files = sorted(path.rglob("*S1Hand.tif"))
    scene = RasterScene.open(files[0])
    values = scene.read(scene.names, scene.grid.extent)
    bands = list(scene.bands.values())
    codes, clipped = encode(values, bands)
    assert scene.names == ("vv", "vh")
    assert clipped.sum() == 0
    assert np.array_equal(codes == 65535, np.isnan(values))
    assert DATA in files[0].parents


def test_threads_that_read_at_once_bring_no_warning_back(tmp_path):
    path = tmp_path / "a.png"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_raster(tmp_path / "a.tif", np.ones((1, 4, 4), np.uint8), origin=None).rename(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = open_dataset(path), open_dataset(path)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)  # leaves first what it entered first, as threads do
        with open_dataset(path) as dataset:
            assert dataset.width == 4
        second.__exit__(None, None, None)
        with pytest.raises(rasterio.errors.NotGeoreferencedWarning), rasterio.open(path):
            pass
