import multiprocessing
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import zarr

from darts_train.base.errors import UserError
from darts_train.dataset.reader import TrainData
from darts_train.dataset.writer import TrainDataWriter
from tests.support.sets import make_config, make_old_set, make_set, make_tile


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    root = tmp_path_factory.mktemp("ours") / "set"
    make_set(root, patches=6, size=16)
    return root


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    return make_old_set(tmp_path_factory.mktemp("older") / "set", patches=6, size=16)


@pytest.fixture
def copy(ours, tmp_path):
    return shutil.copytree(ours, tmp_path / "set")


def test_patches_are_those_that_were_written(tmp_path):
    config = make_config(size=16)
    tile = make_tile(config, 0, "A", 3, seed=0, nodata=True)
    with TrainDataWriter.open(tmp_path, config) as writer:
        writer.commit(tile)
        writer.finalise()
    data = TrainData.open(tmp_path)
    assert (len(data), data.encoded, data.bands, data.config) == (3, True, config.bands, config)
    for i in range(3):
        x, y = data.read(i)
        assert (x.dtype, y.dtype) == (np.uint16, np.uint8)
        np.testing.assert_array_equal(x, tile.x[i])
        np.testing.assert_array_equal(y, tile.y[i])
    x, y = data.read_many([2, 0, 2])
    np.testing.assert_array_equal(x, tile.x[[2, 0, 2]])
    np.testing.assert_array_equal(y, tile.y[[2, 0, 2]])


@pytest.mark.parametrize("name", ["ours", "older"])
def test_chosen_bands_come_in_the_chosen_order(name, request):
    root = request.getfixturevalue(name)
    whole, some = TrainData.open(root), TrainData.open(root, ["red", "blue"])
    assert (some.band_indices, [band.name for band in some.bands]) == ((2, 0), ["red", "blue"])
    x, _ = whole.read(1)
    chosen, _ = some.read(1)
    np.testing.assert_array_equal(chosen, x[[2, 0]])
    assert chosen.flags.c_contiguous
    assert chosen.dtype == x.dtype


def test_no_indices_are_no_patches(ours):
    x, y = TrainData.open(ours, ["red"]).read_many([])
    assert (x.shape, y.shape, x.dtype) == ((0, 1, 16, 16), (0, 16, 16), np.uint16)


@pytest.mark.parametrize("index", [-1, 6])
def test_an_index_beyond_the_set_is_refused(ours, index):
    with pytest.raises(IndexError, match=f"patch {index} of 6"):
        TrainData.open(ours).read(index)


def test_older_sets_are_read_as_they_are(older):
    data = TrainData.open(older)
    x, y = data.read(0)
    stored = zarr.open_group(str(older / "data.zarr"), mode="r")
    assert (data.encoded, data.config.ignore_index, x.dtype) == (False, 2, np.float32)
    assert np.isnan(x[:, :, 0]).all()
    assert np.nanmax(x) <= 1
    np.testing.assert_array_equal(x, stored["x"][0])
    assert set(np.unique(y)) == {0, 1, 2}
    assert data.data_hash == TrainData.open(older).data_hash


def test_older_sets_may_have_zarr_2_and_float64_and_sparse_chunks(older, tmp_path):
    root = shutil.copytree(older, tmp_path / "set")
    x = TrainData.open(older).read_many(range(6))[0]
    shutil.rmtree(root / "data.zarr")
    group = zarr.open_group(str(root / "data.zarr"), mode="w", zarr_format=2)
    group.create_array("x", data=x.astype(np.float64), chunks=(4, 3, 16, 8))
    group.create_array("y", shape=(6, 16, 16), dtype="int64", chunks=(1, 16, 16))  # nothing but fill: no chunk at all
    data = TrainData.open(root, ["green"])
    np.testing.assert_array_equal(data.read(5)[0], x[5, [1]])
    assert data.read(5)[1].dtype == np.uint8
    assert data.data_hash != TrainData.open(older).data_hash


def test_rows_are_brought_into_the_order_of_their_index(older, tmp_path):
    root = shutil.copytree(older, tmp_path / "set")
    frame = pd.read_parquet(root / "metadata.parquet")
    frame.sample(frac=1, random_state=0).to_parquet(root / "metadata.parquet")
    assert TrainData.open(root).metadata["patch_id"].tolist() == list(range(6))


