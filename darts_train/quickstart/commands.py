"""The commands that do what the quickstart does, as a user types them. They are in the report and in commands.sh."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from darts_train.quickstart.task import HELD_OUT, REFLECTANCE_SCALE, Recipe, Task

WRAP = 100  # letters of a line


def commands(
    task: Task, recipe: Recipe, best: Mapping[str, Any], seed: int, device: str, run_id: str, model: str
) -> list[str]:
    """Shell commands, to be run inside the quickstart's directory, one per step.

    `best` are the settings that the search chose, `run_id` and `model` (a file name) what the steps between gave.
    """
    split = ["--data-split-method", "region", "--data-split-by", HELD_OUT]
    network: list[Any] = ["--model-arch", recipe.model_arch, "--model-encoder", recipe.model_encoder]
    network += ["--batch-size", recipe.batch_size, "--gamma", recipe.gamma]
    network += ["--ema-decay", recipe.ema_decay]
    network += [part for text in recipe.model_options for part in ("--model-options", text)]
    quiet: list[Any] = [
        "--early-stopping-patience",
        0,
        "--plot-every-n-val-epochs",
        0,
        "--in-memory",
        "--precision",
        "32",
        "--device",
        device,
    ]
    data = ["--train-data-dir", "train_data"]
    chosen = [part for name, value in best.items() for part in (f"--{name.replace('_', '-')}", value)]
    # fmt: off
    steps: list[Sequence[Any]] = [
        ["preprocess-raster-train-data", "--table", "scenes/table.csv", *data, "--scale", REFLECTANCE_SCALE,
         "--classes", ",".join(task.classes), "--remap", task.remap_text, "--optical-range", recipe.optical_range,
         "--patch-size", recipe.patch_size, "--overlap", recipe.overlap],
        ["tune-smp", *data, *split, "--fold-method", "region-stratified", "--total-folds", 2, *network,
         "--max-epochs", recipe.search_epochs, "--check-val-every-n-epoch", recipe.search_epochs, *quiet,
         "--hpconfig", "search.yaml", "--n-trials", "grid", "--n-randoms", 1, "--scoring-metric", "val/JaccardIndex",
         "--tune-name", "search"],
        ["train-smp", *data, *split, "--fold-method", "none", *network, *chosen, "--max-epochs", recipe.epochs,
         "--check-val-every-n-epoch", validation_interval(recipe.epochs), *quiet, "--random-seed", seed,
         "--run-name", "final"],
        ["test-smp", *data, *split, "--run-name", "final", "--run-id", run_id, "--device", device],
        ["convert-lightning-checkpoint",
         "--lightning-checkpoint", f"artifacts/_runs/final-{run_id}/checkpoints/best.ckpt",
         "--out-directory", "model", "--checkpoint-name", "clouds"],
        ["export-model", "--model", f"model/{model}", "--out", "model/clouds.onnx"],
        ["predict", "--model", f"model/{model}", "--input", f"scenes/{HELD_OUT}_toa6.tif",
         "--scale", REFLECTANCE_SCALE, "--out-dir", "maps", "--device", device],
    ]
    # fmt: on
    return [_line(step) for step in steps]


def validation_interval(epochs: int) -> int:
    """Epochs between two validations: about four over a run."""
    return max(1, epochs // 4)


def script(lines: Sequence[str]) -> str:
    """A shell script of the commands."""
    head = (
        "#!/bin/sh\n# What `darts quickstart` did, one command per step. Run it in a copy of this directory.\nset -e\n"
    )
    return head + "\n".join(["", *lines, ""])


def _line(parts: Sequence[Any]) -> str:
    """One command, wrapped before options with a backslash."""
    words = ["darts", *(shlex.quote(str(part)) for part in parts)]
    lines = [words[0] + " " + words[1]]
    for word in words[2:]:
        if word.startswith("--") and len(lines[-1]) + len(word) > WRAP - 25:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += " " + word
    return "\n".join(lines)
