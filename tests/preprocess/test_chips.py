"""import-chips and export-chips: what comes in, what goes out again, and what users give by mistake."""

import itertools
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
from darts_train.preprocess.chips import tiles as chip_tiles
from darts_train.preprocess.chips.export_chips import Counts, export_chips
from darts_train.preprocess.chips.import_chips import import_chips
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
    assert (x[:, 4:6] == NODATA).all()
    assert (y[4:6] == 255).all()
    assert not kept[:, 4:6].any()
    assert not label_kept[4:6].any()


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
    assert Counts.of([Band("a", 1e-9, 1e9, 0, 1)], narrow=False) is None  # whole, but beyond any type


def picture(path: Path, values, **profile):
    """Write bands [c, h, w] (or one, [h, w]) as a picture; the suffix says which."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.atleast_3d(values.T).T
    driver = {".png": "PNG", ".tif": "GTiff", ".jpg": "JPEG"}[path.suffix]
    count, height, width = values.shape
    with rasterio.open(
        path, "w", driver=driver, count=count, height=height, width=width, dtype=values.dtype.name, **profile
    ) as file:
        file.write(values)
    return path


@pytest.fixture
def pictures(tmp_path):
    """Two pictures and masks of a `val` folder, one more without a mask."""
    for i, name in enumerate(("a", "b", "c")):
        image, label = chip(i)
        picture(tmp_path / "chips" / "validation" / "images" / f"{name}.png", image.transpose(2, 0, 1))
        if name != "c":
            picture(tmp_path / "chips" / "validation" / "masks" / f"{name}.tif", label.clip(0).astype(np.uint8))
    return tmp_path / "chips"


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_folders_of_pictures_and_masks(pictures, tmp_path):
    summary = imported(pictures, tmp_path / "set")
    assert summary.left_out == (("c", "no labels"),)
    data = TrainData.open(tmp_path / "set")
    assert data.config.band_names == ("red", "green", "blue")
    assert data.metadata["split"].tolist() == ["val", "val"]
    assert data.metadata["source"].tolist() == ["validation/images/a.png", "validation/images/b.png"]
    assert data.metadata["group"].isna().all()
    image, label = chip(1)
    assert np.array_equal(data.read(1)[0], image.transpose(2, 0, 1))
    assert np.array_equal(data.read(1)[1], label.clip(0))
    scenes = pd.read_parquet(tmp_path / "set" / "scenes.parquet").set_index("scene_id")
    assert (scenes["status"]["c"], scenes["reason"]["c"]) == ("left out", "no labels")


def shard(path: Path, cells, image="image", label="label", groups=2, **further):
    """Write pairs of pictures' bytes as a shard of structs with bytes and path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = further.pop("paths", [None] * len(cells))
    columns = {
        image: [{"bytes": pair[0], "path": name} for pair, name in zip(cells, names, strict=True)],
        label: [pair[1] if pair[1] is None else {"bytes": pair[1], "path": None} for pair in cells],
    }
    pq.write_table(pa.table(columns | further), path, row_group_size=groups)
    return path


def encoded(tmp_path, seed):
    image, label = chip(seed)
    one = picture(tmp_path / "one.png", image.transpose(2, 0, 1)).read_bytes()
    return one, picture(tmp_path / "other.png", label.clip(0).astype(np.uint8)).read_bytes()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(("image", "label"), [("image", "label"), ("image.tif", "label.tif")])
def test_shards_of_a_hub(tmp_path, image, label):
    cells = [encoded(tmp_path, seed) for seed in range(5)]
    cells[2] = (cells[2][0], None)
    folder = tmp_path / "hub" / "data"
    names = ["x/m_0.png", "x/n_0.png", "x/m_1.png", "x/m_2.png", "x/n_1.png"]
    shard(folder / "train-00000-of-00001.parquet", cells, image, label, paths=names)
    shard(folder / "test-00000-of-00001.parquet", cells[:1], image, label, paths=["y/o_0.png"])
    summary = imported(tmp_path / "hub", tmp_path / "set")
    assert (summary.scenes, summary.patches, summary.left_out) == (3, 5, (("m_1", "no labels"),))
    rows = TrainData.open(tmp_path / "set").metadata
    assert rows["sample_id"].tolist() == ["o", "m", "n", "m", "n"]  # shards by name, rows as they come
    assert rows["patch_id"].tolist() == [0, 0, 0, 2, 1]
    assert rows["split"].tolist() == ["test"] + ["train"] * 4
    data = TrainData.open(tmp_path / "set")
    for row, seed in enumerate((0, 0, 1, 3, 4)):
        assert np.array_equal(data.read(row)[0], chip(seed)[0].transpose(2, 0, 1))
        assert np.array_equal(data.read(row)[1], chip(seed)[1].clip(0))
    assert validate_train_data(Inspect(train_data_dir=tmp_path / "set")).ok


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_rows_without_names_are_numbered(tmp_path):
    cells = [encoded(tmp_path, seed) for seed in range(3)]
    shard(tmp_path / "hub" / "train-0.parquet", cells[:2])
    shard(tmp_path / "hub" / "train-1.parquet", cells[2:])
    imported(tmp_path / "hub", tmp_path / "set")
    rows = TrainData.open(tmp_path / "set").metadata
    assert rows["sample_id"].tolist() == ["train-000000", "train-000001", "train-000002"]