def test_missing_regions_and_numeric_ids_become_text(older, tmp_path):
    root = shutil.copytree(older, tmp_path / "set")
    frame = pd.read_parquet(root / "metadata.parquet")
    frame.assign(region=[None, *"abcde"], sample_id=range(6), empty=[0, 1] * 3).to_parquet(root / "metadata.parquet")
    metadata = TrainData.open(root).metadata
    assert metadata["region"].tolist() == ["No Region", *"abcde"]
    assert metadata["sample_id"].tolist() == list("012345")
    assert metadata["empty"].tolist() == [False, True] * 3


def first_patch(data):
    return data.read(0)[0].sum()


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_other_processes_read_the_same(ours, method):
    data = TrainData.open(ours, ["red"])
    expected = [first_patch(data)] * 4
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.map_async(first_patch, [data] * 4).get(timeout=60) == expected


def test_threads_read_the_same(ours):
    data = pickle.loads(pickle.dumps(TrainData.open(ours)))
    expected = [data.read(i)[0].sum() for i in range(6)] * 20
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda i: data.read(i)[0].sum(), list(range(6)) * 20)) == expected


def test_the_hash_is_of_the_patches_and_their_meaning_not_of_place_or_settings(tmp_path):
    config = make_config(size=8)
    variants = {
        "same": (config, 0),
        "settings": (make_config(size=8, overlap=3), 0),
        "pixels": (config, 1),
        "ranges": (replace(config, bands=tuple(replace(band, high=0.5) for band in config.bands)), 0),
        "classes": (replace(config, classes=("ground", "cloud")), 0),
    }
    hashes = {}
    for name, (variant, seed) in variants.items():
        with TrainDataWriter.open(tmp_path / name, variant) as writer:
            writer.commit(make_tile(variant, 0, "A", 2, seed))
            hashes[name] = writer.finalise().data_hash
        assert hashes[name] == TrainData.open(tmp_path / name).data_hash
    assert hashes["same"] == hashes["settings"]
    assert len(set(hashes.values())) == 4


def test_asking_for_the_hash_reads_no_pixel(copy):
    expected = TrainData.open(copy).data_hash
    for chunk in (copy / "data.zarr").rglob("c.*"):
        chunk.unlink()
    assert TrainData.open(copy).data_hash == expected


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        (["rde"], "rde not in the set, which has blue, green, red; nearest: red"),
        (["red", "red"], "a band is given twice"),
        ([], "none given; choose from blue"),
    ],
)
def test_bands_that_cannot_be_chosen(ours, bands, message):
    with pytest.raises(UserError, match=f"--bands: {message}"):
        TrainData.open(ours, bands)


def rows(change):
    def damage(root):
        path = root / "metadata.parquet"
        change(pd.read_parquet(path)).to_parquet(path)

    return damage


def array(name, **changes):
    def damage(root):
        group = zarr.open_group(str(root / "data.zarr"), mode="r+")
        group.create_array(name, overwrite=True, **changes)

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "metadata.parquet").unlink(), "metadata.parquet missing: preprocessing was not finished"),
        (lambda root: shutil.rmtree(root / "data.zarr"), "data.zarr missing"),
        (lambda root: (root / "config.toml").unlink(), "config.toml missing"),
        (
            lambda root: shutil.rmtree(root / ".journal") or (root / "config.toml").unlink(),
            "not a train data directory",
        ),
        (lambda root: (root / "config.toml").write_text("[darts"), "config.toml: not valid TOML"),
        (lambda root: (root / "metadata.parquet").write_bytes(b""), "metadata.parquet: not a readable parquet file"),
        (lambda root: (root / "metadata.parquet").write_bytes(b"PAR1" * 9), "metadata.parquet: not a readable"),
        (lambda root: (root / "data.zarr/zarr.json").write_text("{"), "data.zarr: not a zarr group"),
        (lambda root: (root / "data.zarr/zarr.json").unlink(), "data.zarr: not a zarr group"),
        (lambda root: shutil.rmtree(root / "data.zarr/y"), "data.zarr: not a zarr group with arrays x and y"),
        (array("y", shape=(5, 16, 16), dtype="u1"), r"x \(6, 3, 16, 16\) and y \(5, 16, 16\) do not fit"),
        (array("y", shape=(6, 16, 16), dtype="f4"), "y is float32; class indices are uint8"),
        (array("x", shape=(6, 2, 16, 16), dtype="u2"), "x has 2 bands, config.toml names 3"),
        (array("x", shape=(6, 3, 16, 16), dtype="f4"), "x is float32; an encoded set is uint16"),
        (rows(lambda frame: frame.iloc[:5]), "has 5 rows for 6 samples"),
        (rows(lambda frame: frame.drop(columns="region")), "column region missing; it has patch_id"),
        (rows(lambda frame: frame.set_index("sample_id", drop=False)), "not the index of the patches"),
        (rows(lambda frame: frame.set_axis([0, 1, 2, 2, 4, 5])), "index must be 0 to 5, each once"),
        (rows(lambda frame: frame.set_axis(range(1, 7))), "index must be 0 to 5, each once"),
        (rows(lambda frame: frame.assign(sample_id=["a", None, *"bcde"])), "column sample_id has no value in row 1"),
        (rows(lambda frame: frame.assign(empty=list("abcdef"))), "column empty must be true or false, not a"),
    ],
)
def test_a_set_whose_parts_do_not_fit_is_refused_in_one_line(copy, damage, message):
    damage(copy)
    with pytest.raises(UserError, match=message) as caught:
        TrainData.open(copy)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_float_pixels_need_an_older_config_and_codes_an_encoding(ours, older, tmp_path):
    root = shutil.copytree(ours, tmp_path / "set")
    shutil.copy(older / "config.toml", root)
    with pytest.raises(UserError, match=r"x is uint16, but config\.toml has no encoding"):
        TrainData.open(root)


