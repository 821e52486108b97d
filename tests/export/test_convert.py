"""A checkpoint becomes a model file: what is in it, what it replaces, and what is refused before it is written."""

from datetime import date

import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.export import convert as convert_module
from darts_train.export.convert import convert_lightning_checkpoint
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import load_model_file, make_model_config
from darts_train.options.model_files import Convert
from darts_train.raster.catalogue import CATALOGUE

ARCH, ENCODER = "FCN", "dilated"  # the smallest; what other networks are made of makes no difference here


@pytest.fixture(scope="module")
def content():
    """What Lightning writes of a run, as far as it matters here."""
    torch.manual_seed(0)
    spec = InputSpecification.from_set([CATALOGUE["red"], CATALOGUE["slope"]], "v1", -1.0)
    settings = {"scale": 1e-4, "offset": None, "band_names": ("red", "slope"), "overlap": 8}
    config = make_model_config(ARCH, ENCODER, "imagenet", spec, ("background", "slump"), 96, 255, 0.4, settings)
    state = create_network(ARCH, ENCODER, None, 2, 2).state_dict()
    return {
        "state_dict": {f"model.{name}": tensor for name, tensor in state.items()} | {"loss.weight": torch.ones(1)},
        "hyper_parameters": {"config": config, "learning_rate": 0.1},
        "optimizer_states": [],
    }


@pytest.fixture
def run(tmp_path, content):
    """A run directory with a best checkpoint."""
    (tmp_path / "run-abcdefgh" / "checkpoints").mkdir(parents=True)
    torch.save(content, tmp_path / "run-abcdefgh" / "checkpoints" / "best.ckpt")
    return tmp_path / "run-abcdefgh"


def convert(place, out, name="slumps", **further):
    further = {"lightning_checkpoint": place, "out_directory": out, "checkpoint_name": name, **further}
    return convert_lightning_checkpoint(Convert(**further))


def test_the_model_file(tmp_path, run, content):
    result = convert(run / "checkpoints" / "best.ckpt", tmp_path / "out")
    today = date.today().isoformat()
    assert result.path == tmp_path / "out" / f"slumps_{today}.ckpt"
    written = torch.load(result.path, weights_only=True)
    assert written.keys() == {"config", "statedict"}
    config = written["config"]
    assert config["model"] == {"arch": ARCH, "encoder_name": ENCODER, "in_channels": 2, "classes": 1}
    assert (config["time"], config["name"], config["model_framework"]) == (today, "slumps", "smp")
    assert config["bands"] == config["input_combination"] == ["red", "slope"]
    assert config["ranges"] == [[0.0, 0.3], [0.0, 90.0]]
    assert (config["patch_size"], config["threshold"], config["nodata_fill"]) == (96, 0.4, -1.0)
    assert config["source"] == {"scale": 1e-4, "band_names": ["red", "slope"]}
    assert not any(name.startswith(("model.", "loss.")) for name in written["statedict"])
    assert "slumps" in result.summary()


def test_the_model_is_the_checkpoint(tmp_path, run):
    image = torch.rand(2, 2, 64, 96)
    one = load_model_file(run / "checkpoints" / "best.ckpt")
    other = load_model_file(convert(run, tmp_path / "out").path)
    with torch.no_grad():
        assert torch.equal(one.network(image), other.network(image))
    assert (one.spec, one.source) == (other.spec, other.source)


def test_a_file_of_that_name_is_replaced_where_that_is_asked_for(tmp_path, run):
    path = convert(run, tmp_path).path
    path.write_bytes(b"older")
    with pytest.raises(UserError, match="--overwrite"):
        convert(run, tmp_path)
    assert path.read_bytes() == b"older"
    assert load_model_file(convert(run, tmp_path, overwrite=True).path).patch_size == 96
    assert not list(tmp_path.glob(".*"))


def test_another_network_is_not_written(tmp_path, run, monkeypatch):
    """Should the file come back otherwise than it was written, the old one stays."""
    path = convert(run, tmp_path).path
    before = path.read_bytes()

    def damaged(place):
        model = load_model_file(place)
        if place.suffix == ".tmp":
            with torch.no_grad():
                next(model.network.parameters()).add_(1e-6)
        return model

    monkeypatch.setattr(convert_module, "load_model_file", damaged)
    with pytest.raises(RuntimeError, match="another network"):
        convert(run, tmp_path, overwrite=True)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_older_checkpoints_are_written_in_todays_words(tmp_path, content):
    config = {
        "model": {"arch": ARCH, "encoder_name": ENCODER, "in_channels": 2, "classes": 1, "activation": "sigmoid"},
        "input_combination": ["red", "slope"],
        "norm_factors": {"red": 1 / 3000, "slope": 1 / 90},
    }
    torch.save(content | {"hyper_parameters": {"config": config}}, tmp_path / "old.ckpt")
    written = torch.load(convert(tmp_path / "old.ckpt", tmp_path).path, weights_only=True)["config"]
    assert written["ranges"] == [pytest.approx([0, 0.3]), pytest.approx([0, 90])]
    assert written["classes"] == ["background", "positive"]
    assert written["norm_factors"] == {"red": pytest.approx(1 / 3000), "slope": pytest.approx(1 / 90)}
    assert "activation" not in written["model"]


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a\0b", "a\nb", "/etc/x", "é" * 101])
def test_names_that_are_no_file_names(tmp_path, run, name):
    with pytest.raises(UserError, match="--checkpoint-name"):
        convert(run, tmp_path / "out", name)
    assert not (tmp_path / "out").exists()


def test_what_is_no_checkpoint(tmp_path, run):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "file").write_text("")
    for place, words in (
        (tmp_path / "absent.ckpt", "--lightning-checkpoint"),
        (tmp_path / "notes.txt", "notes.txt"),
    ):
        with pytest.raises(UserError, match=words):
            convert(place, tmp_path / "out")
    with pytest.raises(UserError, match="--out-directory"):
        convert(run, tmp_path / "file" / "below")
    assert not (tmp_path / "out").exists()
