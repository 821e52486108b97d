"""Files of strangers: what old ones hold besides tensors is read as plain values, anything else refused by name."""

import collections
import datetime
import fractions
import functools
import os
import pathlib
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.models.pickle_names import wanted_names
from darts_train.models.plain_values import json_values, plain_values
from darts_train.models.tensor_file import DamagedFileError, read_tensor_file

HARMLESS = {
    "datetime": datetime.datetime(2025, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
    "date": datetime.date(2025, 1, 2),
    "duration": datetime.timedelta(hours=1),
    "path": pathlib.Path("/data/train"),
    "windows": pathlib.PureWindowsPath("d:/train"),
    "ordered": collections.OrderedDict(a=1),
    "defaults": collections.defaultdict(list, {"k": [1, 2]}),
    "half": np.float16(0.5),
    "double": np.float64(0.1),
    "big endian": np.array(2.5, ">f4")[()],
    "whole": np.int64(-3),
    "truth": np.bool_(True),
    "set": {2, 1},
    "frozen": frozenset("ba"),
    "size": torch.Size([2, 3]),
    "weights": torch.tensor([0.25, 0.75]),
    "dtype": torch.float32,
}
PLAIN = {
    "datetime": "2025-01-02T03:04:05+00:00",
    "date": "2025-01-02",
    "duration": 3600.0,
    "path": "/data/train",
    "windows": "d:\\train",
    "ordered": {"a": 1},
    "defaults": {"k": [1, 2]},
    "half": 0.5,
    "double": 0.1,
    "big endian": 2.5,
    "whole": -3,
    "truth": True,
    "set": [1, 2],
    "frozen": ["a", "b"],
    "size": [2, 3],
    "weights": [0.25, 0.75],
    "dtype": "torch.float32",
}


class Call:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


class Deep:
    """The same, as the value of a dictionary that a harmless class is filled with."""

    def __init__(self, inner):
        self.inner = inner

    def __reduce__(self):
        return collections.OrderedDict, (), None, None, iter([("key", [(self.inner,)])])


@pytest.mark.parametrize("zipped", [True, False])
def test_harmless_extras_become_plain_values(tmp_path, zipped):
    path = tmp_path / "old.ckpt"
    torch.save(HARMLESS, path, _use_new_zipfile_serialization=zipped)
    before = set(torch.serialization.get_safe_globals())
    found = plain_values(read_tensor_file(path, "model file"))
    assert found == PLAIN
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in PLAIN.items()}
    assert set(torch.serialization.get_safe_globals()) == before  # nobody else may read more


BOMBS = {
    "posix.system": lambda mark: Call(os.system, f"touch {mark}"),
    "builtins.eval": lambda mark: Call(eval, f"open({str(mark)!r}, 'w')"),
    "builtins.exec": lambda mark: Deep(Call(exec, f"open({str(mark)!r}, 'w')")),
    "builtins.getattr": lambda mark: Deep(Call(getattr, "", "join")),
    "functools.partial": lambda mark: functools.partial(os.system, f"touch {mark}"),
    "builtins.bytearray": lambda mark: Call(bytearray, 2**40),  # torch would make it
    "torch.Tensor": lambda mark: Call(torch.Tensor, 2**20, 2**20),  # likewise
    "fractions.Fraction": lambda mark: fractions.Fraction(1, 3),
}


@pytest.mark.parametrize("name", BOMBS)
def test_anything_else_is_refused_by_name(tmp_path, name):
    mark, path = tmp_path / "ran", tmp_path / "bomb.ckpt"
    bomb = BOMBS[name](mark)
    contents = ({"config": {"a": [{"b": bomb}]}, "statedict": {}}, {"config": {}, "statedict": {"w": bomb}})
    writers = [functools.partial(torch.save, content, path, _use_new_zipfile_serialization=new)
               for content in contents for new in (True, False)]  # fmt: skip
    writers += [lambda p=p: torch.save(contents[0], path, pickle_protocol=p) for p in (1, 4)]
    writers += [lambda p=p: path.write_bytes(pickle.dumps(contents[0], p)) for p in (0, 2, 4)]
    for write in writers:
        write()
        with pytest.raises(DamagedFileError, match="not unpickled") as caught:
            read_tensor_file(path, "model file")
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not mark.exists()


