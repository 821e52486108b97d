"""Every command where it may not write: two lines at most and exit code 2, or its work where it writes nothing.

All commands run in one process that has given up root's right to pass over permission bits.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from darts_train.cli import main  # noqa: F401  (it declares the commands)
from darts_train.cli.registry import COMMANDS
from tests.inference.scenes import write_model, write_scene
from tests.support.geo import ORTHOTILE_ID, box, label_repository, planet_scene, write_raster
from tests.support.runs import SMALL, run
from tests.support.sets import make_set
from tests.support.unprivileged import run_unprivileged

CALLS = """
import contextlib, io, json, sys
from darts_train.cli.main import main

found = {}
for name, arguments in json.loads(sys.stdin.read()).items():
    with contextlib.redirect_stderr(io.StringIO()) as errors, contextlib.redirect_stdout(io.StringIO()):
        code = main(arguments)
    found[name] = [code, errors.getvalue()]
print(json.dumps(found))
"""
NOTHING_WRITTEN = {"validate-train-data", "describe-train-data", "list-runs", "sweep-status", "env-info", "bench"}
ELSEWHERE = {"download-weights"}  # writes into the cache of the model hub's client
NETWORK = ("--model-arch", SMALL["model_arch"], "--model-encoder", SMALL["model_encoder"], "--device", "cpu")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Something real to work on for every command."""
    root = tmp_path_factory.mktemp("inputs")
    make_set(root / "set", patches=8, size=32)
    run(root / "set", root / "artifacts" / "_runs" / "run-aaaaaaaa", t={"max_epochs": 1})
    write_model(root / "model.ckpt")
    write_scene(root / "scene.tif")
    planet_scene(root / "planet" / ORTHOTILE_ID)
    label_repository(root / "labels", [(ORTHOTILE_ID, box(9, 9, 50, 50))], [(ORTHOTILE_ID, box(0, 0, 512, 512))])
    mask = np.zeros((1, 100, 150), np.uint8)
    mask[:, 40:60] = 1
    write_raster(root / "mask.tif", mask, cell=3.0, origin=(500000, 7600000))
    (root / "table.csv").write_text("image,label,region\nscene.tif,mask.tif,a\n")
    (root / "chips").mkdir()
    np.savez(root / "chips" / "a_0.npz", image=np.ones((16, 16, 3), np.uint8), label=np.zeros((16, 16), np.int64))
    (root / "kelp.yaml").write_text("architecture: unet\nencoder: resnet18\nnormalization_strategy: quantile\n")
    (root / "space.yaml").write_text("hyperparameters:\n  learning_rate: [0.001, 0.01]\n")
    (root / "sweep.yaml").write_text("method: grid\nparameters:\n  learning_rate: {values: [0.001, 0.01]}\n")
    return root


