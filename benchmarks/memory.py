"""Peak memory of training on a set, and on one that is ten times larger: it must not depend on the set.

    uv run python benchmarks/memory.py [PATCHES] [--times 10] [--bands 10] [--side 256] [--epochs 2] [--threads 1]

Every measurement is a whole run (training, validation, checkpoints, metrics.csv) in a process of its own, which this
one watches: it is small, and hands nothing down. Runs are made without a cache, and with a cache directory that the
run builds itself. Two numbers of each, with all threads and child processes:

* resident: the largest resident set, as the system keeps it (VmHWM). Pages of files that a process maps count here,
  such as libraries, and would count if patches were mapped;
* anonymous: the largest sum of memory that belongs to no file (RssAnon), looked at fifty times a second; or the
  resident peak less the pages of files, where that is more, because a short peak falls between two looks.

Pages that the system keeps of files that were read (the page cache) belong to no process, and are in neither.
Batches that are read ahead are in both, two for each thread and one more: the smaller set must have as many.
Wanted: larger / smaller at most 1.05, for both numbers. Ends with exit code 1 where that is not so.
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

WANTED = 1.05
BATCH = 8
HOWS = ("none", "directory")  # of --cache


def one_run(root: Path, directory: Path, cache: str, epochs: int, threads: int) -> None:
    """What a child process does: train and validate, with a network small enough for two cores."""
    from darts_train.artifacts.tree import RunPlace
    from darts_train.experiments.run import execute_run
    from darts_train.options.learning import Data, Device, Hyperparameters, Split, Tracking, Training

    execute_run(
        RunPlace(directory, "run", "aaaaaaaa"),
        Data(train_data_dir=root),
        Split(fold_method="kfold", total_folds=5),
        Hyperparameters(
            model_encoder="mobilenet_v2",
            model_options=("encoder_depth=2", "decoder_channels=16,8"),
            batch_size=BATCH,
        ),
        Training(
            max_epochs=epochs,
            check_val_every_n_epoch=1,
            plot_every_n_val_epochs=0,
            cache=cache or None,
            num_workers=threads,
        ),
        Device(device="cpu"),
        Tracking(),
        0,
        42,
    )


def make(root: Path, count: int, bands: int, side: int) -> None:
    """What another child process does: write a set."""
    from loader import make_set

    make_set(root, count, bands, side)


def watched(*arguments: object) -> tuple[float, float]:
    """Run this file with `arguments` in a process; its largest resident and anonymous memory, MB."""
    process = subprocess.Popen([sys.executable, __file__, "--one", *map(str, arguments)], stdout=subprocess.DEVNULL)
    resident: dict[int, int] = {}
    file_pages: dict[int, int] = {}
    anonymous, seen = 0, {process.pid}
    for look in itertools.count():
        if process.poll() is not None:
            break
        if look % 25 == 0:  # which looks at every process of the machine
            last, seen = seen, {process.pid, *family(process.pid)}
            pids = last & seen  # a child that is about to become another program has its parent's memory
        found = {pid: memory for pid in pids if (memory := memory_of(pid)) is not None}
        for pid, (peak, file, _) in found.items():
            resident[pid] = max(peak, resident.get(pid, 0))
            file_pages[pid] = max(file, file_pages.get(pid, 0))
        anonymous = max(anonymous, sum(now for _, _, now in found.values()))
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"a measurement failed: {process.args}")
    peak = sum(resident.values())
    return peak / 1024, max(anonymous, peak - sum(file_pages.values())) / 1024


def family(pid: int) -> list[int]:
    """A process and what it started; nothing where it has ended."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def memory_of(pid: int) -> tuple[int, int, int] | None:
    """Largest resident set so far, pages of files and anonymous memory now, KB; None where the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    found = dict(line.split(":", 1) for line in lines)
    if "VmHWM" not in found:  # it has ended, and is not yet forgotten
        return None
    peak, file, shared, anonymous = (int(found[k].split()[0]) for k in ("VmHWM", "RssFile", "RssShmem", "RssAnon"))
    return peak, file + shared, anonymous


def main() -> int:
    """Print two lines per kind of cache, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches", type=int, nargs="?", default=40)
    for name, default in (("--times", 10), ("--bands", 10), ("--side", 256), ("--epochs", 2), ("--threads", 1)):
        parser.add_argument(name, type=int, default=default)
    a = parser.parse_args()
    if a.patches * 4 // 5 // BATCH < 2 * a.threads + 1:
        parser.error(f"{a.patches} patches are not enough for what {a.threads} threads read ahead")
    counts = (a.patches, a.patches * a.times)
    worst = 0.0
    with tempfile.TemporaryDirectory() as place:
        for count in counts:
            watched("make", Path(place) / f"set{count}", count, a.bands, a.side)
        for how in HOWS:
            found = [measured(Path(place), count, how, a) for count in counts]
            ratios = [larger / smaller for smaller, larger in zip(*found, strict=True)]
            print(f"cache {how}: larger / smaller: resident {ratios[0]:.3f}, anonymous {ratios[1]:.3f}", flush=True)
            worst = max(worst, *ratios)
    print(f"largest ratio {worst:.3f} (wanted: at most {WANTED})")
    return int(worst > WANTED)


def measured(place: Path, count: int, how: str, a: argparse.Namespace) -> tuple[float, float]:
    """Train on one of the sets."""
    cache = "" if how == "none" else place / "cache"
    (place / "cache").mkdir(exist_ok=True)
    directory = place / f"run{count}{how}"
    resident, anonymous = watched("train", place / f"set{count}", directory, cache, a.epochs, a.threads)
    size = count * a.side**2 * (2 * a.bands + 1) / 1e6
    print(f"  {count:5d} patches, {size:5.0f} MB: resident {resident:.0f} MB, anonymous {anonymous:.0f} MB", flush=True)
    return resident, anonymous


def one(what: str, root: str, *arguments: str) -> None:
    """What a child process was started for."""
    if what == "make":
        make(Path(root), *map(int, arguments))
    else:
        directory, cache, epochs, threads = (*arguments, "1")[:4]
        one_run(Path(root), Path(directory), cache, int(epochs), int(threads))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(*sys.argv[2:])
    else:
        sys.exit(main())
