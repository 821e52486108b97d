"""The program as its user meets it: exit codes, one-line errors, help, lazy imports."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from darts_train.cli.main import main
from darts_train.cli.registry import COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = (
    "torch", "lightning", "numpy", "pandas", "zarr", "rasterio", "optuna", "sklearn", "geopandas", "matplotlib",
    "pydantic", "rich", "logging", "tomllib",
)  # fmt: skip
PATHS = {  # an option of every command that names something to read
    "preprocess-planet-train-data": ("--data-dir", "--labels-dir", "{absent}", "--train-data-dir", "{new}"),
    "preprocess-s2-train-data": ("--sentinel2-dir", "--train-data-dir", "{new}"),
    "preprocess-raster-train-data": ("--table", "--train-data-dir", "{new}"),
    "download-arcticdem": ("--area", "--target-dir", "{new}"),
    "download-tcvis": ("--area", "--target-dir", "{new}"),
    "import-chips": ("--chips-dir", "--train-data-dir", "{new}"),
    "export-chips": ("--train-data-dir", "--out-dir", "{new}"),
    "filter-train-data": ("--train-data-dir", "--out-dir", "{new}"),
    "validate-train-data": ("--train-data-dir",),
    "describe-train-data": ("--train-data-dir",),
    "group-train-data": ("--train-data-dir",),
    "train-smp": ("--train-data-dir",),
    "bench": ("--train-data-dir",),
    "test-smp": ("--artifact-dir", "--run-name", "x", "--run-id", "abcdefgh", "--train-data-dir", "{absent}"),
    "cross-validation-smp": ("--train-data-dir",),
    "tune-smp": ("--hpconfig", "--train-data-dir", "{absent}"),
    "nested-cross-validation-smp": ("--hpconfig", "--train-data-dir", "{absent}"),
    "optuna-sweep-smp": ("--sweep-config", "--train-data-dir", "{absent}", "--device", "cpu"),
    "train-pixel-baseline": ("--train-data-dir",),
    "convert-config": ("--overwrite", "--out", "{new}.toml"),
    "list-runs": ("--artifact-dir",),
    "report": ("--artifact-dir", "--name", "x"),
    "sweep-status": ("--artifact-dir",),
    "convert-lightning-checkpoint": ("--lightning-checkpoint", "--out-directory", "{new}", "--checkpoint-name", "m"),
    "export-model": ("--model", "--out", "{new}/m.onnx"),
    "build-ensemble": ("--models", "--out", "{new}/m.ckpt"),
    "calibrate-threshold": ("--model", "--out", "{new}/m.ckpt"),
    "predict": ("--model", "--input", "{absent}", "--out-dir", "{new}"),
    "triton-repository": ("--model", "--out", "{new}", "--name", "m"),
    "predict-remote": ("--model", "--model-name", "m", "--input", "{absent}", "--out-dir", "{new}"),
    "postprocess": ("--maps", "--out-dir", "{new}"),
    "evaluate": ("--predictions", "--labels", "{absent}", "--out-dir", "{new}"),
}
NO_PATH = {"quickstart", "init-config", "env-info", "download-weights"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def error_lines(capsys, code: int, expected: int = 2) -> list[str]:
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert code == expected, lines
    assert 1 <= len(lines) <= 2, lines
    assert not any("Traceback" in line or "╭" in line for line in lines)
    return lines


def arguments(command: str, place: str, tmp_path: Path) -> list[str]:
    flag, *rest = PATHS[command]
    filled = [text.format(absent=tmp_path / "absent", new=tmp_path / "new") for text in rest]
    return [command, flag, place, *filled]


def test_every_command_is_covered():
    assert set(PATHS) | NO_PATH == set(COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_unknown_option(command, capsys):
    lines = error_lines(capsys, main([command, "--no-such-thing", "1"]))
    assert "--no-such-thing" in lines[0]


@pytest.mark.parametrize("command", sorted(c for c, options in COMMANDS.items() if any(o.required for o in options)))
def test_required_option_is_missing(command, capsys):
    lines = error_lines(capsys, main([command]))
    assert "Missing option" in lines[0] or "Missing argument" in lines[0]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_wrong_type(command, capsys):
    numeric = [o for o in COMMANDS[command] if {int, float} & set(o.type.kinds)]
    flag = numeric[0].flags[0] if numeric else "--config-file"
    required = [part for o in COMMANDS[command] if o.required and o.flags[0] != flag for part in (o.flags[0], "x")]
    lines = error_lines(capsys, main([command, flag, "x.y", *required]))
    assert "x.y" in lines[0]


@pytest.mark.parametrize("command", sorted(PATHS))
def test_path_that_is_not_there(command, tmp_path, capsys):
    lines = error_lines(capsys, main(arguments(command, str(tmp_path / "absent"), tmp_path)))
    assert "absent" in " ".join(lines)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", sorted(PATHS))
def test_empty_directory(command, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "absent").mkdir()
    code = main(arguments(command, str(tmp_path / "empty"), tmp_path))
    if command in ("list-runs", "sweep-status"):
        assert code == 0
        return
    error_lines(capsys, code)
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_failure_of_ours_is_one_line_and_a_traceback_in_the_log(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("darts_train.cli.env_info.collect", lambda: 1 / 0)
    lines = error_lines(capsys, main(["env-info"]), expected=1)
    assert "ZeroDivisionError" in lines[0]
    (log,) = (tmp_path / "logs").glob("darts_env-info_*.log")
    assert "Traceback" in log.read_text()


def test_interruption_is_130(monkeypatch, capsys):
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("darts_train.cli.env_info.collect", interrupt)
    error_lines(capsys, main(["env-info"]), expected=130)


def test_env_info_names_versions_and_devices(capsys):
    assert main(["env-info", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert "torch" in info["packages"]
    assert isinstance(info["cuda_devices"], list)


@pytest.mark.parametrize("preset", ["raster", "planet", "sweep"])
def test_init_config_writes_what_the_program_reads(preset, tmp_path, capsys):
    from darts_train.cli.config_file import read_options

    assert main(["init-config", "--preset", preset]) == 0
    text = (tmp_path / "config.toml").read_text()
    values, warnings = read_options(tmp_path / "config.toml", "tune-smp")
    assert "train_data_dir" in values
    assert warnings == []
    everything = "\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines())
    (tmp_path / "all.toml").write_text(everything)
    values, warnings = read_options(tmp_path / "all.toml", "tune-smp")
    assert warnings == []
    assert len(values) > 20
    error_lines(capsys, main(["init-config"]))


def test_version(capsys):
    from darts_train import __version__

    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("command", ["", *sorted(COMMANDS)])
def test_help_fits_eighty_columns(command, capsys):
    assert main([*filter(None, [command]), "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "..." not in text.replace("[ARGS]...", "")


@pytest.mark.parametrize("command", [[], ["train-smp"]])
def test_help_imports_nothing_heavy(command):
    code = (
        f"import sys; from darts_train.cli.main import main; main([*{command!r}, '--help']);"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.strip() == "[]"


def test_python_m_is_the_program():
    done = subprocess.run([sys.executable, "-m", "darts_train", "--bad"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("darts: No such option")


def test_shell_completion_is_offered():
    environment = os.environ | {"_DARTS_COMPLETE": "complete_bash", "COMP_WORDS": "darts train-", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "darts_train"], capture_output=True, text=True, env=environment, cwd=ROOT
    )
    assert "train-smp" in done.stdout


def test_every_command_has_a_public_function():
    import darts_train

    names = {command.replace("-", "_") for command in COMMANDS} - {"init_config", "env_info"}
    assert names <= set(darts_train.__all__)
    for name in darts_train.__all__:
        assert getattr(darts_train, name) is not None
