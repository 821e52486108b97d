"""What --input may name, and scenes that are not as scenes should be."""

import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine

from darts_train.base.errors import UserError
from darts_train.features.stack import FeatureStack
from darts_train.inference.inputs import open_scenes
from darts_train.inference.places import scene_places
from darts_train.inference.scene_maps import check_places, map_scenes
from darts_train.inference.windows.streaming import Mapper
from darts_train.options.predicting import Maps, SceneFiles
from darts_train.scenes.satellite import SatelliteScene

from .scenes import BANDS, UTM, point_model, write_scene


def open_all(*given, out_dir=None):
    return open_scenes(SceneFiles(input=tuple(given)), point_model(), FeatureStack(BANDS), out_dir)


def mapped(path, out_dir):
    mapper = Mapper(point_model(), FeatureStack(BANDS), 32, 8, 4)
    (found,) = map_scenes(mapper, open_all(path), Maps(out_dir=out_dir))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes")
    scene = write_scene(root / "b.tif", 20, 20)
    (root / "deep" / "er").mkdir(parents=True)
    shutil.copy(scene, root / "deep" / "er" / "a.TIF")
    (root / "site").mkdir()
    shutil.copy(scene, root / "site" / "20210818_T08WMU_x_SR.tif")
    for name in ("notes.txt", ".hidden.tif", "table.csv"):
        (root / name).write_text("nothing")
    (root / "maps" / "b").mkdir(parents=True)
    shutil.copy(scene, root / "maps" / "b" / "classes.tif")
    return root


def test_a_folder_is_searched(folder):
    found = scene_places([folder], folder / "maps")
    assert [str(path.relative_to(folder)) for path in found] == ["b.tif", "site", "deep/er/a.TIF"]
    (folder / "maps" / "b" / "map.json").write_text("{}")  # maps of an earlier call, wherever
    assert scene_places([folder]) == found


def test_scenes_of_a_folder_are_opened_by_their_kind(folder):
    scenes = open_all(folder, out_dir=folder / "maps")
    assert [scene.scene_id for scene in scenes] == ["b", "site_20210818_T08WMU_x", "a"]
    assert isinstance(scenes[1], SatelliteScene)
    assert (scenes[1].date, list(scenes[1].bands)) == ("2021-08-18", ["blue", "green", "red", "nir"])


def test_a_safe_product_is_one_scene(tmp_path):
    product = tmp_path / "S2A_MSIL2A_20210818.SAFE"
    (product / "GRANULE").mkdir(parents=True)
    (product / "GRANULE" / "quicklook.jp2").touch()
    assert scene_places([tmp_path]) == [product]
    with pytest.raises(UserError, match="MTD_MSIL2A"):
        open_all(product)


@pytest.mark.parametrize("mark", ["", "@"])
def test_a_list_names_paths_from_where_it_lies(folder, mark):
    place = folder / ("list.txt" if not mark else "list")
    place.write_text("# scenes\n\nb.tif\ndeep/er/a.TIF\n", encoding="utf-8")
    assert scene_places([Path(f"{mark}{place}")]) == [folder / "b.tif", folder / "deep/er/a.TIF"]
    place.unlink()


@pytest.mark.parametrize(
    ("text", "words"),
    [(b"# nothing\n", "names no path"), (b"\xff\xfe", "cannot be read"), (b"gone.tif", "gone.tif does not exist")],
)
def test_lists_that_cannot_be(tmp_path, text, words):
    (tmp_path / "list.txt").write_bytes(text)
    with pytest.raises(UserError, match=words):
        scene_places([tmp_path / "list.txt"])


def test_an_empty_folder_and_names_that_come_twice(tmp_path, folder):
    with pytest.raises(UserError, match="no scene in"):
        scene_places([tmp_path])
    with pytest.raises(UserError, match="cannot be read"):
        scene_places([Path(f"@{tmp_path}/absent")])
    with pytest.raises(UserError, match="both named b"):
        open_all(folder / "b.tif", folder / "b.tif")


def test_a_file_without_bands_is_refused(tmp_path):
    path = tmp_path / "none.vrt"
    path.write_text('<VRTDataset rasterXSize="20" rasterYSize="20"></VRTDataset>')
    with pytest.raises(UserError, match=r"none.vrt: cannot be read as a raster"):
        open_all(path)