def calls(root: Path, locked: Path) -> dict[str, list[str]]:
    out, data = str(locked / "out"), ["--train-data-dir", str(root / "set")]
    learn = [*data, *NETWORK, "--artifact-dir", out]
    checkpoint = str(next(root.rglob("best.ckpt")))
    given = {
        "quickstart": ["--directory", out],
        "init-config": ["--out", f"{out}.toml"],
        "convert-config": [str(root / "kelp.yaml"), "--out", f"{out}.toml"],
        "env-info": [],
        "preprocess-planet-train-data":
            ["--data-dir", str(root / "planet"), "--labels-dir", str(root / "labels"), "--train-data-dir", out],
        "preprocess-s2-train-data": ["--sentinel2-dir", str(root / "planet"), "--train-data-dir", out],
        "preprocess-raster-train-data": ["--table", str(root / "table.csv"), "--train-data-dir", out],
        "download-arcticdem": ["--bounds=-135,69,-134,70", "--target-dir", out],
        "download-tcvis": ["--bounds=-135,69,-134,70", "--target-dir", out],
        "import-chips": ["--chips-dir", str(root / "chips"), "--train-data-dir", out],
        "export-chips": [*data, "--out-dir", out],
        "filter-train-data": [*data, "--out-dir", out, "--where", "not empty"],
        "validate-train-data": ["--train-data-dir", str(locked / "set")],
        "describe-train-data": ["--train-data-dir", str(locked / "set")],
        "group-train-data": ["--train-data-dir", str(locked / "set")],
        "train-smp": learn,
        "bench": ["--train-data-dir", str(locked / "set"), *NETWORK, "--bench-seconds", "0.1"],
        "test-smp": [*data, "--artifact-dir", str(locked / "artifacts"), "--run-name", "run", "--run-id", "aaaaaaaa"],
        "cross-validation-smp": learn,
        "tune-smp": [*learn, "--hpconfig", str(root / "space.yaml")],
        "nested-cross-validation-smp": [*learn, "--hpconfig", str(root / "space.yaml")],
        "optuna-sweep-smp": [*learn, "--sweep-config", str(root / "sweep.yaml")],
        "train-pixel-baseline": [*data, "--artifact-dir", out],
        "list-runs": ["--artifact-dir", str(locked / "artifacts")],
        "report": ["--artifact-dir", str(locked / "artifacts"), "--name", "run"],
        "sweep-status": ["--artifact-dir", str(locked / "artifacts")],
        "convert-lightning-checkpoint":
            ["--lightning-checkpoint", checkpoint, "--out-directory", out, "--checkpoint-name", "m"],
        "export-model": ["--model", str(root / "model.ckpt"), "--out", f"{out}.onnx"],
        "build-ensemble": ["--models", checkpoint, "--out", f"{out}.ckpt"],
        "calibrate-threshold": ["--model", checkpoint, "--out", f"{out}.ckpt"],
        "predict":
            ["--model", str(root / "model.ckpt"), "--input", str(root / "scene.tif"), "--scale", "1e-4",
             "--out-dir", out],
        "triton-repository": ["--model", str(root / "model.ckpt"), "--out", out, "--name", "m"],
        "predict-remote":
            ["--model", str(root / "model.ckpt"), "--model-name", "m", "--input", str(root / "scene.tif"),
             "--out-dir", out],
        "postprocess": ["--maps", str(root / "scene.tif"), "--out-dir", out],
        "evaluate": ["--predictions", str(root / "scene.tif"), "--labels", str(root / "labels"), "--out-dir", out],
    }  # fmt: skip
    return {name: [name, *arguments, "--log-dir", str(root / "logs")] for name, arguments in given.items()}


@pytest.fixture(scope="module")
def answers(inputs, tmp_path_factory):
    locked = tmp_path_factory.mktemp("locked")
    make_set(locked / "set", patches=8, size=32)
    run(locked / "set", locked / "artifacts" / "_runs" / "run-aaaaaaaa", t={"max_epochs": 1})
    everything = [locked, *locked.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(locked.rglob("*"))
    given = calls(inputs, locked)
    done = run_unprivileged([sys.executable, "-c", CALLS], input=json.dumps(given), cwd=locked)
    for path in everything:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert done.returncode == 0, done.stderr
    assert sorted(locked.rglob("*")) == before
    return json.loads(done.stdout)


def test_every_command_is_covered(answers):
    assert set(answers) | ELSEWHERE == set(COMMANDS)


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - NOTHING_WRITTEN - ELSEWHERE))
def test_a_place_that_cannot_be_written_is_refused(answers, command):
    code, errors = answers[command]
    lines = errors.splitlines()
    assert code == 2, errors
    assert 1 <= len(lines) <= 2, errors
    assert "read-only" in lines[-1] or "cannot be written" in lines[-1], errors


@pytest.mark.parametrize("command", sorted(NOTHING_WRITTEN))
def test_what_writes_nothing_reads_there(answers, command):
    code, errors = answers[command]
    assert (code, errors) == (0, "")