def test_a_pickle_by_hand(tmp_path):
    mark, path = tmp_path / "ran", tmp_path / "hand.ckpt"
    for text in (f"cos\nsystem\n(S'touch {mark}'\ntR.", f"(S'touch {mark}'\nios\nsystem\n."):
        path.write_bytes(text.encode())
        with pytest.raises(DamagedFileError, match=r"os\.system"):
            read_tensor_file(path, "model file")
        assert not mark.exists()


def test_names_are_those_that_torch_looks_up(tmp_path):
    torch.save({"x": torch.ones(2), "y": datetime.date(2025, 1, 1)}, tmp_path / "a.ckpt")
    names = set(wanted_names(tmp_path / "a.ckpt"))
    assert {"datetime.date", "torch._utils._rebuild_tensor_v2", "torch.FloatStorage"} <= names
    (tmp_path / "b.ckpt").write_bytes(b"\x80\x02c__builtin__\neval\n")  # cut off; Python 2's name
    assert wanted_names(tmp_path / "b.ckpt") == ["builtins.eval"]


def test_what_does_not_say_what_it_seems_to_is_no_number(tmp_path):
    """NumPy's numbers are made of bytes: objects, or too few bytes, are not."""
    kind, data = np.dtype("O"), b"\0" * 8
    scalar = np.float64(1).__reduce__()[0]
    for arguments in ((kind, data), (np.dtype("f8"), b"\0"), ("f8", data)):
        torch.save({"a": Call(scalar, *arguments)}, tmp_path / "no.ckpt")
        with pytest.raises(DamagedFileError):
            read_tensor_file(tmp_path / "no.ckpt", "model file")


def test_compressed_archives_are_not_unpacked(tmp_path):
    torch.save({"config": {}, "statedict": {"w": torch.zeros(100_000)}}, tmp_path / "plain.ckpt")
    with zipfile.ZipFile(tmp_path / "plain.ckpt") as old, zipfile.ZipFile(tmp_path / "b.ckpt", "w", 8) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert (tmp_path / "b.ckpt").stat().st_size < 10_000
    with pytest.raises(DamagedFileError, match="compressed"):
        read_tensor_file(tmp_path / "b.ckpt", "model file")


def test_an_exported_program_is_called_by_its_name(tmp_path):
    torch.jit.save(torch.jit.trace(torch.nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2)), tmp_path / "m.pt")
    with pytest.raises(DamagedFileError, match="is a TorchScript program, and no model file; give the model file"):
        read_tensor_file(tmp_path / "m.pt", "model file")


def test_a_storage_that_is_said_to_be_larger_than_it_is(tmp_path):
    torch.save({"w": torch.arange(4.0)}, tmp_path / "small.ckpt")
    with zipfile.ZipFile(tmp_path / "small.ckpt") as old, zipfile.ZipFile(tmp_path / "b.ckpt", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data.replace(b"K\x04", b"J" + (10**9).to_bytes(4, "little")))
    with pytest.raises(DamagedFileError, match="cut off or is no model file"):
        read_tensor_file(tmp_path / "b.ckpt", "model file")


@pytest.mark.parametrize("zipped", [True, False])
def test_every_cut_off_file_is_refused(tmp_path, zipped):
    path = tmp_path / "whole.ckpt"
    torch.save({"config": {"a": 1}, "statedict": {"w": torch.rand(300)}}, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    for length in (*range(0, len(data), 97), len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(DamagedFileError, match=r"cut off|damaged"):
            read_tensor_file(path, "model file")


def endless():
    found = []
    found.append(found)
    return found


def deep():
    return functools.reduce(lambda inner, _: {"a": inner}, range(500), 1)


def laughs():
    return functools.reduce(lambda inner, _: [inner] * 10, range(20), "ha")


@pytest.mark.parametrize("table", [endless, deep, laughs])
def test_tables_without_end_are_refused(table):
    with pytest.raises(UserError, match="nested too deep or too large at"):
        plain_values({"here": table()})


@pytest.mark.parametrize("value", [{"a": {"b": 1j}}, {(1, 2): 3}, b"bytes", torch.ones(10_000), object()])
def test_what_is_no_plain_value(value):
    with pytest.raises(UserError, match=r"^its config h"):
        plain_values(value)


def test_json_knows_no_nan():
    assert json_values({"a": [float("nan"), 1.5, float("inf")], "b": "nan"}) == {"a": [None, 1.5, None], "b": "nan"}


TEXTS = st.sampled_from(["", "a", "é", "\0", "b c"])
TABLES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


@given(TABLES)
@settings(max_examples=30, deadline=None)
def test_plain_values_stay_what_they_are(value):
    assert plain_values(value) == value
