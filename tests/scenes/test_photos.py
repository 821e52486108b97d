"""Pictures as cameras and drawing programs write them."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from darts_train.base.errors import UserError
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.photos.file import PictureFile, open_picture, stored_window, turned
from darts_train.scenes.photos.fit import fitted_grid
from darts_train.scenes.photos.masks import open_mask, parse_colours

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
PICTURE = Image.fromarray(PIXELS)


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def read(path, opener=open_picture, **options):
    file = opener(path, **options)
    values, valid = file.read(range(len(file.indexes)), file.grid.extent)
    return values, valid


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_turned_as_a_viewer_shows_it(tmp_path, orientation, suffix):
    path = tmp_path / f"a.{suffix}"
    PICTURE.save(path, exif=exif(orientation))
    with Image.open(path) as picture:
        expected = np.moveaxis(np.array(ImageOps.exif_transpose(picture)), -1, 0)
    assert np.array_equal(read(path)[0], expected)
    window = Window(3, 5, 9, 7)
    values, _ = open_picture(path).read([2, 0], window)
    assert np.array_equal(values, expected[[2, 0], 5:12, 3:12])


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.data())
def test_a_window_turned_is_a_window_of_what_was_turned(orientation, data):
    stored = np.arange(6 * 9).reshape(6, 9)
    shown = turned(stored, orientation)
    height, width = shown.shape
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    window = Window(x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y)))
    where = stored_window(window, Grid(width, height), orientation)
    part = stored[where.slices(Window(0, 0, 9, 6))]
    assert np.array_equal(turned(part, orientation), shown[window.slices(Window(0, 0, width, height))])


def test_colours_of_a_palette_of_ink_and_of_sixteen_bits(tmp_path):
    paletted = PICTURE.quantize(16)
    paletted.save(tmp_path / "p.png", transparency=3)
    values, valid = read(tmp_path / "p.png")
    opaque = np.array(paletted) != 3
    assert np.array_equal(valid, np.stack([opaque] * 3))
    assert np.array_equal(values[:, opaque], np.moveaxis(np.array(paletted.convert("RGB")), -1, 0)[:, opaque])
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "c.jpg", quality=95)
    file = open_picture(tmp_path / "c.jpg")
    assert isinstance(file, PictureFile)
    assert file.inks
    red, green, blue = read(tmp_path / "c.jpg")[0].mean(axis=(1, 2))
    assert (red > 200, green < 60, blue < 60) == (True, True, True)
    counts = np.arange(300, dtype=np.uint16).reshape(15, 20) * 200
    Image.fromarray(counts).save(tmp_path / "g.png")
    assert np.array_equal(read(tmp_path / "g.png")[0][0], counts)


@pytest.mark.parametrize(("suffix", "options"), [("jpg", {}), ("jpg", {"progressive": True}), ("png", {})])
def test_a_file_that_is_cut_off_is_refused_when_it_is_opened(tmp_path, suffix, options):
    thumbnail = exif(1)
    path = tmp_path / f"a.{suffix}"
    PICTURE.save(path, exif=thumbnail, **options)
    whole = path.read_bytes()
    open_picture(path)
    path.write_bytes(whole + b"\0" * 9000)  # what cameras write behind the end
    open_picture(path)
    for kept in (len(whole) - 2, len(whole) // 2):
        path.write_bytes(whole[:kept])
        with pytest.raises(UserError, match=r"cut short|cannot be read"):
            open_picture(path)


MASK = np.where(np.arange(600).reshape(20, 30) % 7 < 3, 200, 90).astype(np.uint8)


def saved(tmp_path, picture, name="m.png", **options):
    picture.save(tmp_path / name, **options)
    return tmp_path / name


def test_grey_masks_in_every_form_give_the_same_classes(tmp_path):
    grey = Image.fromarray(MASK)
    forms = {
        "l.png": grey, "rgb.png": grey.convert("RGB"), "rgba.png": grey.convert("RGBA"), "la.png": grey.convert("LA"),
        "p.png": grey.convert("P"), "i.png": Image.fromarray(MASK.astype(np.uint16)), "f.tif": grey.convert("F"),
        "one.png": grey.point(lambda v: 255 * (v > 127)).convert("1"),
    }  # fmt: skip
    for name, picture in forms.items():
        values, valid = read(saved(tmp_path, picture, name), open_mask, threshold=127)
        assert np.array_equal(values, (MASK > 127)[None].astype(np.uint8)), name
        assert valid.all(), name


def test_masks_without_a_threshold(tmp_path):
    index = Image.fromarray(MASK // 100)
    palette = index.convert("P")
    palette.putpalette([255, 0, 0, 9, 9, 9, 0, 255, 0])
    assert np.array_equal(read(saved(tmp_path, palette, "p.png"), open_mask)[0][0], MASK // 100)
    values, _ = read(tmp_path / "p.png", open_mask, by_colour=True)
    assert set(np.unique(values)) == {0xFF0000, 0x00FF00}
    with pytest.raises(UserError, match=r"mask in colours; say with --mask-colours .* or with --remap alone"):
        read(tmp_path / "p.png", open_mask, threshold=1)
    with pytest.raises(UserError, match="mask in colours; say with --mask-colours"):
        read(saved(tmp_path, palette.convert("RGB"), "c.png"), open_mask)
    with pytest.raises(UserError, match="--mask-colours needs three bands of bytes"):
        open_mask(saved(tmp_path, Image.fromarray(MASK), "l.png"), by_colour=True)


def test_a_mask_is_turned_by_its_own_tag(tmp_path):
    path = saved(tmp_path, Image.fromarray(MASK), exif=exif(8))
    assert np.array_equal(read(path, open_mask, threshold=127)[0][0], np.rot90(MASK > 127))


def test_colours_as_text():
    assert parse_colours("000000:0, #FF0001:1,0000ff:-100", 2) == {0: 0, 0xFF0001: 1, 255: 255}
    for text in ("red:1", "ff00:1", "ff0000:2", "ff0000:-1", "ff0000", "000000:0,000000:1", ""):
        with pytest.raises(UserError, match="--mask-colours"):
            parse_colours(text, 2)


def test_the_place_of_a_fitted_grid_is_the_same():
    grid = Grid(40, 20, (2.0, 0.0, 100.0, 0.0, -2.0, 900.0), "EPSG:32608")
    assert fitted_grid(grid, 10, 10) == Grid(10, 10, (8.0, 0.0, 100.0, 0.0, -4.0, 900.0), "EPSG:32608")
    assert fitted_grid(Grid(40, 20), 10, 10) == Grid(10, 10)


def test_text_is_no_picture(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(io.BytesIO(b"hello").getvalue())
    with pytest.raises(UserError, match="cannot be read as a raster"):
        open_picture(path)
