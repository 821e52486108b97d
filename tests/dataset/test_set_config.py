import dataclasses
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.dataset.columns import Column
from darts_train.dataset.set_config import SetConfig
from darts_train.options.known_keys import SET_KEYS
from darts_train.raster.band import Band
from tests.support.sets import make_config

finite = st.floats(-1e6, 1e6, allow_nan=False)
names = st.text(min_size=1, max_size=12)
bands = st.builds(
    lambda name, scale, offset, low, width, optical: Band(name, scale, offset, low, low + width, optical),
    names, st.floats(1e-6, 1e3), finite, finite, st.floats(0.1, 1e6), st.booleans(),
)  # fmt: skip
plain = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | finite | st.text() | st.lists(names)
keys = st.from_regex(r"[a-z][a-z_]{0,10}", fullmatch=True).filter(
    lambda key: key not in {*SET_KEYS, "bands", "classes", "patch_size"}
)


@given(
    st.builds(
        SetConfig,
        bands=st.lists(bands, min_size=1, max_size=4, unique_by=lambda band: band.name).map(tuple),
        patch_size=st.integers(1, 4096),
        classes=st.lists(names, min_size=2, max_size=5, unique=True).map(tuple),
        ignore_index=st.integers(5, 255),
        command=st.text(),
        settings=st.dictionaries(keys, plain, max_size=4),
    )
)
def test_the_file_says_everything(config):
    again = SetConfig.from_toml(config.to_toml())
    assert (again.bands, again.patch_size, again.classes) == (config.bands, config.patch_size, config.classes)
    assert (again.ignore_index, again.command, again.older) == (config.ignore_index, config.command, False)
    assert again.settings == {key: value for key, value in config.settings.items() if value is not None}
    assert not config.differences(again)
    assert again.to_toml() == config.to_toml()


def test_leaf_keys_are_unique_and_known():
    found = dict.fromkeys(("label_mapping", "source_command", "source_data_hash", "source_train_data_dir"), "text")
    config = make_config(image_dir=Path("images"), exclude_nan=True, bands=None, float_steps=True, **found)
    text = dataclasses.replace(config, columns=(Column("split", "text"),), stored_as="uint8").to_toml()
    tables = tomllib.loads(text)["darts"]
    leaves = [key for table in tables.values() for key in table]
    assert len(leaves) == len(set(leaves))
    assert set(leaves) - set(SET_KEYS) == {"bands", "patch_size", "classes", "image_dir", "exclude_nan"}
    assert set(SET_KEYS) <= set(leaves)


def test_paths_tuples_and_none_are_no_difference_but_values_are():
    one = make_config(image_dir=Path("a/b"), remap=None, names=("x", "y"), overlap=16)
    assert not one.differences(make_config(image_dir="a/b", names=["x", "y"], overlap=16))
    assert one.differences(make_config(image_dir="a/c", names=["x", "y"])) == [
        "image_dir: a/b there, a/c now",
        "overlap: 16 there, nothing now",
    ]
    assert make_config().differences(make_config(bands=2))[0].startswith("bands: ")


@pytest.mark.parametrize("key", ["ignore_index", "command", "band_scales"])
def test_a_setting_cannot_shadow_a_key_of_the_set(key):
    with pytest.raises(ValueError, match=key):
        make_config(**{key: 1} if key == "band_scales" else {}).__class__(
            bands=make_config().bands, patch_size=8, settings={key: 1}
        ).to_toml()


def test_a_table_cannot_be_a_setting():
    with pytest.raises(ValueError, match="not dict"):
        make_config(remap={"0": 1}).to_toml()


@pytest.mark.parametrize(
    "text",
    [
        '[darts]\nbands = ["red", "nir"]\npatch_size = 64\n',
        '[darts.preprocess]\nbands = ["red", "nir"]\n[darts.other]\npatch-size = 64\n',
        '[darts]\npatch_size = 64\n[[darts.bands]]\nname = "red"\nfactor = 0.1\n[[darts.bands]]\nname = "nir"\n',
        "[darts]\npatch_size = 64\n[darts.data.bands]\nred = 0.1\nnir = [0.1, 2.0]\n",
        '[darts]\nbands = ["red", "nir"]\nband_factors = [1.0, 2.0]\npatch_size = 64\nnorm_factors = {red = 1}\n',
    ],
)
def test_the_forms_of_older_sets(text):
    config = SetConfig.from_toml(text)
    assert config.band_names == ("red", "nir")
    assert config.older
    assert (config.patch_size, config.ignore_index, config.classes) == (64, 2, ("background", "positive"))
    assert config.bands[0] == Band("red", 1.0, 0.0, 0.0, 1.0)


ours = make_config(bands=2, size=8).to_toml()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"set.toml: the table \[darts\] is missing"),
        ("darts = 3", r"the table \[darts\] is missing"),
        ("[darts", "set.toml: not valid TOML"),
        ("[darts]\npatch_size = 3", "bands must be a list of names; it is missing"),
        ("[darts]\nbands = 3\npatch_size = 3", "bands must be a list of names"),
        ("[darts]\nbands = []\npatch_size = 3", "bands: at least 1 needed, 0 given"),
        ("[darts]\nbands = ['a', 'a']\npatch_size = 3", "bands: a given twice"),
        ("[darts]\nbands = ['a', '']\npatch_size = 3", "bands: a name is empty"),
        ("[darts]\nbands = ['a']\npatch_size = '3'", "patch_size must be a whole number"),
        ("[darts]\nbands = ['a']\npatch_size = 0", "patch_size: 0 is not a number of pixels"),
        (ours.replace("format_version = 1", "format_version = 2"), "format_version is 2, this version reads 1"),
        (ours.replace("0.0001, 0.0001", "0.0001"), "band_scales holds 1 numbers for 2 bands"),
        (ours.replace("0.0001, 0.0001", "0.0001, nan"), "band_scales must be a list of finite numbers"),
        (ours.replace("0.0001, 0.0001", "0.0001, -1"), "set.toml: .*scale must be positive"),
        (ours.replace("band_low", "band_lwo"), "band_low must be a list of finite numbers; it is missing"),
        (ours.replace("ignore_index = 255", "ignore_index = 1"), "ignore_index: 1 must be from 2"),
        (ours.replace("ignore_index = 255", "ignore_index = 256"), "ignore_index: 256 must be"),
        (ours.replace("ignore_index = 255", ""), "ignore_index must be a whole number; it is missing"),
    ],
)
def test_a_wrong_file_says_what_is_wrong_in_one_line(text, message):
    with pytest.raises(UserError, match=message) as caught:
        SetConfig.from_toml(text, "set.toml")
    assert "set.toml" in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, reason in (("absent", "cannot be read: No such file"), ("binary", "not a text file"), (".", "directory")):
        with pytest.raises(UserError, match=reason):
            SetConfig.read(tmp_path / name)
