"""Where an export goes: whole files or none, metadata beside those that cannot hold them, nothing overwritten."""

import errno
import json
from pathlib import Path

import pytest
import torch

from darts_train.base.disk_room import NoRoomError
from darts_train.base.errors import UserError
from darts_train.export import export as export_module
from darts_train.export.export import export_model
from darts_train.export.formats.protocol import Written
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import make_model_config, save_model_file
from darts_train.options.exporting import Export
from darts_train.raster.catalogue import CATALOGUE


class Fixed:
    """A writer of five bytes that cannot hold metadata."""

    suffix = ".pt"

    def __init__(self, described=False):
        self.described = described

    def __call__(self, model, settings):
        return Written(b"bytes", 0.25, True, ("a note",), {"precision": "none"}, self.described)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("places") / "model.ckpt"
    spec = InputSpecification((CATALOGUE["red"],))
    torch.manual_seed(0)
    config = make_model_config("FCN", "dilated", None, spec, ("background", "slump"), 32, 255)
    save_model_file(path, config, create_network("FCN", "dilated", None, 1, 2).state_dict())
    return path


@pytest.fixture
def written(monkeypatch):
    monkeypatch.setattr(export_module, "writer_of", lambda name: Fixed())


def test_metadata_beside_a_file_that_cannot_hold_them(tmp_path, model_path, written):
    result = export_model(Export(model=model_path, out=tmp_path / "m.pt", format="torchscript"))
    facts = json.loads((tmp_path / "m.pt.json").read_text())
    assert (tmp_path / "m.pt").read_bytes() == b"bytes"
    assert result.metadata == tmp_path / "m.pt.json"
    assert facts["bands"] == ["red"]
    assert (facts["max_difference"], facts["precision"], facts["free_sizes"]) == (0.25, "none", True)
    assert "a note" in result.summary()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.pt", "m.pt.json"]
    with pytest.raises(UserError, match="--overwrite"):
        export_model(Export(model=model_path, out=tmp_path / "m.pt", format="torchscript"))
    (tmp_path / "m.pt").unlink()
    with pytest.raises(UserError, match=r"m\.pt\.json is there already"):
        export_model(Export(model=model_path, out=tmp_path / "m.pt", format="torchscript"))
    export_model(Export(model=model_path, out=tmp_path / "m.pt", format="torchscript", overwrite=True))


def test_a_file_that_holds_its_metadata_has_nothing_beside_it(tmp_path, model_path, monkeypatch, caplog):
    monkeypatch.setattr(export_module, "writer_of", lambda name: Fixed(described=True))
    with caplog.at_level("WARNING"):
        result = export_model(Export(model=model_path, out=tmp_path / "m.bin"))
    assert result.metadata is None
    assert [path.name for path in tmp_path.iterdir()] == ["m.bin"]
    assert ".pt" in caplog.text


def test_a_full_disk(tmp_path, model_path, written, monkeypatch):
    """Half of the bytes fit: what was there stays, and nothing else."""
    real = Path.write_bytes

    def full(path, data):
        if path.suffix == ".tmp":
            real(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, data)

    (tmp_path / "m.pt").write_bytes(b"older")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(NoRoomError, match=r"m\.pt cannot be written: No space left"):
        export_model(Export(model=model_path, out=tmp_path / "m.pt", format="torchscript", overwrite=True))
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt"]
    assert (tmp_path / "m.pt").read_bytes() == b"older"


def test_the_model_is_not_replaced_by_its_export(model_path, written):
    before = model_path.read_bytes()
    with pytest.raises(UserError, match="the model itself"):
        export_model(Export(model=model_path, out=model_path, overwrite=True))
    assert model_path.read_bytes() == before


@pytest.mark.parametrize("name", ["onnx", "onnx-fp16", "onnx-int8"])
def test_an_operator_set_that_does_not_exist(tmp_path, model_path, name):
    with pytest.raises(UserError, match="--opset: 99"):
        export_model(Export(model=model_path, out=tmp_path / "m.onnx", format=name, opset=99))
    assert not list(tmp_path.iterdir())