def test_a_directory_that_is_not_there_is_named():
    with pytest.raises(UserError, match="--train-data-dir: nowhere does not exist"):
        TrainData.open("nowhere")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda chunk: chunk.unlink(), "patch 3 is missing"),
        (lambda chunk: chunk.write_bytes(b""), "patch 3 is damaged"),
        (lambda chunk: chunk.write_bytes(chunk.read_bytes()[:40]), "patch 3 is damaged"),
        (
            lambda chunk: chunk.write_bytes(chunk.read_bytes()[:-9] + b"\x01" + chunk.read_bytes()[-8:]),
            "patch 3 is dam",
        ),
    ],
)
def test_a_lost_byte_is_never_read_as_data(copy, damage, message):
    damage(copy / "data.zarr/x/c.3.0.0.0")
    data = TrainData.open(copy)
    data.read(2)
    with pytest.raises(UserError, match=f"data.zarr/x: {message}"):
        data.read(3)


def test_sets_that_were_compacted_into_shards_are_read_and_their_loss_is_seen(copy):
    whole = TrainData.open(copy).read_many(range(6))[0]
    group = zarr.open_group(str(copy / "data.zarr"), mode="r+")
    attributes = group["x"].attrs.asdict()
    group.create_array(
        "x", data=whole, chunks=(1, 3, 16, 16), shards=(4, 3, 16, 16), overwrite=True, fill_value=65535,
        attributes=attributes,
    )  # fmt: skip
    np.testing.assert_array_equal(TrainData.open(copy).read_many(range(6))[0], whole)
    (copy / "data.zarr/x/c/1/0/0/0").unlink()
    TrainData.open(copy).read(3)
    with pytest.raises(UserError, match="patch 4 is missing"):
        TrainData.open(copy).read(4)


@pytest.mark.parametrize(("which", "ignored"), [("ours", "255"), ("older", "2")])
def test_labels_of_no_class_are_refused(request, tmp_path, which, ignored):
    shutil.copytree(request.getfixturevalue(which), tmp_path / "set")
    y = zarr.open_group(str(tmp_path / "set/data.zarr"), mode="r+")["y"]
    y[3] = np.where(np.eye(y.shape[1]), 7, y[3])
    data = TrainData.open(tmp_path / "set")
    data.read(2)
    with pytest.raises(UserError, match=f"patch 3: y holds 7; allowed are 0, 1, {ignored}"):
        data.read(3)


def test_infinite_values_are_refused(older, tmp_path):
    shutil.copytree(older, tmp_path / "set")
    x = zarr.open_group(str(tmp_path / "set/data.zarr"), mode="r+")["x"]
    x[3] = np.where(np.eye(x.shape[2]), -np.inf, x[3])
    with pytest.raises(UserError, match="patch 3: x holds infinite values"):
        TrainData.open(tmp_path / "set").read(3)
