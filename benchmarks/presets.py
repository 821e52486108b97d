"""Every shipped preset learns: two epochs with its own network on stand-in bands that fit it; nothing is fetched.

    uv run python benchmarks/presets.py [NAME ...] [--size 64]

A stand-in set has the preset's bands and classes, bright discs on a dark ground, and the columns that its split and
sampler ask for (tests/support/presets.py). All else is as the preset says, but for what costs time or a download: two
epochs of four patches, two in a batch, small patches, weights from scratch, arithmetic of the device. A preset that
needs the extra albumentations fails without it. Prints a row for each, and fails where one does not learn.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from darts_train.artifacts.listing import list_runs
from darts_train.cli.main import main
from darts_train.options.learning import Artifacts
from darts_train.options.presets import FILES
from tests.support.presets import arguments, preset_values, stand_in


def row(name: str, size: int) -> tuple[str, bool]:
    """A line about a preset, and whether its run was finished."""
    values = preset_values(name)
    network = f"{values['model_arch']} {values['model_encoder']}"
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        stand_in(root / "set", name, patches=36 if "group_by" in values else 14, size=size)
        started, said = time.perf_counter(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(arguments(name, root, plot_every_n_val_epochs=0, save_top_k=0))
        seconds = time.perf_counter() - started
        runs = list_runs(Artifacts(artifact_dir=root / "artifacts")).rows if code == 0 else ()
    if not runs:
        return f"{name:21} {network:26} failed: {said.getvalue().strip().splitlines()[-1]}", False
    return f"{name:21} {network:26} {runs[0].status:9} {seconds:8.0f} {runs[0].iou or 0:8.3f}", True


def run() -> int:
    """Print the table; the exit code says whether all runs were finished."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(FILES), metavar="NAME")
    parser.add_argument("--size", type=int, default=64, help="side of a patch, pixels")
    given = parser.parse_args()
    print(f"{'preset':21} {'network':26} {'status':9} {'seconds':>8} {'val IoU':>8}", flush=True)
    done = []
    for name in given.names:
        line, finished = row(name, given.size)
        done.append(finished)
        print(line, flush=True)
    return int(not all(done))


if __name__ == "__main__":
    sys.exit(run())
