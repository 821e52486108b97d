"""Sets of 8-bit codes: the same patches, checksums and hash as those of 16 bits, read in every way."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import zarr

from darts_train.base.errors import UserError
from darts_train.dataset.cache_build import open_cache
from darts_train.dataset.checks import validate_train_data
from darts_train.dataset.reader import TrainData
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.writer import TrainDataWriter
from darts_train.options.preprocessing import Inspect
from darts_train.raster.band import NODATA, Band
from darts_train.raster.encoding import from_bytes, to_bytes
from tests.dataset.killing import contents
from tests.support.sets import make_config, make_tile

SIZE = 16


def tiles(by_band=False, scenes=3):
    config = make_config(size=SIZE)
    rng = np.random.default_rng(4)
    for scene in range(scenes):
        tile = make_tile(config, scene, "A", 2, seed=1)
        x = rng.integers(0, 256, tile.x.shape).astype(np.uint16)
        x[:, :, :, scene] = NODATA
        if by_band:
            x[:, 1, 2] = NODATA
        yield replace(tile, x=x)


def config_of(stored_as):
    bands = tuple(Band(name, 1.0, 0.0, 0.0, 255.0, True) for name in ("blue", "green", "red"))
    return replace(make_config(size=SIZE), bands=bands, stored_as=stored_as)


def write(root, stored_as, given=None, finalise=True):
    with TrainDataWriter.open(root, config_of(stored_as)) as writer:
        for tile in given or tiles(stored_as == "uint8 by band"):
            if tile.key not in writer.tiles_done:
                writer.commit(tile)
        return writer.finalise() if finalise else None


@pytest.mark.parametrize("stored_as", ["uint8", "uint8 by band"])
def test_the_same_patches_as_with_16_bits(tmp_path, stored_as):
    given = list(tiles(stored_as == "uint8 by band"))
    small, large = (write(tmp_path / name, form, given) for name, form in (("small", stored_as), ("large", "uint16")))
    assert small.data_hash == large.data_hash
    group = zarr.open_group(tmp_path / "small/data.zarr", mode="r")
    assert (group["x"].dtype, group["valid"].dtype) == (np.uint8, np.uint8)
    assert group["valid"].ndim == (4 if stored_as == "uint8 by band" else 3)
    assert group["valid"].chunks[0] == 1
    for bands in (None, ["red"], ["red", "blue"]):
        one, other = (TrainData.open(tmp_path / name, bands) for name in ("small", "large"))
        assert one.metadata["checksum"].equals(other.metadata["checksum"])
        for a, b in zip(one.read_many([5, 0, 3]), other.read_many([5, 0, 3]), strict=True):
            assert a.dtype == b.dtype
            assert np.array_equal(a, b)
        for data, name in ((one, "c1"), (other, "c2")):
            cached = open_cache(tmp_path / name, data)
            assert np.array_equal(cached.read_many([4, 1])[0], other.read_many([4, 1])[0])
    assert one._readers["valid"] is not None  # decoded without zarr, as x is
    report = validate_train_data(Inspect(train_data_dir=tmp_path / "small"))
    assert report.ok, report.problems


def test_what_was_not_committed_is_rolled_back_and_the_end_has_the_same_bytes(tmp_path):
    write(tmp_path / "whole", "uint8")
    root = tmp_path / "set"
    write(root, "uint8", list(tiles(scenes=1)), finalise=False)
    for name in ("x.2.0.0.0", "valid.2.0.0", "y.2.0.0"):  # a tile that was moved, and never committed
        array, _, rest = name.partition(".")
        shutil.copy(root / f"data.zarr/{array}/c.0.{rest.split('.', 1)[1]}", root / f"data.zarr/{array}/c.{rest}")
    (root / "data.zarr/valid/c.7.0.0.abc.partial").touch()
    write(root, "uint8")
    assert contents(root) == contents(tmp_path / "whole")


def test_a_lost_mask_is_not_read_as_no_data(tmp_path):
    write(tmp_path, "uint8")
    (tmp_path / "data.zarr/valid/c.3.0.0").unlink()
    with pytest.raises(UserError, match="valid: patch 3 is missing"):
        TrainData.open(tmp_path).read(3)
    with pytest.raises(UserError, match="valid holds 5 of 6 patches"):
        write(tmp_path, "uint8")
    path = tmp_path / "data.zarr/valid/c.4.0.0"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert any("patch 4 is damaged" in text for text in validate_train_data(Inspect(train_data_dir=tmp_path)).problems)


def test_what_does_not_fit_into_bytes_is_refused(tmp_path):
    tile = next(tiles())
    for x, words in (
        (np.where(tile.x == NODATA, tile.x, 256).astype(np.uint16), "256 does not fit"),
        (next(tiles(True)).x, "differs between bands"),
    ):
        with pytest.raises(ValueError, match=words):
            write(tmp_path / words[:3], "uint8", [replace(tile, x=x)])
    codes, valid = to_bytes(tile.x[0])
    back = codes.astype(np.uint16)
    from_bytes(back, valid)
    assert np.array_equal(back, tile.x[0])


def test_the_config_says_how_codes_are_stored():
    config = config_of("uint8")
    assert SetConfig.from_toml(config.to_toml()) == config
    assert "stored_as" not in config_of("uint16").to_toml()
    assert config.encoding() == config_of("uint16").encoding()
    assert config.differences(config_of("uint16")) == ["stored_as: uint8 there, nothing now"]
    with pytest.raises(UserError, match="stored_as: 'int8' is none of uint16, uint8"):
        replace(config, stored_as="int8")
