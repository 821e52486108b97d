"""Pictures of any size, with masks, through preprocess-raster-train-data."""

import shutil
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import shapely
from PIL import Image

from darts_train.base.errors import UserError
from darts_train.dataset.checks import validate_train_data
from darts_train.dataset.reader import TrainData
from darts_train.options.photos import Photos
from darts_train.options.preprocessing import Inspect, Output, Parallel, Patches, Raster
from darts_train.preprocess.raster import preprocess_raster_train_data
from tests.support.geo import test_data, write_raster

RNG = np.random.default_rng(8)
PIXELS = RNG.integers(0, 256, (30, 40, 3)).astype(np.uint8)
MASK = np.zeros((30, 40), np.uint8)
MASK[:15] = 255
THRESHOLD = {"mask_threshold": 127.0}
PHOTO_OPTIONS = {field.name for field in fields(Photos)}


def put(root, name="a", pixels=PIXELS, mask=MASK, image_suffix="png", **options):
    for kind, array, suffix in (("images", pixels, image_suffix), ("masks", mask, "png")):
        path = root / kind / f"{name}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        picture = array if isinstance(array, Image.Image) else Image.fromarray(array)
        picture.save(path, **(options if kind == "images" else {}))


def preprocess(root, patch_size=20, out="set", exclude_nan=True, **options):
    photos = Photos(**(THRESHOLD | {k: v for k, v in options.items() if k in PHOTO_OPTIONS}))
    raster = {k: v for k, v in options.items() if k not in PHOTO_OPTIONS}
    return preprocess_raster_train_data(
        Raster(image_dir=root / "images", label_dir=root / "masks", **raster),
        Output(train_data_dir=root / out),
        Patches(patch_size=patch_size, overlap=0, exclude_nan=exclude_nan),
        Parallel(workers=1),
        photos=photos,
    )


