"""`darts convert-config` as its user calls it; what it writes is read by the parser of the commands themselves."""

import pytest

from darts_train.cli.app import app
from darts_train.cli.expand import _build
from darts_train.cli.main import main
from darts_train.experiments.converting.draft import leaves
from darts_train.experiments.space.file import yaml_value
from darts_train.options.learning import Data, Hyperparameters, Run, Split, Tracking, Training
from tests.experiments.converting.samples import FLOOD, KELP, NEW, OLD


@pytest.fixture(autouse=True)
def _in_a_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def parsed(file, command="train-smp"):
    """Values of a command's options as the program's own parser gives them, and its complaints about the file."""
    import typer

    group = typer.main.get_command(app)
    entry = group.get_command(typer.Context(group), command)
    context = entry.make_context(command, ["--config-file", str(file), "--strict-config"])
    groups = (Data, Split, Hyperparameters, Training, Run, Tracking)
    return {group: _build(group, dict(context.params)) for group in groups}, context.meta["config_warnings"]


@pytest.mark.parametrize("text", [OLD, NEW, KELP], ids=["old", "new", "kelp"])
def test_what_is_written_is_read_by_training(tmp_path, text, capsys):
    (tmp_path / "source.yaml").write_text(text)
    assert main(["convert-config", "source.yaml", "--out", "made.toml"]) == 0
    groups, complaints = parsed("made.toml")
    assert complaints == []
    assert groups[Hyperparameters].learning_rate == 3e-4
    assert groups[Hyperparameters].optimizer == "adamw"
    listed = capsys.readouterr().out + (tmp_path / "made.toml").read_text()
    for key in leaves(yaml_value(text)):
        assert key.rpartition(".")[2] in listed, key


def test_the_pipeline_lies_beside(tmp_path):
    (tmp_path / "source.yaml").write_text(OLD)
    assert main(["convert-config", "source.yaml", "--out", "sub/made.toml"]) == 0
    groups, _ = parsed("sub/made.toml")
    assert str(groups[Hyperparameters].augment_config) == "sub/made-augmentation.yaml"
    assert (tmp_path / "sub/made-augmentation.yaml").is_file()


def test_a_hydra_tree_with_changes(tmp_path, capsys):
    for name, text in FLOOD.items():
        (tmp_path / "configs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "configs" / name).write_text(text)
    changes = ["--set", "model=mobilenet_unet", "--set", "datamodule.batch_size=32"]
    assert main(["convert-config", "configs", "--out", "made.toml", *changes]) == 0
    groups, complaints = parsed("made.toml")
    assert complaints == []
    assert (groups[Hyperparameters].model_encoder, groups[Hyperparameters].batch_size) == ("mobilenet_v2", 32)
    assert "datamodule.mean = [0.485, 0.456, 0.406]: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("a: [", [], "source.yaml"),
        ("a: 1\na: 2", [], "the key 'a' comes twice"),
        ("a: 1", [], "is no configuration of hakai-ml-train, flood-area-segmentation, kelp-wanted-competition"),
        (OLD.replace("3e-4", "quick"), [], "model.init_args.lr: 'quick' is not a number"),
        (OLD, ["--out", "source.yaml"], "source.yaml is the file that is converted"),
        (OLD, ["--out", "source.yaml", "--overwrite"], "source.yaml is the file that is converted"),
        (OLD, ["--set", "trainer.max_epochs"], "is not key=value"),
        (OLD, ["--set", "trainer.max_epochs=0"], "--max-epochs: 0 is below the least value"),
    ],
)
def test_what_cannot_be_converted_is_told_and_nothing_is_written(tmp_path, capsys, text, arguments, words):
    (tmp_path / "source.yaml").write_text(text)
    out = arguments if "--out" in arguments else ["--out", "made.toml", *arguments]
    assert main(["convert-config", "source.yaml", *out]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) <= 2
    assert {path.name for path in tmp_path.iterdir()} <= {"source.yaml", "logs"}


def test_line_breaks_in_values_stay_in_their_comments(tmp_path):
    (tmp_path / "source.yaml").write_text(OLD + '\nnotes: "one\\ntwo = 3\\nbatch-size = 1"\n')
    assert main(["convert-config", "source.yaml", "--out", "made.toml"]) == 0
    assert parsed("made.toml")[0][Hyperparameters].batch_size == 3