def digests(root):
    return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != "lock"}


def test_a_killed_import_goes_on_with_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(chip_tiles, "TILE_PIXELS", 2 * SIZE**2)
    monkeypatch.setattr(chip_tiles, "FILES", 4)
    mosaic(tmp_path / "chips", "a", 5)
    mosaic(tmp_path / "chips", "b", 2)
    imported(tmp_path / "chips", tmp_path / "whole")
    for last in (2, 3, 2):
        with monkeypatch.context() as patch:
            patch.setattr(chip_tiles, "stage_tile", dying(chip_tiles.stage_tile, last))
            with pytest.raises(KeyboardInterrupt):
                imported(tmp_path / "chips", tmp_path / "killed")
    imported(tmp_path / "chips", tmp_path / "killed")
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")


def dying(function, last):
    """The function, that is interrupted at its call number `last`."""
    calls = itertools.count(1)

    def call(*args):
        if next(calls) == last:
            raise KeyboardInterrupt
        return function(*args)

    return call


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 5))
@settings(max_examples=30)
def test_tiles_of_a_scene_do_not_depend_on_others(counts, left):
    def tiles(scenes):
        refs = [chip_tiles.ChipRef(f"s{i}_{k}", Path("a.npz")) for i in scenes for k in range(counts[i])]
        pattern = chip_tiles.parse_pattern(r"(.+)_\d+")
        parts = chip_tiles.shared_out([chip_tiles.name_chip(ref, pattern) for ref in refs])
        plan = [tile for part in chip_tiles.plan_chip_tiles(parts, 2**11 // 3) for tile in part]
        assert [chip.ref for tile in plan for chip in tile.chips] == refs
        return {tile.key: (tile.chips, tile.last) for tile in plan}

    every = tiles(range(len(counts)))
    assert sum(last for _, last in every.values()) == len(counts)
    for key, tile in tiles([i for i in range(len(counts)) if i != left] or [0]).items():
        assert every[key] == tile


def test_called_again_it_adds_new_mosaics_and_refuses_changed_ones(tmp_path):
    mosaic(tmp_path / "chips", "b", 2)
    first = imported(tmp_path / "chips", tmp_path / "set")
    assert imported(tmp_path / "chips", tmp_path / "set").data_hash == first.data_hash
    mosaic(tmp_path / "chips", "a", 1)
    assert imported(tmp_path / "chips", tmp_path / "set").patches == 3
    mosaic(tmp_path / "chips", "b", 3)
    with pytest.raises(UserError, match="b was imported with 2 chips, and now has others"):
        imported(tmp_path / "chips", tmp_path / "set")
    assert imported(tmp_path / "chips", tmp_path / "set", out={"overwrite": True}).patches == 4


def test_groups_by_a_pattern_or_none(tmp_path):
    mosaic(tmp_path / "chips", "site1_x", 2)
    imported(tmp_path / "chips", tmp_path / "one", group_pattern="(site[0-9]+)_.*")
    imported(tmp_path / "chips", tmp_path / "two", group_pattern=None)
    one, two = (TrainData.open(tmp_path / name).metadata for name in ("one", "two"))
    assert (one["sample_id"].tolist(), one["group"].tolist()) == (["site1_x"] * 2, ["site1"] * 2)
    assert (two["sample_id"].tolist(), two["patch_id"].tolist()) == (["site1_x_0", "site1_x_1"], [0, 0])


def test_a_dry_run_writes_nothing(tmp_path):
    mosaic(tmp_path / "chips", "a", 2)
    summary = imported(tmp_path / "chips", tmp_path / "set", out={"dry_run": True})
    assert "would hold at most 2 patches of 1 scenes" in summary.summary()
    assert not (tmp_path / "set").exists()


def other(dtype=None, label=None, **how):
    """A chip with another label, or another type."""
    image, usual = chip(**how)
    return image, usual if label is None else label(usual) if callable(label) else label


BAD = {
    "an image of objects": (
        lambda p: save(p / "a_0.npz", np.array([{"a": 1}], object)), "holds pickled objects"),
    "an object beside": (
        lambda p: save(p / "a_0.npz", *chip(), meta=np.array([{"a": 1}], object)), "holds pickled objects"),
    "a pickle": (lambda p: (p / "a_0.npz").write_bytes(b"\x80\x04K\x01."), "is no NPZ"),
    "cut off": (
        lambda p: (p / "a_0.npz").write_bytes(save(p / "a_0.npz", *chip()).read_bytes()[:300]), "cut off"),
    "no image": (lambda p: np.savez(p / "a_0.npz", picture=chip()[0]), "has no key image; it has picture"),
    "float labels": (
        lambda p: save(p / "a_0.npz", *other(label=lambda y: y / 2)), "label is float64; classes are whole numbers"),
    "unknown values": (
        lambda p: save(p / "a_0.npz", *other(label=np.full((SIZE, SIZE), 7))), r"7 \(256 pixels, a_0\)"),
    "another size of label": (
        lambda p: save(p / "a_0.npz", chip()[0], np.zeros((8, SIZE), int)), "label of 8 x 16 pixels"),
    "channels first": (
        lambda p: save(p / "a_0.npz", np.ones((3, 8, 8), np.uint8), np.zeros((8, 8), int)), r"is \[c, h, w\]"),
    "not square": (
        lambda p: save(p / "a_0.npz", np.ones((8, 4, 3), np.uint8), np.zeros((8, 4), int)), "as wide as high"),
    "two sizes": (
        lambda p: [save(p / f"a_{i}.npz", *chip(size=8 * (1 + i // 2))) for i in range(3)], "8 x 8 of .*: 2 .*16 x 16"),
    "one stem": (
        lambda p: [save(p / part / "a_0.npz", *chip()) for part in ("train", "val")], "two chips are a_0"),
    "no labels at all": (lambda p: save(p / "a_0.npz", chip()[0]), "none of 1 chips has labels"),
    "nothing": (lambda p: None, "no NPZ file"),
    "several kinds": (
        lambda p: [save(p / "a_0.npz", *chip()), (p / "b.parquet").write_bytes(b"")], "one kind of chips"),
    "no parquet": (lambda p: (p / "b.parquet").write_bytes(b"no"), "not a readable parquet"),
    "no image column": (
        lambda p: pq.write_table(pa.table({"pixels": [b"a"]}), p / "b.parquet"), "--image-column"),
    "numbers for images": (
        lambda p: pq.write_table(pa.table({"image": [1]}), p / "b.parquet"), "not the bytes of pictures"),
    "no picture": (
        lambda p: shard(p / "b.parquet", [(b"no picture", b"")]), "image cannot be read"),
    "pictures without folders": (lambda p: (p / "a.png").write_bytes(b""), "no folder images"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_chips_that_cannot_be_used(tmp_path, what):
    make, message = BAD[what]
    (tmp_path / "chips").mkdir()
    make(tmp_path / "chips")
    with pytest.raises(UserError, match=message) as error:
        imported(tmp_path / "chips", tmp_path / "set")
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)
    assert not (tmp_path / "set").exists()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_pictures_that_cannot_be_used(pictures, tmp_path):
    masks = pictures / "validation" / "masks"
    picture(masks / "a.png", np.zeros((3, SIZE, SIZE), np.uint8))
    with pytest.raises(UserError, match=r"several files of the stem a: a\.png, a\.tif"):
        imported(pictures, tmp_path / "set")
    (masks / "a.tif").unlink()
    with pytest.raises(UserError, match="chip a: label has 3 bands"):
        imported(pictures, tmp_path / "set")
    picture(masks / "a.png", np.full((SIZE, SIZE), 200, np.uint8))
    with pytest.raises(UserError, match=r"200 .*--remap"):
        imported(pictures, tmp_path / "set")
    imported(pictures, tmp_path / "set", remap="0:0,1:1,200:1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group_pattern": "("}, "no regular expression"),
        ({"group_pattern": "site.*"}, "no parenthesis"),
        ({"band_names": ("red", "red", "blue")}, "--band-names"),
        ({"band_names": ("red",)}, "1 name|for 3 bands"),
        ({"classes": ("background",)}, "--classes"),
        ({"remap": "0:0,1:9"}, "9 is no class"),
    ],
)
def test_options_that_contradict(tmp_path, options, message):
    mosaic(tmp_path / "chips", "a", 1)
    with pytest.raises(UserError, match=message):
        imported(tmp_path / "chips", tmp_path / "set", **options)


def test_exported_chips_are_not_replaced_unasked(tmp_path):
    make_set(tmp_path / "set", patches=4, size=SIZE)
    exported(tmp_path / "set", tmp_path / "out", where="patch_id == 0")
    with pytest.raises(UserError, match="--overwrite replaces"):
        exported(tmp_path / "set", tmp_path / "out")
    assert exported(tmp_path / "set", tmp_path / "out", overwrite=True).chips == {".": 4}
    with pytest.raises(UserError, match="none of 4 patches"):
        exported(tmp_path / "set", tmp_path / "more", where="patch_id > 9")
