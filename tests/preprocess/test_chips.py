"""import-chips and export-chips: what comes in, what goes out again, and what users give by mistake."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.dataset.checks import validate_train_data
from darts_train.dataset.reader import TrainData
from darts_train.options.chips import Chips, ChipSet, ExportChips
from darts_train.options.preprocessing import Inspect, Parallel
from darts_train.preprocess import chip_tiles
from darts_train.preprocess.export_chips import Counts, export_chips
from darts_train.preprocess.import_chips import import_chips
from darts_train.raster.band import NODATA, Band
from tests.support.sets import make_set

SIZE = 16


def chip(seed=0, size=SIZE, bands=3, dtype=np.uint8, high=255):
    rng = np.random.default_rng(seed)
    image = rng.integers(1, high, (size, size, bands)).astype(dtype)
    label = rng.integers(0, 2, (size, size)).astype(np.int64)
    label[0, :3] = -100
    return image, label


def save(path: Path, image, label=None, **further):
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = {} if label is None else {"label": label}
    np.savez_compressed(path, image=image, **labels, **further)
    return path


def mosaic(root: Path, name="site", count=3, split="train", **how):
    return [save(root / split / f"{name}_{i}.npz", *chip(i, **how)) for i in range(count)]


def imported(place, root, workers=1, out=None, **options):
    places = place if isinstance(place, tuple) else (place,)
    out = ChipSet(train_data_dir=root, **(out or {}))
    return import_chips(Chips(chips_dir=places, **options), out, Parallel(workers=workers))


def exported(root, out, **options):
    return export_chips(ExportChips(train_data_dir=root, out_dir=out, **options))


def test_npz_chips_of_mosaics(tmp_path):
    mosaic(tmp_path / "chips", "b_7", 2, "val")
    files = mosaic(tmp_path / "chips", "a", 12)
    summary = imported(tmp_path / "chips", tmp_path / "set")
    assert (summary.scenes, summary.patches) == (2, 14)
    data = TrainData.open(tmp_path / "set")
    rows = data.metadata
    assert rows["sample_id"].tolist() == ["a"] * 12 + ["b_7"] * 2
    assert rows["patch_id"].tolist() == [*range(12), 0, 1]  # 10 comes after 9
    assert rows["split"].tolist() == ["train"] * 12 + ["val"] * 2
    assert rows["group"].tolist() == rows["sample_id"].tolist()
    assert rows["source"][11] == "train/a_11.npz"
    with np.load(files[11]) as file:
        x, y = data.read(11)
        assert np.array_equal(x, file["image"].transpose(2, 0, 1))
        assert np.array_equal(y, np.where(file["label"] == -100, 255, file["label"]))
    assert validate_train_data(Inspect(train_data_dir=tmp_path / "set")).ok


def test_black_pixels_of_npz_files_are_no_data_and_never_background(tmp_path):
    image, label = chip()
    image[4:6], label[4:6] = 0, 0
    save(tmp_path / "chips" / "a_0.npz", image, label)
    imported(tmp_path / "chips", tmp_path / "set")
    imported(tmp_path / "chips", tmp_path / "kept", black="data")
    (x, y), (kept, label_kept) = TrainData.open(tmp_path / "set").read(0), TrainData.open(tmp_path / "kept").read(0)
    assert (x[:, 4:6] == NODATA).all() and (y[4:6] == 255).all()
    assert (kept[:, 4:6] == 0).all() and (label_kept[4:6] == 0).all()


@pytest.mark.parametrize("values", ["counts", "physical"])
def test_what_was_exported_comes_back(tmp_path, values):
    make_set(tmp_path / "set", patches=6, size=SIZE, classes=3, nodata=True)
    before = TrainData.open(tmp_path / "set")
    exported(tmp_path / "set", tmp_path / "out", values=values)
    names = tuple(band.name for band in before.bands)
    how = {"scale": 1e-4} if values == "counts" else {}
    imported(tmp_path / "out", tmp_path / "again", band_names=names, classes=("background", "class1", "class2"), **how)
    after = TrainData.open(tmp_path / "again")
    keys = ["sample_id", "patch_id"]
    assert after.metadata[keys].equals(before.metadata[keys])
    for i in range(len(before)):
        (x, y), (x2, y2) = before.read(i), after.read(i)
        assert np.array_equal(y, y2)
        assert np.array_equal(x == NODATA, x2 == NODATA)
        for band in range(3):
            a, b = before.bands[band], after.bands[band]
            valid = x[band] != NODATA
            was, is_ = a.offset + a.scale * x[band][valid], b.offset + b.scale * x2[band][valid]
            assert np.abs(was - is_).max() < 1e-9 + (values == "physical") * 0.51 * (a.scale + b.scale)


def test_bytes_come_back_with_the_same_hash(tmp_path):
    image, label = chip()
    save(tmp_path / "chips" / "val" / "a_3.npz", image, label, valid=np.arange(SIZE * SIZE).reshape(SIZE, SIZE) % 9 > 0)
    first = imported(tmp_path / "chips", tmp_path / "set")
    summary = exported(tmp_path / "set", tmp_path / "out")
    assert (summary.dtype, summary.chips) == ("uint8", {"val": 1})
    with np.load(tmp_path / "out" / "val" / "a_3.npz") as file:
        assert set(file.files) == {"image", "label", "valid"}
        assert (file["image"].dtype, file["label"].dtype) == (np.uint8, np.int64)
        assert file["label"].min() == -100
    assert imported(tmp_path / "out", tmp_path / "again").data_hash == first.data_hash


@given(st.floats(1e-6, 100), st.integers(-40000, 40000), st.integers(0, NODATA - 1))
@settings(max_examples=50)
def test_counts_are_values_in_steps(scale, shift, code):
    counts = Counts.of([Band("a", scale, shift * scale, 0, 1)], narrow=False)
    assert counts is not None
    image = counts.image(np.array([[[code, NODATA]]], np.uint16))
    assert image[0, 0].tolist() == [code + shift, 0]


def test_measured_steps_have_no_counts():
    assert Counts.of([Band("a", 0.3, 0.1, 0, 1)], narrow=False) is None
