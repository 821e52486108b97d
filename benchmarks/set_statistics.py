"""Statistics of a set that is many times larger than the memory they are allowed: one pass, constant memory.

    uv run python benchmarks/set_statistics.py [PATCHES] [--times 10] [--bands 6] [--side 512] [--limit 40]

Two sets are made on the fly, one of them `--times` larger, and described each in a process of its own
(`describe-train-data --stats-file`): every patch is read once, and mean, deviation, range and true quantiles of every
band come out. When the set is opened, the process is forbidden (RLIMIT_DATA) more than `--limit` MB of further memory.
Printed: size of the pixels, how many times the limit that is, seconds, MB/s of pixels, and the largest resident set
(VmHWM), which holds Python and its libraries, too. Wanted: the larger set passes within the limit, and its peak is at
most 1.1 of the smaller one's. Ends with exit code 1 where that is not so. The disk needs a
tenth of the pixels, which are decompressed somewhat faster than real ones.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WANTED = 1.1
TILE = 10  # patches to a scene


def make(root: Path, count: int, bands: int, side: int) -> None:
    """Write a set: squares of 8 x 8 pixels, over levels that change from patch to patch; quick to compress."""
    from darts_train.dataset.schema import PatchRow, SceneRecord, Tile
    from darts_train.dataset.set_config import SetConfig
    from darts_train.dataset.writer import TrainDataWriter
    from darts_train.raster.band import Band

    names = tuple(Band(f"band{i}", 1e-4, -0.1, 0.0, 1.0, True) for i in range(bands))
    config = SetConfig(bands=names, patch_size=side, classes=("background", "positive"), command="benchmark")
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 900, (TILE, bands, -(-side // 8), -(-side // 8)))
    noise = coarse.repeat(8, axis=2).repeat(8, axis=3)[..., :side, :side]
    with TrainDataWriter.open(root, config) as writer:
        for scene, first in enumerate(range(0, count, TILE)):
            n, name = min(TILE, count - first), f"scene{scene}"
            x = (noise[:n] + rng.integers(2000, 9000, (n, bands, 1, 1))).astype(np.uint16)
            y = np.zeros((n, side, side), np.uint8)
            y[:, : scene % side] = 1
            rows = [PatchRow(i, name, x=i * side, empty=not scene % side, class_fractions=[0.5, 0.5]) for i in range(n)]
            writer.commit(Tile(name, 0, rows, x, y, SceneRecord(name, patches=n)))
        writer.finalise()


def one(root: Path, limit: float) -> None:
    """What a child process does: open, set the limit, describe, and print seconds and memory."""
    from darts_train.dataset import statistics_file  # noqa: F401  a library is no memory of the statistics
    from darts_train.dataset.describing.describe import open_or_empty
    from darts_train.options.preprocessing import Describe, Inspect
    from darts_train.reporting.describe import describe_train_data

    open_or_empty(root).read(0)
    before = status("VmData")
    allowed = int(before + limit * 1e6)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    start, worked = time.perf_counter(), time.process_time()
    found = describe_train_data(Inspect(train_data_dir=root), Describe(stats_file=root.with_suffix(".json")))
    assert found.statistics[0].valid
    seconds = time.perf_counter() - start, time.process_time() - worked
    print(*seconds, status("VmHWM") / 1e6, (status("VmData") - before) / 1e6)


def status(key: str) -> int:
    """A line of /proc/self/status, bytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[key].split()[0]) * 1024


def measured(root: Path, limit: float) -> tuple[float, ...]:
    """Seconds by the clock and of work, peak and growth in MB of a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", root, "--limit", str(limit)], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{root.name}: more than {limit:g} MB were needed:\n{done.stderr[-600:]}")
    return tuple(map(float, done.stdout.split()))


def main() -> int:
    """Print a line for each set, and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches", type=int, nargs="?", default=70)
    for name, default in (("--times", 10), ("--bands", 6), ("--side", 512)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--limit", type=float, default=40.0)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.limit)
        return 0
    peaks = []
    with tempfile.TemporaryDirectory() as directory:
        for count in (given.patches, given.patches * given.times):
            root = Path(directory) / f"{count}"
            make(root, count, given.bands, given.side)
            size = count * given.bands * given.side**2 * 2 / 1e6
            seconds, worked, peak, grown = measured(root, given.limit)
            peaks.append(peak)
            times = f"{size / given.limit:.0f} times the limit"
            print(f"{count:,} patches of {given.bands} x {given.side}²: {size:,.0f} MB, {times}", flush=True)
            print(
                f"    {seconds:.1f} s, {size / seconds:.0f} MB/s; {worked:.1f} s of one core, {size / worked:.0f} MB/s"
            )
            print(f"    peak {peak:.0f} MB, of which {grown:.0f} MB are new since the set was opened", flush=True)
    ratio = peaks[1] / peaks[0]
    print(f"peak of the larger set: {ratio:.3f} of the smaller one's (wanted: at most {WANTED})")
    return int(ratio > WANTED)


if __name__ == "__main__":
    sys.exit(main())
