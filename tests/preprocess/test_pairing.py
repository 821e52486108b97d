"""Which image belongs to which labels, parts of a set, labels on other pixels, and what is no data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from darts_train.base.errors import UserError
from darts_train.dataset.reader import TrainData
from darts_train.dataset.set_config import SetConfig
from darts_train.options.pairing import Pairing
from darts_train.options.preprocessing import Output, Parallel, Patches, Raster
from darts_train.preprocess.pairing.pairs import find_pairs
from darts_train.preprocess.raster import preprocess_raster_train_data
from tests.support.geo import CELL, ORIGIN, write_raster

NAMES = {"image_pattern": "{id}_satellite.tif", "label_pattern": "{id}_kelp.tif"}


def pairs_of(raster=None, **pairing):
    return find_pairs(Raster(**(raster or {})), Pairing(**pairing))


def touched(root: Path, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def ids(found):
    return [(pair.sample_id, pair.label.name if pair.label else None) for pair in found.pairs]


class TestDirectories:
    def test_splits_become_a_column(self, tmp_path):
        names = ["train/images/b.tif", "train/images/a.TIFF", "train/labels/deep/a.tif", "train/labels/b.tif"]
        root = touched(tmp_path, *names, "val/images/c.tif", "val/masks/c.png", "other/images/d.tif")
        found = pairs_of(pairs_dir=root)
        assert ids(found) == [("a", "a.tif"), ("b", "b.tif"), ("c", "c.png")]
        assert [pair.columns["split"] for pair in found.pairs] == ["train", "train", "val"]
        assert found.pairs[0].source == "train/images/a.TIFF"
        assert list(map(str, found.columns)) == ["split: text"]
        assert ids(pairs_of(pairs_dir=root, splits=("val",))) == [("c", "c.png")]
        assert ids(pairs_of(pairs_dir=root, only=("b", "c.tif"))) == [("b", "b.tif"), ("c", "c.png")]

    def test_patterns_over_one_directory(self, tmp_path):
        names = ["x/AB1_satellite.tif", "x/AB1_kelp.tif", "ab2_Satellite.TIF", "note.tif", ".hidden/z_satellite.tif"]
        root = touched(tmp_path, *names)
        found = pairs_of({"image_dir": root}, **NAMES)
        assert sorted(ids(found)) == [("AB1", "AB1_kelp.tif"), ("ab2", None)]

    def test_patterns_of_paths(self, tmp_path):
        root = touched(tmp_path, "s1/image.tif", "s1/mask.tif", "s2/image.tif", "s2/mask.tif")
        found = pairs_of({"image_dir": root}, image_pattern="{id}/image.tif", label_pattern="{id}/m*.tif")
        assert ids(found) == [("s1", "mask.tif"), ("s2", "mask.tif")]

    @pytest.mark.parametrize(
        ("names", "raster", "pairing", "message"),
        [
            ([], {}, {"pairs_dir": ""}, "none of the directories train, val, test"),
            (["train/images/a.tif"], {}, {"pairs_dir": ""}, "has no directory labels"),
            (["train/labels/a.tif"], {}, {"pairs_dir": ""}, r"--pairs-dir: .*images does not exist"),
            (["a.tif"], {"image_dir": ""}, {"image_pattern": "*.tif", "label_pattern": "{id}"}, r"must have \{id\}"),
            (["a.tif"], {"image_dir": ""}, NAMES, r"no image in .* \(\{id\}_satellite.tif\)"),
            (["a.tif"], {"image_dir": "", "table": "a.tif"}, {}, "either --table, or"),
            (["a.tif"], {"table": "a.tif"}, NAMES, "are for directories"),
        ],
    )
    def test_what_is_refused(self, tmp_path, names, raster, pairing, message):
        root = touched(tmp_path, *names)
        placed = [{k: root / v if k.endswith(("dir", "table")) else v for k, v in d.items()} for d in (raster, pairing)]
        with pytest.raises(UserError, match=message):
            pairs_of(placed[0], **placed[1])

    def test_two_files_with_one_stem(self, tmp_path):
        labels = ["train/labels/a.tif", "val/labels/a.tif"]
        root = touched(tmp_path, "train/images/a.tif", "val/images/a.tif", *labels)
        with pytest.raises(UserError, match=r"Two images have the id a: .*train/images/a.tif and .*val/images/a.tif"):
            pairs_of(pairs_dir=root)
        touched(root, "train/labels/sub/a.gpkg")
        with pytest.raises(UserError, match=r"several labels of a: a\.tif, sub/a\.gpkg"):
            pairs_of(pairs_dir=root)

    def test_parts_that_are_not_there(self, tmp_path):
        root = touched(tmp_path, "train/images/abc.tif", "train/labels/abc.tif")
        with pytest.raises(UserError, match="--splits: there is no tran; nearest: train; there are train"):
            pairs_of(pairs_dir=root, splits=("tran",))
        with pytest.raises(UserError, match="--only: there is no abd; nearest: abc"):
            pairs_of(pairs_dir=root, only=("abd",))
        with pytest.raises(UserError, match="--splits: splits are known from"):
            pairs_of({"image_dir": root / "train/images", "label_dir": root / "train/labels"}, splits=("train",))


class TestTables:
    def table(self, tmp_path, text):
        touched(tmp_path, "a.tif", "b.tif", "m.tif")
        (tmp_path / "t.csv").write_text(text)
        return {"table": tmp_path / "t.csv"}

    def test_further_columns_are_typed(self, tmp_path):
        text = "image,label,site,depth,checked,code,split\na.tif,m.tif,x,1.5,yes,007,train\nb.tif,m.tif,,,no,012,val\n"
        found = pairs_of(self.table(tmp_path, text))
        kinds = ["site: text", "depth: number", "checked: flag", "code: text", "split: text"]
        assert list(map(str, found.columns)) == kinds
        first, second = (pair.columns for pair in found.pairs)
        assert first == {"site": "x", "depth": 1.5, "checked": True, "code": "007", "split": "train"}
        assert (second["site"], second["depth"]) == (None, None)
        assert ids(pairs_of(self.table(tmp_path, text), splits=("val",))) == [("b", "m.tif")]

    def test_parquet_says_its_types(self, tmp_path):
        touched(tmp_path, "a.tif", "m.tif")
        frame = pd.DataFrame({"image": ["a.tif"], "label": ["m.tif"], "n": [3], "ok": [True], "id": ["12"]})
        frame.to_parquet(tmp_path / "t.parquet")
        found = pairs_of({"table": tmp_path / "t.parquet"})
        assert found.pairs[0].columns == {"n": 3.0, "ok": True, "id": "12"}

    def test_paths_that_are_not_there_are_listed(self, tmp_path):
        with pytest.raises(UserError, match=r"row 1: no file .*x\.tif, row 2: no file .*y\.tif"):
            pairs_of(self.table(tmp_path, "image,label\nx.tif,m.tif\na.tif,y.tif\n"))

    def test_a_column_that_every_set_has(self, tmp_path):
        with pytest.raises(UserError, match=r"--table: .*empty is a column already; choose another name"):
            pairs_of(self.table(tmp_path, "image,label,empty\na.tif,m.tif,1\n"))


SIDE = 24


def counts(bands=3, side=SIDE, seed=0):
    return np.random.default_rng(seed).integers(1, 250, (bands, side, side)).astype(np.uint8)


def make(root, raster=None, pairing=None, **cut):
    cut = {"patch_size": 8, "overlap": 0, "exclude_nan": False, "min_valid_fraction": 0.0, **cut}
    return preprocess_raster_train_data(
        Raster(**(raster or {})),
        Output(train_data_dir=root),
        Patches(**cut),
        Parallel(workers=1),
        pairing=Pairing(**(pairing or {})),
    )


def pair(tmp_path, labels, values=None, image=None, **place):
    """Options of one image with its labels, in directories."""
    write_raster(tmp_path / "images" / "a.tif", counts() if values is None else values, **(image or {}))
    write_raster(tmp_path / "labels" / "a.tif", labels, **place)
    return {"image_dir": tmp_path / "images", "label_dir": tmp_path / "labels"}


def mosaic(root, side=SIDE, size=8):
    """x and y of a set of one image, put together again by the windows of its rows."""
    data = TrainData.open(root)
    x, y = np.zeros((len(data.bands), side, side), np.uint16), np.zeros((side, side), np.uint8)
    for i, row in data.metadata.iterrows():
        place = np.s_[row.y : row.y + size, row.x : row.x + size]
        part = np.s_[: min(size, side - row.y), : min(size, side - row.x)]
        patch, labels = data.read(i)
        x[:, *place], y[place] = patch[:, *part], labels[part]
    return x, y


def test_a_part_is_added_to_a_part(tmp_path):
    for split, name, seed in (("train", "a", 0), ("val", "b", 1)):
        write_raster(tmp_path / split / "images" / f"{name}.tif", counts(seed=seed))
        write_raster(tmp_path / split / "labels" / f"{name}.tif", (counts(1, seed=seed) > 99).astype(np.uint8))
    first = make(tmp_path / "set", pairing={"pairs_dir": tmp_path, "splits": ("train",)})
    second = make(tmp_path / "set", pairing={"pairs_dir": tmp_path, "only": ("b",)})
    whole = make(tmp_path / "whole", pairing={"pairs_dir": tmp_path})
    assert (first.scenes, second.scenes, whole.patches) == (1, 2, 18)
    assert second.data_hash == whole.data_hash
    metadata = pd.read_parquet(tmp_path / "set" / "metadata.parquet")
    assert metadata.groupby("sample_id")["split"].first().to_dict() == {"a": "train", "b": "val"}
    assert not {"splits", "only"} & set(SetConfig.read(tmp_path / "set" / "config.toml").settings)


class TestAlign:
    def test_labels_come_onto_the_image(self, tmp_path):
        labels = np.repeat(np.repeat(np.arange(36, dtype=np.uint8).reshape(6, 6) % 2, 2, 0), 2, 1)[:8, :8]
        options = pair(tmp_path, labels, origin=(ORIGIN[0] + 4 * CELL, ORIGIN[1] - 4 * CELL), cell=2 * CELL)
        with pytest.raises(UserError, match=r"pixel size 6 x 6 against 3 x 3\. --align"):
            make(tmp_path / "set", options)
        make(tmp_path / "set", options, {"align": True})
        expected = np.full((SIDE, SIDE), 255, np.uint8)
        expected[4:20, 4:20] = np.repeat(np.repeat(labels, 2, 0), 2, 1)
        assert np.array_equal(mosaic(tmp_path / "set")[1], expected)
        assert SetConfig.read(tmp_path / "set" / "config.toml").settings["align"] is True

    def test_another_coordinate_system(self, tmp_path):
        from rasterio.warp import transform

        labels = np.zeros((400, 400), np.uint8)
        labels[:, 200:] = 1
        (lon,), (lat,) = transform("EPSG:32608", "EPSG:4326", [ORIGIN[0] + 12 * CELL], [ORIGIN[1] - 12 * CELL])
        cell = 1e-5
        options = pair(tmp_path, labels, origin=(lon - 200 * cell, lat + 200 * cell), cell=cell, crs="EPSG:4326")
        with pytest.raises(UserError, match=r"400 x 400 pixels against 24 x 24; EPSG:4326 against EPSG:32608"):
            make(tmp_path / "set", options)
        make(tmp_path / "set", options, {"align": True})
        y = mosaic(tmp_path / "set")[1]
        assert (y[4:20, :10] == 0).any()
        assert (y[4:20, 14:] == 1).any()
        assert set(np.unique(y[:, :10])) | {255} == {0, 255}
        assert set(np.unique(y[:, 14:])) | {255} == {1, 255}

    def test_zero_that_is_no_data_and_a_class_ends_where_the_label_ends(self, tmp_path):
        labels = np.zeros((8, 8), np.uint8)
        place = {"origin": (ORIGIN[0] + 8 * CELL, ORIGIN[1] - 8 * CELL), "nodata": 0}
        options = pair(tmp_path, labels, **place) | {"remap": "0:0,1:1"}
        make(tmp_path / "set", options, {"align": True})
        y = mosaic(tmp_path / "set")[1]
        assert (y[8:16, 8:16] == 0).all()
        assert (y == 0).sum() == 64

    def test_what_cannot_be_aligned(self, tmp_path):
        options = pair(tmp_path, np.zeros((9, 9), np.uint8), origin=(ORIGIN[0] + 9999, ORIGIN[1]))
        with pytest.raises(UserError, match="does not overlap"):
            make(tmp_path / "set", options, {"align": True})
        with pytest.warns(match="no geotransform"):
            write_raster(tmp_path / "labels" / "a.tif", np.zeros((9, 9), np.uint8), origin=None)
        with pytest.raises(UserError, match=r"cannot be aligned with .*: a\.tif has no georeference"):
            make(tmp_path / "set", options, {"align": True})

    def test_all_that_do_not_fit_are_listed(self, tmp_path, caplog):
        for name in "abc":
            write_raster(tmp_path / "images" / f"{name}.tif", counts())
            write_raster(tmp_path / "labels" / f"{name}.tif", counts(1), origin=(ORIGIN[0] + CELL, ORIGIN[1]))
        with pytest.raises(UserError, match=r"3 of 3 pairs cannot be used: a, b, c"):
            make(tmp_path / "set", {"image_dir": tmp_path / "images", "label_dir": tmp_path / "labels"})
        assert caplog.text.count("shifted by 1 pixels. --align brings labels") == 3


class TestNoData:
    def test_zero_in_all_bands_and_in_one(self, tmp_path):
        values = counts()
        values[:, 2:5, 3:9], values[0, 12, 12] = 0, 0
        options = pair(tmp_path, np.ones((SIDE, SIDE), np.uint8), values, {"nodata": 0})
        make(tmp_path / "set", options, {"zero_is_nodata": True})
        x, y = mosaic(tmp_path / "set")
        black = (values == 0).all(axis=0)
        assert np.array_equal(y, np.where(black, 255, 1))
        assert np.array_equal(x, np.where(black, 65535, values.astype(int)))
        make(tmp_path / "by_value", options)
        assert np.array_equal(mosaic(tmp_path / "by_value")[1], np.where((values == 0).any(axis=0), 255, 1))

    def test_only_the_bands_that_are_stored(self, tmp_path):
        values = counts(4)
        values[:3, :4] = 0
        options = pair(tmp_path, np.ones((SIDE, SIDE), np.uint8), values, {"descriptions": ("r", "g", "b", "qa")})
        make(tmp_path / "set", options | {"bands": ("r", "g", "b")}, {"zero_is_nodata": True})
        assert np.array_equal(mosaic(tmp_path / "set")[1][:, 0] == 255, np.arange(SIDE) < 4)

    @pytest.mark.parametrize("given", [{}, {"nodata": 7.0}])
    def test_a_mask_or_alpha_counts_beside_a_value(self, tmp_path, given):
        values = np.concatenate([counts(), np.full((1, SIDE, SIDE), 255, np.uint8)])
        values[3, :5], values[:3, 10] = 0, 7
        options = pair(tmp_path, np.zeros((SIDE, SIDE), np.uint8), values, {"photometric": "RGB", "alpha": "yes"})
        make(tmp_path / "set", options | given)
        ignored = (mosaic(tmp_path / "set")[1] == 255).all(axis=1)
        assert ignored[:5].all()
        assert ignored[10] == bool(given)


class TestEdges:
    @pytest.mark.parametrize(("edge", "patches"), [("shift", 9), ("pad", 9), ("drop", 4)])
    def test_the_last_patch(self, tmp_path, edge, patches):
        labels = (counts(1) > 120).astype(np.uint8)[0]
        options = pair(tmp_path, labels)
        assert make(tmp_path / "set", options, patch_size=10, edge=edge).patches == patches
        x, y = mosaic(tmp_path / "set", size=10)
        part = np.s_[:20, :20] if edge == "drop" else np.s_[:, :]
        assert np.array_equal(x[:, *part], counts()[:, *part])
        assert np.array_equal(y[part], labels[part])
        data = TrainData.open(tmp_path / "set")
        last, classes = data.read(len(data) - 1)
        padded = (last == 65535).all(axis=0)
        assert padded.sum() == (84 if edge == "pad" else 0)
        assert (classes[padded] == 255).all()

    @pytest.mark.parametrize(("edge", "patches"), [("shift", 1), ("pad", 1), ("drop", 0)])
    def test_an_image_smaller_than_a_patch(self, tmp_path, edge, patches):
        options = pair(tmp_path, np.zeros((SIDE, SIDE), np.uint8))
        if patches:
            assert make(tmp_path / "set", options, patch_size=32, edge=edge).patches == patches
            return
        with pytest.raises(UserError, match=r"No scene can be used \(1: smaller than a patch \(24 x 24 pixels\)"):
            make(tmp_path / "set", options, patch_size=32, edge=edge)


class TestFloats:
    def test_a_declared_step(self, tmp_path):
        values = np.linspace(-0.05, 1.2, 3 * SIDE * SIDE, dtype=np.float32).reshape(3, SIDE, SIDE)
        options = pair(tmp_path, np.zeros((SIDE, SIDE), np.uint8), values) | {"scale": 1e-4, "offset": -0.1}
        make(tmp_path / "set", options)
        config = SetConfig.read(tmp_path / "set" / "config.toml")
        band = config.bands[0]
        assert config.settings["float_steps"] is True
        assert (band.scale, band.offset) == (1e-4, -0.1)
        assert np.abs(mosaic(tmp_path / "set")[0] * 1e-4 - 0.1 - values).max() <= 0.51e-4

    def test_a_step_that_does_not_reach(self, tmp_path):
        values = counts().astype(np.float32) * 40
        options = pair(tmp_path, np.zeros((SIDE, SIDE), np.uint8), values)
        with pytest.raises(UserError, match=r"a\.tif: band band_1 has values from .* end at 6\.5534"):
            make(tmp_path / "set", options | {"scale": 1e-4})
        with pytest.raises(UserError, match="--offset of a float image wants --scale"):
            make(tmp_path / "set", options | {"offset": 1.0})


class TestLabelValues:
    def test_what_is_understood_is_logged_and_kept(self, tmp_path, caplog):
        labels = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE) % 3
        options = pair(tmp_path, labels) | {"remap": "0 0 1 -100 2 1"}
        with caplog.at_level("INFO", "darts"):
            make(tmp_path / "set", options, {"remap_format": "pairs"})
        assert "label values: 0 is 0 (background), 1 is ignored, 2 is 1 (positive)" in caplog.text
        settings = SetConfig.read(tmp_path / "set" / "config.toml").settings
        assert settings["label_mapping"] == "0:0,1:-100,2:1"
        assert np.array_equal(mosaic(tmp_path / "set")[1], np.array([0, 255, 1])[labels])

    def test_an_even_list_could_be_pairs(self, tmp_path, caplog):
        labels = np.zeros((SIDE, SIDE), np.uint8)
        options = pair(tmp_path, labels) | {"remap": "0,1,1,0"}
        make(tmp_path / "set", options)
        assert "is read as a list; as pairs it would be 0:1,1:0. Say which with --remap-format" in caplog.text
        assert SetConfig.read(tmp_path / "set" / "config.toml").settings["label_mapping"] == "0:0,1:1,2:1,3:0"

    def test_values_beyond_the_list(self, tmp_path, caplog):
        labels = np.zeros((SIDE, SIDE), np.uint8)
        labels[0, :5] = 9
        options = pair(tmp_path, labels) | {"remap": "0,1,-100"}
        with pytest.raises(UserError, match=r"9 \(5 pixels, .*or --unmapped ignore"):
            make(tmp_path / "set", options)
        make(tmp_path / "set", options, {"unmapped": "ignore"})
        assert "ignored: 9 (5 pixels" in caplog.text
        assert (mosaic(tmp_path / "set")[1][0, :6] == [255] * 5 + [0]).all()

    def test_fractions(self, tmp_path):
        options = pair(tmp_path, np.linspace(0, 1, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE))
        for unmapped in ("refuse", "ignore"):
            with pytest.raises(UserError, match=r"a\.tif: labels are whole numbers, but 574 pixels are fractions"):
                make(tmp_path / "set", options, {"unmapped": unmapped})

    def test_two_bands_beside_three(self, tmp_path):
        options = pair(tmp_path, np.zeros((SIDE, SIDE), np.uint8), image={"photometric": "RGB"})
        write_raster(tmp_path / "images" / "b.tif", counts(2))
        write_raster(tmp_path / "labels" / "b.tif", np.zeros((SIDE, SIDE), np.uint8))
        with pytest.raises(
            UserError, match=r"a\.tif has red, green, blue, but .*b\.tif has band_1, band_2; .*--band-names"
        ):
            make(tmp_path / "set", options)
        with pytest.raises(UserError, match=r"b\.tif: 2 bands in the file, 3 names given \(red, green, blue\)"):
            make(tmp_path / "set", options | {"band_names": ("red", "green", "blue")})