def test_a_turned_scene_lies_where_it_lay(tmp_path):
    turn = Affine(8.66, 5.0, 500000, 5.0, -8.66, 7600000)
    path = write_scene(tmp_path / "turned.tif", 40, 50, hole=False)
    with rasterio.open(path, "r+") as dataset:
        dataset.transform = turn
    found = mapped(path, tmp_path / "maps")
    with rasterio.open(found.classes) as dataset:
        assert dataset.transform.almost_equals(turn, 1e-6)
        assert dataset.crs == rasterio.CRS.from_string(UTM)
        positive = int((dataset.read(1) == 1).sum())
    frame = gpd.read_file(found.segments)
    assert frame["area_m2"].sum() == pytest.approx((8.66**2 + 25) * positive)
    centre = (500000 + 8.66 * 25 + 5 * 20, 7600000 + 5 * 25 - 8.66 * 20)
    assert np.hypot(*(np.array([*frame.union_all().centroid.coords[0]]) - centre)) < 150


def test_a_scene_of_no_data_smaller_than_a_window_without_place(tmp_path, caplog):
    path = write_scene(tmp_path / "empty.tif", 10, 12, crs=None)
    with rasterio.open(path, "r+") as dataset:
        dataset.write(np.zeros((4, 10, 12), np.uint16))
    found = mapped(path, tmp_path / "maps")
    with rasterio.open(found.classes) as dataset:
        assert dataset.read(1).shape == (10, 12)
        assert (dataset.read(1) == 255).all()
    assert found.polygons == len(gpd.read_file(found.segments)) == 0
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"{path}: no pixel has data in any band; the map is empty"]


@pytest.mark.parametrize("name", ["..tif", "...tif", "new\nline.tif", "t\tab.tif", "escape\x1b.tif"])
def test_a_name_that_no_map_can_have(tmp_path, name):
    write_scene(tmp_path / "s.tif", 20, 20).rename(tmp_path / name)
    with pytest.raises(UserError, match=r"--input: .* no map can be named .*; rename the file"):
        open_all(tmp_path / name, out_dir=tmp_path / "maps")
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize("name", [".hidden.tif", "ü ö.tif", 'it\'s "x".tif', "..x.tif", "no\u00a0break.tif"])
def test_a_name_that_is_only_unusual(tmp_path, name):
    write_scene(tmp_path / "s.tif", 20, 20).rename(tmp_path / name)
    assert [scene.scene_id for scene in open_all(tmp_path / name)] == [name.removesuffix(".tif")]


def test_a_name_that_is_no_text(tmp_path):
    write_scene(tmp_path / "s.tif", 20, 20).rename(tmp_path / "byte\udcff.tif")
    with pytest.raises(UserError, match="is no text in UTF-8; rename it"):
        open_all(tmp_path)


SITE = 'ENGCRS["site",EDATUM["d"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["{}",{}]]'


@pytest.mark.parametrize(("unit", "metres"), [("metre", 1), ("foot", 0.3048)])
def test_areas_in_a_system_that_lies_nowhere_on_the_earth(tmp_path, unit, metres):
    scene = write_scene(tmp_path / "s.tif", 40, 40)
    with rasterio.open(scene, "r+") as dataset:
        dataset.crs = rasterio.crs.CRS.from_wkt(SITE.format(unit, metres))
    frame = gpd.read_file(mapped(scene, tmp_path / "maps").segments)
    assert len(frame)
    np.testing.assert_allclose(frame["area_m2"], frame["pixels"] * 9.0 * metres**2)


def test_what_is_no_map_is_not_replaced(tmp_path):
    scene, foreign = write_scene(tmp_path / "s.tif", 20, 20), tmp_path / "maps" / "s" / "notes.txt"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")
    with pytest.raises(UserError, match=r"maps/s is no map, so it is not replaced"):
        check_places(Maps(out_dir=tmp_path / "maps", overwrite=True), open_all(scene))
    assert foreign.read_text() == "mine"
    foreign.unlink()
    check_places(Maps(out_dir=tmp_path / "maps", overwrite=True), open_all(scene))


def test_a_scene_of_a_damaged_header_is_refused_before_its_windows_are_counted(tmp_path):
    band = '<VRTRasterBand dataType="UInt16" band="{}"><Description>{}</Description></VRTRasterBand>'
    bands = "".join(band.format(i + 1, name) for i, name in enumerate(("blue", "green", "red", "nir")))
    path = tmp_path / "wide.vrt"
    path.write_text(f'<VRTDataset rasterXSize="2000000000" rasterYSize="50">{bands}</VRTDataset>')
    with pytest.raises(UserError, match=r"wide\.vrt: 2000000000 x 50 pixels; a scene has at most 16777216"):
        open_all(path)
