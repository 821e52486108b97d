"""The quickstart with three seeds: held-out IoU of each, and the median beside what other models reach.

    uv run python benchmarks/quickstart_seeds.py [DIRECTORY]

The search is done once per seed, so this takes three times as long as a quickstart. Called again in the same
directory it goes on. The figures of other models are those of docs/benchmarks.md.
"""

import statistics
import sys
from pathlib import Path

from darts_train.options.tools import Quickstart
from darts_train.quickstart.recipe import quickstart

SEEDS = (42, 21, 69)
OTHERS = {
    "everything is cloud": 0.328,
    "gradient-boosted trees on single pixels": 0.807,
    "a small U-Net, 100 s": 0.835,
}


def main() -> None:
    """Run, and print one line per seed."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "quickstart-seeds")
    scores = []
    for seed in SEEDS:
        result = quickstart(Quickstart(directory=root / f"seed{seed}", random_seed=seed))
        scores.append(result.held_out_iou)
        print(f"seed {seed:3d}  IoU {result.held_out_iou:.4f}  {result.seconds:5.0f} s", flush=True)
    print(f"median    IoU {statistics.median(scores):.4f}")
    for name, iou in OTHERS.items():
        print(f"          IoU {iou:.3f}   {name}")


if __name__ == "__main__":
    main()
