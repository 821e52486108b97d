"""SIGKILL at random moments, the same command again, and a comparison with a run that was left alone.

    uv run python benchmarks/kills.py --kills 10 [preprocess train cross-validation sweep]

Every stage is a real `darts` command on the bundled scenes. A stage passes when its result is the same as the
undisturbed one: every byte of the train data, every weight of the network, every score.
"""

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SCENES = Path(__file__).parents[1] / "darts_train" / "quickstart" / "scenes"
SPACE = """\
method: random
metric: {name: val/JaccardIndex, goal: maximize}
parameters:
  learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 1e-2}
"""


def preprocess(root: Path) -> list[str]:
    return [
        "preprocess-raster-train-data", "--table", str(SCENES / "table.csv"), "--train-data-dir", str(root / "set"),
        "--scale", "1e-4", "--remap", "0:0,1:0,2:0,3:0,4:1", "--patch-size", "64", "--overlap", "32",
    ]  # fmt: skip


def preprocess_by_two(root: Path) -> list[str]:
    return [*preprocess(root), "--workers", "2"]


def learning(root: Path, data: Path) -> list[str]:
    return [
        "--train-data-dir", str(data), "--artifact-dir", str(root / "artifacts"), "--model-encoder", "mobilenet_v2",
        "--max-epochs", "3", "--check-val-every-n-epoch", "1", "--batch-size", "16", "--subsample", "96",
        "--plot-every-n-val-epochs", "0", "--device", "cpu", "--fold-method", "region-stratified",
        "--total-folds", "2",
    ]  # fmt: skip


def train(root: Path, data: Path) -> list[str]:
    return ["train-smp", "--run-name", "kill", *learning(root, data)]


def cross_validation(root: Path, data: Path) -> list[str]:
    return ["cross-validation-smp", "--cv-name", "kill", "--n-randoms", "2", *learning(root, data)]


def sweep(root: Path, data: Path) -> list[str]:
    space = root.with_suffix(".yaml")  # beside it: starting over removes the directory
    space.parent.mkdir(parents=True, exist_ok=True)
    space.write_text(SPACE)
    names = ["--sweep-config", str(space), "--sweep-id", "kill", "--n-trials", "2", "--n-randoms", "1"]
    return ["optuna-sweep-smp", *names, *learning(root, data)]


def bytes_of_set(root: Path) -> dict[str, str]:
    """Hash of every file of the train data; the lock file carries nothing."""
    files = (f for f in sorted((root / "set").rglob("*")) if f.is_file() and "lock" not in f.name)
    return {str(f.relative_to(root)): hashlib.md5(f.read_bytes()).hexdigest() for f in files}


def weights_of_runs(root: Path) -> dict[str, Any]:
    """Weights and best metrics of every finished run of the first two trials, by run name."""
    import torch

    found: dict[str, Any] = {}
    for record in sorted(root.glob("artifacts/**/run.json")):
        run = json.loads(record.read_text())
        if run["status"] != "finished" or not _within(run["run_name"]):
            continue
        state = torch.load(record.parent / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        digest = hashlib.md5(b"".join(state[k].numpy().tobytes() for k in sorted(state))).hexdigest()
        metrics = {k: v for k, v in run["best_metrics"].items() if "time" not in k}
        # A single run that was killed in its last moment, already finished, is followed by a new one: no fault.
        if run["run_name"] in found and (run["cv_name"] or found[run["run_name"]] != (digest, metrics)):
            raise SystemExit(f"{run['run_name']} is there twice")
        found[run["run_name"]] = (digest, metrics)
    return found


def _within(name: str) -> bool:
    """A runner that comes back does its own number of trials; only the first two are compared."""
    return "-cv" not in name or int(name.split("-cv")[1].split("-")[0]) < 2


def call(arguments: list[str], timeout: float | None = None) -> bool:
    """Run a command; True where it ended by itself, False where it was killed after `timeout` seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "darts_train", *arguments, "--log-dir", tempfile.gettempdir() + "/darts-kill-logs"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return False
    if process.returncode:
        raise SystemExit(f"{arguments[0]} left with {process.returncode}: {errors[-600:]}")
    return True


def disturbed(arguments: list[str], seconds: float, kills: int, draw: random.Random, again: Callable[[], None]) -> int:
    """Kill the command `kills` times, starting over when it finished early, and let it end; returns the restarts."""
    done, restarts = 0, 0
    while done < kills:
        if call(arguments, timeout=draw.uniform(0.1, 1.0) * seconds):
            again()
            restarts += 1
        else:
            done += 1
    call(arguments)
    return restarts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = ["preprocess", "preprocess-two-workers", "train", "cross-validation", "sweep"]
    parser.add_argument("stages", nargs="*", default=names)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="darts-kills-"))
    data = base / "data" / "set"
    call(preprocess(base / "data"))
    stages: dict[str, tuple[Callable[[Path], list[str]], Callable[[Path], dict[str, Any]]]] = {
        "preprocess": (preprocess, bytes_of_set),
        "preprocess-two-workers": (preprocess_by_two, bytes_of_set),
        "train": (lambda root: train(root, data), weights_of_runs),
        "cross-validation": (lambda root: cross_validation(root, data), weights_of_runs),
        "sweep": (lambda root: sweep(root, data), weights_of_runs),
    }
    failed = False
    for name in options.stages:
        command, digest = stages[name]
        calm, rough = base / name / "calm", base / name / "rough"
        started = time.monotonic()
        call(command(calm))
        seconds = time.monotonic() - started
        again = lambda rough=rough: shutil.rmtree(rough)  # noqa: E731
        disturbed(command(rough), seconds, options.kills, random.Random(options.seed), again)
        expected, got = digest(calm), digest(rough)
        same = expected == got and bool(expected)
        failed |= not same
        print(f"{name}: {options.kills} kills, {len(expected)} results, {'all the same' if same else 'DIFFERENT'}")
        for key in expected.keys() | got.keys():
            if expected.get(key) != got.get(key):
                print(f"  {key}: {expected.get(key)} != {got.get(key)}")
    shutil.rmtree(base)
    sys.exit(failed)


if __name__ == "__main__":
    main()
