"""What is read without zarr is what zarr reads."""

import numcodecs
import numpy as np
import pandas as pd
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec

from darts_train.base.errors import UserError
from darts_train.dataset.cache_build import open_cache
from darts_train.dataset.chunks import ChunkReader
from darts_train.dataset.reader import TrainData
from darts_train.raster.band import NODATA
from tests.support.sets import make_config

BLOSC = BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle")
FORMS = {
    "ours": {"chunks": (1, 3, 8, 8), "compressors": [BLOSC, Crc32cCodec()]},
    "bands": {"chunks": (1, 1, 8, 8), "compressors": [BLOSC]},
    "default": {"chunks": (1, 3, 8, 8)},
    "gzip": {"chunks": (1, 1, 8, 8), "compressors": [GzipCodec(), Crc32cCodec()]},
    "plain": {"chunks": (1, 3, 8, 8), "compressors": None},
    "zarr 2": {"chunks": (1, 1, 8, 8), "zarr_format": 2, "compressors": numcodecs.Blosc("lz4")},
    "zarr 2 zstd": {"chunks": (1, 3, 8, 8), "zarr_format": 2},
    "zarr 2 raw": {"chunks": (1, 3, 8, 8), "zarr_format": 2, "compressors": None},
}
OTHERS = {
    "shards": {"chunks": (1, 3, 8, 8), "shards": (2, 3, 8, 8)},
    "several patches": {"chunks": (2, 3, 8, 8)},
    "big-endian": {"chunks": (1, 3, 8, 8), "zarr_format": 2, "dtype": ">f4"},
    "lz4": {"chunks": (1, 3, 8, 8), "zarr_format": 2, "compressors": numcodecs.LZ4()},
    "fortran": {"chunks": (1, 3, 8, 8), "zarr_format": 2, "order": "F"},
    "filters": {"chunks": (1, 3, 8, 8), "zarr_format": 2, "filters": [numcodecs.Delta("<f4")]},
}


def made(place, dtype="<f4", **form):
    values = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(dtype)
    array = zarr.create_array(str(place), shape=values.shape, dtype=dtype, **form)
    array[:] = values
    return values, zarr.open_array(str(place), mode="r")


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<u2", "|u1"])
def test_every_form_is_read_in_place_and_converted(tmp_path, name, dtype):
    values, array = made(tmp_path, dtype, **FORMS[name])
    reader = ChunkReader.of(tmp_path, array)
    for out_type in (dtype, "<f4"):
        out = np.zeros((3, 8, 8), out_type)
        assert reader.read_into(2, None, out)
        np.testing.assert_array_equal(out, values[2].astype(out_type))
        assert reader.read_into(1, (2, 0), out[:2])
        np.testing.assert_array_equal(out[:2], values[1][[2, 0]].astype(out_type))


@pytest.mark.parametrize("name", OTHERS)
def test_other_arrays_are_left_to_zarr(tmp_path, name):
    assert ChunkReader.of(tmp_path, made(tmp_path, **OTHERS[name])[1]) is None


@pytest.mark.parametrize("name", FORMS)
def test_a_chunk_that_is_cut_off_or_gone_is_seen(tmp_path, name):
    _, array = made(tmp_path, **FORMS[name])
    reader, out = ChunkReader.of(tmp_path, array), np.zeros((3, 8, 8), "<f4")
    path = tmp_path / array.metadata.encode_chunk_key((1, 0, 0, 0))
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises((ValueError, RuntimeError, OSError, EOFError)):
        reader.read_into(1, None, out)
    path.unlink()
    assert not reader.read_into(1, None, out)
    assert reader.read_into(0, None, out)


def eight_bit(root, valid=True):
    """A set of four patches whose codes are uint8; returns codes [4, 3, 8, 8] and valid [4, 8, 8]."""
    rng, config = np.random.default_rng(1), make_config(3, 8)
    codes, mask = rng.integers(0, 256, (4, 3, 8, 8), np.uint8), rng.random((4, 8, 8)) > 0.3
    root.mkdir()
    group = zarr.create_group(str(root / "data.zarr"))
    group.create_array("x", data=codes, chunks=(1, 3, 8, 8))
    group.create_array("y", data=np.ones((4, 8, 8), np.uint8), chunks=(1, 8, 8))
    if valid:
        group.create_array("valid", data=mask, chunks=(1, 8, 8))
    (root / "config.toml").write_text(config.to_toml())
    columns = {"sample_id": list("aabb"), "region": "r", "empty": True}
    pd.DataFrame(columns).to_parquet(root / "metadata.parquet")
    return codes, mask


def test_eight_bit_codes_come_as_the_others_do(tmp_path):
    codes, mask = eight_bit(tmp_path / "set")
    expected = np.where(mask[:, None], codes.astype(np.uint16), NODATA)
    data = TrainData.open(tmp_path / "set", ("red", "blue"))
    for source in (data, open_cache(tmp_path / "cache", data)):
        x, _ = source.read_many([3, 0])
        assert x.dtype == np.uint16
        np.testing.assert_array_equal(x, expected[[3, 0]][:, [2, 0]])


def test_eight_bit_codes_without_their_mask_are_refused(tmp_path):
    eight_bit(tmp_path / "set", valid=False)
    with pytest.raises(UserError, match="array valid"):
        TrainData.open(tmp_path / "set")
