"""Torch's own formats say what the network says, at other sizes too, and hold their metadata."""

import io
import json

import pytest
import torch
from torch import nn

from darts_train.base.errors import UserError
from darts_train.export.export import export_model
from darts_train.export.formats import torch_export, torchscript
from darts_train.export.formats.protocol import ExportError
from darts_train.export.graphs.graph import Graph
from darts_train.models.model_file import load_model_file
from darts_train.options.exporting import Export
from tests.support.exporting import saved_model

TINY = (("encoder_depth", 1), ("encoder_channels", 4))
SHAPES = [(1, 64, 64), (2, 33, 70), (3, 9, 17)]


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    torch.set_num_threads(1)
    return saved_model(tmp_path_factory.mktemp("model") / "model.ckpt", options=TINY)


@pytest.fixture(scope="module")
def program(model_path):
    return export_model(Export(model=model_path, out=model_path.with_suffix(".pt2"), format="torch-export"))


def agree(module, model, shapes=SHAPES):
    for batch, height, width in shapes:
        image = torch.rand(batch, 2, height, width)
        with torch.no_grad():
            expected, found = model.network(image), module(image)
        assert found.shape == expected.shape
        assert (found - expected).abs().max() < 1e-4


def test_the_archive_of_torch_export(program, model_path):
    extra = {"metadata.json": ""}
    module = torch.export.load(program.path, extra_files=extra).module()
    agree(module, load_model_file(model_path))
    facts = json.loads(extra["metadata.json"])
    assert (facts["bands"], facts["classes"]) == (["red", "slope"], ["background", "slump"])
    assert (facts["free_sizes"], facts["graph_input"], facts["stride"]) == (True, "normalised", 1)
    assert program.free_sizes
    assert program.metadata is None
    assert "torch" in program.summary()


def test_padding_is_refused_before_torch_export(tmp_path, model_path):
    asked = Export(model=model_path, out=tmp_path / "m.pt2", format="torch-export", graph_padding=True)
    with pytest.raises(UserError, match="--graph-padding"):
        export_model(asked)
    assert not list(tmp_path.iterdir())


def test_a_program_that_differs_is_not_written(model_path, program, monkeypatch):
    """Another network's program, which torch.export is made to deliver."""
    model = load_model_file(model_path)
    exact = torch.export.load(program.path)
    with torch.no_grad():
        next(model.network.parameters()).add_(1.0)
    asked = []
    monkeypatch.setattr(torch_export, "exported", lambda graph, free: (asked.append(free), exact)[1])
    with pytest.raises(ExportError, match="differ by"):
        torch_export.to_program(Graph(model))
    assert asked == [True, False]


@pytest.mark.parametrize("way", ["scripted", "traced"])
def test_torchscript(tmp_path, model_path, way, monkeypatch):
    if way == "traced":

        def refuse(module):
            raise RuntimeError("it has a lambda")

        monkeypatch.setattr(torch.jit, "script", refuse)
    result = export_model(Export(model=model_path, out=tmp_path / "m.pt", format="torchscript"))
    extra = {"metadata.json": ""}
    agree(torch.jit.load(result.path, _extra_files=extra), load_model_file(model_path))
    facts = json.loads(extra["metadata.json"])
    assert (facts["torchscript"], facts["free_sizes"], facts["threshold"]) == (way, True, 0.4)
    assert result.notes[0].startswith(way)


def test_a_script_pads_and_normalises(tmp_path, model_path):
    model = load_model_file(saved_model(tmp_path / "m.ckpt", "Linknet", "resnet18", options=(("encoder_depth", 3),)))
    graph = Graph(model, "values", 8, 16, True)
    module, way, difference, free = torchscript.to_torchscript(graph)
    assert (way, free) == ("scripted", True)
    assert difference < 1e-5
    image = graph.sample((2, 13, 37))
    with torch.no_grad():
        assert torch.allclose(module(image), graph.whole(image), atol=1e-5)


class _Baked(nn.Module):
    """Takes the size of the model's patches alone."""

    def forward(self, image):
        if image.shape[-1] != 64 or image.shape[-2] != 64:
            raise ValueError("64 x 64 only")
        return image.mean(1, keepdim=True)


def test_a_network_of_one_size(model_path):
    model = load_model_file(model_path)
    object.__setattr__(model, "network", _Baked())
    module, _, difference, free = torchscript.to_torchscript(Graph(model))
    assert (difference, free) == (0, False)
    with pytest.raises(UserError, match="--graph-padding"):
        torchscript.to_torchscript(Graph(model, step=32, least=32))
    assert isinstance(torchscript.saved(module, {}), bytes)


def test_no_pickle_is_needed_for_the_metadata(program):
    """The archive is a zip, and the metadata a file of text in it."""
    import zipfile

    with zipfile.ZipFile(io.BytesIO(program.path.read_bytes())) as archive:
        names = [name for name in archive.namelist() if name.endswith("metadata.json")]
        assert json.loads(archive.read(names[0]))["arch"] == "FCN"