def test_pictures_are_cut_into_bytes(tmp_path):
    put(tmp_path)
    summary = preprocess(tmp_path)
    data = TrainData.open(tmp_path / "set")
    assert (summary.patches, data.config.stored_as, data.x.dtype) == (4, "uint8", np.uint8)
    assert data.config.band_names == ("red", "green", "blue")
    assert {(band.low, band.high) for band in data.config.bands} == {(0.0, 255.0)}
    x, y = data.read(1)
    assert np.array_equal(x, np.moveaxis(PIXELS[:20, 20:], -1, 0))
    assert np.array_equal(y, MASK[:20, 20:] // 255)
    assert "original_width" not in data.metadata


@pytest.mark.parametrize(
    ("fit", "size", "rows", "columns"),
    [("resize", 20, 20, 20), ("letterbox", 20, 15, 20), ("letterbox", 80, 60, 80), ("pad", 48, 30, 40)],
)
def test_one_picture_is_one_patch(tmp_path, fit, size, rows, columns):
    put(tmp_path)
    put(tmp_path, "b", PIXELS[:, :24], MASK[:, :24])
    assert preprocess(tmp_path, size, fit=fit).patches == 2
    data = TrainData.open(tmp_path / "set")
    assert data.config.stored_as == "uint8"
    assert data.config.settings["fit"] == fit
    assert data.metadata[["original_width", "original_height"]].to_numpy().tolist() == [[40, 30], [24, 30]]
    x, y = data.read(0)
    expected = np.array(Image.fromarray(PIXELS).resize((columns, rows), Image.Resampling.BILINEAR))
    assert np.abs(x[:, :rows, :columns] - np.moveaxis(expected, -1, 0).astype(float)).max() <= 1
    present = np.pad(np.ones((rows, columns), bool), ((0, size - rows), (0, size - columns)))
    assert (x[:, ~present] == 65535).all()
    assert np.array_equal(y == 255, ~present)
    assert np.array_equal(y[: rows // 2, :columns], np.ones((rows // 2, columns)))
    assert validate_train_data(Inspect(train_data_dir=tmp_path / "set")).ok


def test_a_fitted_raster_keeps_its_place(tmp_path):
    for kind, array in (("images", np.moveaxis(PIXELS, -1, 0)), ("masks", MASK)):
        write_raster(tmp_path / kind / "a.tif", array)
    boxes = []
    for fit, size in (("pad", 40), ("resize", 10)):
        preprocess(tmp_path, size, out=fit, fit=fit)
        boxes.append(TrainData.open(tmp_path / fit).metadata["geometry"][0])
    whole, fitted = (shapely.from_wkb(box).bounds for box in boxes)
    assert fitted[:1] + fitted[2:] == pytest.approx(whole[:1] + whole[2:], abs=1e-5)  # the padded one goes further down


def test_turned_pictures_and_masks(tmp_path, caplog):
    tags = Image.Exif()
    tags[0x0112] = 6
    put(tmp_path, exif=tags)
    with pytest.raises(UserError, match=r"40 x 30 pixels against 30 x 40 \(turned as its EXIF says"):
        preprocess(tmp_path)
    Image.fromarray(np.rot90(MASK, -1)).save(tmp_path / "masks/a.png")
    with caplog.at_level("INFO", "darts"):
        preprocess(tmp_path)
    assert "turned as the EXIF orientation says: 1 (a.png)" in caplog.text
    x, y = TrainData.open(tmp_path / "set").read(0)
    assert np.array_equal(x, np.moveaxis(np.rot90(PIXELS, -1)[:20, :20], -1, 0))
    assert np.array_equal(y, np.rot90(MASK, -1)[:20, :20] // 255)


def test_alpha_is_no_data_and_never_background(tmp_path):
    alpha = np.full((30, 40), 255, np.uint8)
    alpha[:, 35:] = 0
    put(tmp_path, pixels=np.dstack([PIXELS, alpha]))
    preprocess(tmp_path, 40, fit="pad", exclude_nan=False)
    x, y = TrainData.open(tmp_path / "set").read(0)
    assert (x[:, :30, 35:] == 65535).all()
    assert (y[:30, 35:] == 255).all()


def test_all_that_does_not_fit_is_listed_and_nothing_is_written(tmp_path, caplog):
    for name in "abcde":
        put(tmp_path, name, mask=MASK[: 30 - (name > "b")])
    path = tmp_path / "images/b.png"
    path.write_bytes(path.read_bytes()[:-500])
    with caplog.at_level("WARNING", "darts"), pytest.raises(UserError, match=r"4 of 5 pairs .* b, c, d, e\."):
        preprocess(tmp_path)
    assert "c.png does not lie on" in caplog.text
    assert "b.png: the file is cut short" in caplog.text
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fit": "pad"}, r"40 x 30 pixels are more than a patch of 20; take --fit letterbox"),
        ({"mask_threshold": 255.0}, "no mask has a value above 255, the greatest is 255"),
        ({"remap": "0:0,255:1"}, "--remap and --mask-threshold say the same thing"),
        ({"classes": ("a", "b", "c")}, "--mask-threshold makes two classes, --classes names 3"),
        ({"mask_threshold": None}, r"255 \(600 pixels, .*a.png\).*--remap"),
        ({"mask_threshold": None, "mask_colours": "0:0"}, "'0:0' is not RRGGBB:CLASS"),
        ({"bands": ("nir",)}, "no band nir"),
    ],
)
def test_what_is_refused(tmp_path, options, words):
    put(tmp_path)
    with pytest.raises(UserError, match=words):
        preprocess(tmp_path, **options)
    assert not (tmp_path / "set").exists()


def test_colours_and_grey_pictures(tmp_path):
    colours = np.zeros((30, 40, 3), np.uint8)
    colours[:10], colours[10:12] = (255, 0, 0), (0, 0, 255)
    put(tmp_path, mask=colours)
    options = {"mask_threshold": None, "mask_colours": "000000:0,ff0000:1"}
    with pytest.raises(UserError, match=r"colours that stand for no class: 0000ff \(80 pixels\)"):
        preprocess(tmp_path, **options)
    preprocess(tmp_path, **options | {"mask_colours": "000000:0,ff0000:1,0000ff:-100"})
    _, y = TrainData.open(tmp_path / "set").read(0)
    assert y[::2, 0].tolist() == [1] * 5 + [255] + [0] * 4
    put(tmp_path, "b", PIXELS[..., 0], colours)
    with pytest.raises(UserError, match=r"1 of 2 images are grey, .* red, green, blue are asked: .*b.png"):
        preprocess(tmp_path, out="other", **options | {"mask_colours": "000000:0,ff0000:1,0000ff:-100"})


def test_sixteen_bits_are_kept_and_not_added_to_bytes(tmp_path):
    put(tmp_path, pixels=PIXELS[..., 0])
    preprocess(tmp_path)
    put(tmp_path, "b", RNG.integers(0, 65535, (30, 40)).astype(np.uint16))
    with pytest.raises(UserError, match=r"b.png: band band_1 is uint16, which the set so far, stored as uint8"):
        preprocess(tmp_path)
    assert preprocess(tmp_path, out="both").patches == 8
    assert TrainData.open(tmp_path / "both").x.dtype == np.uint16


def test_no_data_told_band_by_band_keeps_the_other_bands(tmp_path):
    pixels = np.moveaxis(PIXELS, -1, 0).copy()
    pixels[pixels == 0] = 1
    pixels[1, 0, 0] = 0
    write_raster(tmp_path / "images/a.tif", pixels, nodata=0)
    write_raster(tmp_path / "masks/a.tif", MASK)
    options = Raster(image_dir=tmp_path / "images", label_dir=tmp_path / "masks")
    cut = Patches(patch_size=40, exclude_nan=False)
    preprocess_raster_train_data(options, Output(train_data_dir=tmp_path / "set"), cut, photos=Photos(**THRESHOLD))
    data = TrainData.open(tmp_path / "set")
    assert data.config.stored_as == "uint8 by band"
    assert data.read(0)[0][:, 0, 0].tolist() == [pixels[0, 0, 0], 65535, pixels[2, 0, 0]]
    assert data.read(0)[1][0, 0] == 255


def test_real_photos(tmp_path):
    images = test_data("flood_photos/images")
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        (tmp_path / kind).mkdir()
        for name in ("2009", "23"):
            shutil.copy(images.parent / f"{kind}/{name}.{suffix}", tmp_path / kind)
    assert preprocess(tmp_path, 64, fit="letterbox").patches == 2
    metadata = pd.read_parquet(tmp_path / "set/metadata.parquet").set_index("sample_id")
    mask = np.array(Image.open(tmp_path / "masks/23.png")) > 127
    share = metadata.positive_fraction["23"] / metadata.valid_fraction["23"]
    assert share == pytest.approx(mask.mean(), abs=0.01)
