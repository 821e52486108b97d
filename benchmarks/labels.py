"""How long the public label repository takes to import, and what is in it.

    uv run python benchmarks/labels.py ML_training_labels/retrogressive_thaw_slumps

The repository is that of Nitze et al. (github.com/initze/ML_training_labels). The time is that of reading, mending,
uniting and matching in a process that has imported the libraries.
"""

import argparse
import time
from pathlib import Path

import geopandas  # noqa: F401  its import is not what is measured
import shapely  # noqa: F401

from darts_train.scenes.label_repository import LabelRepository


def main() -> None:
    """Import once and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", type=Path)
    started = time.perf_counter()
    repository = LabelRepository.open(parser.parse_args().repository)
    matches = repository.match([])
    seconds = time.perf_counter() - started
    print(f"{len(repository.polygons.geometries)} polygons, {repository.polygons.mended} mended: {seconds:.2f} s")
    print(f"{len(matches.exact)} footprints by equal ids: {repository.count(matches.exact)} polygons")
    print(f"{len(matches.prefix)} footprints by a unique prefix: {repository.count(matches.prefix)} polygons")
    print(f"without a footprint: {repository.count(matches.unmatched)} polygons")


if __name__ == "__main__":
    main()
