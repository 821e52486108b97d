"""Mosaics with label rasters to train data, beside a plain loop of windows; and memory on a very large mosaic.

    uv run python benchmarks/chips.py [--side 6144] [--size 512] [--repeats 5] [--large 10000,40000] [--workers 1]

Mosaics are the bundled Landsat-7 scene as bytes, repeated in mirrors, as GeoTIFF of three bands in compressed blocks of
512 pixels, with label rasters of the same form. The plain loop opens image and label once, reads window after window
with rasterio and writes `image` (H, W, C) and `label` (H, W, int64) with numpy's savez_compressed, and with savez; it
checks nothing. Ours has all of its checks on: grids, label values, no data, encodings, checksums, a set that survives
being killed. Runs take turns, each in a process of its own, whose imports do not count; the ratio is that of the
medians. With `--workers N` the loop, too, is shared by N processes, one mosaic each.

Wanted: ours at least 0.8 of the plain loop that compresses, as the tools of the field do.

`large` cuts virtual mosaics (VRT) of these sides, in which one strip of 1024 rows has data and the rest has none, and
whose labels are of the same kind; peaks of resident memory must be nearly alike. Exit code 1 where one is not so.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from darts_train.options.pairing import Pairing
from darts_train.options.preprocessing import Output, Parallel, Patches, Raster

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.support import geo  # noqa: E402

WANTED, MEMORY_WANTED = 0.8, 1.3  # memory: for 16 times the pixels
STRIP = 1024  # rows of a large mosaic that have data
BLOCKS = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}


def mosaic(root: Path, name: str, side: int, height: int | None = None) -> None:
    """An image of bytes and its labels, of classes 0 to 4, below `root`."""
    height = height or side
    counts = geo.sample_pixels(bands=3)
    small = (counts // 40).clip(1, 255).astype(np.uint8)
    with rasterio.open(geo.SAMPLE / "landsat7_mask.tif") as file:
        labels = file.read()
    for directory, block in (("images", small), ("labels", labels)):
        quarter = np.concatenate([block, block[:, ::-1]], axis=1)
        block = np.concatenate([quarter, quarter[:, :, ::-1]], axis=2)
        pixels = np.tile(block, (1, -(-height // 1024), -(-side // 1024)))[:, :height, :side]
        geo.write_raster(root / directory / f"{name}.tif", np.ascontiguousarray(pixels), **BLOCKS)


def ours(root: Path, place: Path, size: int, workers: int) -> None:
    """The command, with its defaults where they do not concern what is compared."""
    from darts_train.preprocess.raster import preprocess_raster_train_data

    preprocess_raster_train_data(
        Raster(
            image_dir=root / "images",
            label_dir=root / "labels",
            classes=("background", "cloud"),
            remap="0:0,1:0,2:0,3:0,4:1",
        ),
        Output(train_data_dir=place),
        Patches(patch_size=size, stride=size, edge="pad", exclude_nan=False),
        Parallel(workers=workers),
        Pairing(),
    )


def plain(root: Path, place: Path, size: int, compress: bool, only: str | None = None) -> None:
    """One window after the other."""
    place.mkdir(parents=True, exist_ok=True)
    save = np.savez_compressed if compress else np.savez
    table = np.array([0, 0, 0, 0, 1], np.int64)
    for path in sorted((root / "images").glob(f"{only or '*'}.tif")):
        with rasterio.open(path) as image, rasterio.open(root / "labels" / path.name) as label:
            number = 0
            for top in range(0, image.height, size):
                for left in range(0, image.width, size):
                    window = Window(left, top, size, size)
                    pixels = image.read(window=window, boundless=False)
                    classes = table[label.read(1, window=window)]
                    save(place / f"{path.stem}_{number}.npz", image=pixels.transpose(1, 2, 0), label=classes)
                    number += 1


def start(*arguments: object) -> subprocess.Popen:
    """A measurement in a process of its own."""
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def finish(*processes: subprocess.Popen) -> dict[str, float]:
    """The largest numbers of processes that run at once."""
    found = []
    for process in processes:
        text, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"a measurement failed: {process.args}")
        found.append(json.loads(text.splitlines()[-1]))
    return {key: max(one[key] for one in found) for key in found[0]}


def one(how: str, root: str, place: str, size: str, more: str = "") -> None:
    """What the process of a measurement does."""
    import geopandas  # noqa: F401
    import zarr  # noqa: F401

    import darts_train.preprocess.raster  # noqa: F401

    begun = time.perf_counter()
    if how == "ours":
        ours(Path(root), Path(place), int(size), int(more))
    else:
        plain(Path(root), Path(place), int(size), how == "compressed", more or None)
    seconds = time.perf_counter() - begun
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"seconds": seconds, "peak": max(peaks)}))


def speed(place: Path, side: int, size: int, repeats: int, workers: int) -> bool:
    """Megapixels per second of the three, in turns."""
    root = place / "mosaics"
    names = [f"m{i}" for i in range(max(1, workers))]
    for name in names:
        mosaic(root, name, side)
    pixels = len(names) * side**2 / 1e6
    seconds: dict[str, list[float]] = {"ours": [], "compressed": [], "stored": []}
    for turn in range(repeats):
        for how, found in seconds.items():
            target = place / f"{how}{turn}"
            if how == "ours":
                measured = finish(start(how, root, target, size, workers))
            else:
                measured = finish(*[start(how, root, target, size, name) for name in names])
            found.append(measured["seconds"])
            subprocess.run(["rm", "-rf", target], check=True)
        say(f"turn {turn}: " + ", ".join(f"{how} {found[-1]:.2f} s" for how, found in seconds.items()))
    medians = {how: statistics.median(found) for how, found in seconds.items()}
    for how, median in medians.items():
        say(f"{how:>10}: {pixels / median:6.1f} megapixels per second")
    ratio, stored = (medians[how] / medians["ours"] for how in ("compressed", "stored"))
    say(f"ours has {ratio:.2f} of the plain loop's speed (wanted {WANTED}); {stored:.2f} of one that does not compress")
    return ratio >= WANTED


VRT = """<VRTDataset rasterXSize="{side}" rasterYSize="{side}">
<SRS>EPSG:32608</SRS><GeoTransform>510000,3,0,7700000,0,-3</GeoTransform>{bands}</VRTDataset>"""
VRT_BAND = """<VRTRasterBand dataType="Byte" band="{band}"><NoDataValue>{nodata}</NoDataValue>
<SimpleSource><SourceFilename relativeToVRT="0">{path}</SourceFilename><SourceBand>{band}</SourceBand>
<SrcRect xOff="0" yOff="0" xSize="{side}" ySize="{strip}"/>
<DstRect xOff="0" yOff="{top}" xSize="{side}" ySize="{strip}"/></SimpleSource></VRTRasterBand>"""


def virtual(root: Path, side: int) -> Path:
    """A mosaic that is a strip across its middle, and no data elsewhere."""
    mosaic(root / "strip", "strip", side, STRIP)
    for directory, count, nodata in (("images", 3, 0), ("labels", 1, 255)):
        path = root / "strip" / directory / "strip.tif"
        facts = {"side": side, "strip": STRIP, "top": side // 2, "path": path, "nodata": nodata}
        bands = "".join(VRT_BAND.format(band=band, **facts) for band in range(1, count + 1))
        target = root / directory / "mosaic.vrt"
        target.parent.mkdir(parents=True)
        target.write_text(VRT.format(side=side, bands=bands))
    return root


def memory(place: Path, sides: list[int], size: int) -> bool:
    """Peak memory must not grow with the mosaic."""
    peaks = []
    for side in sides:
        root = virtual(place / f"large{side}", side)
        measured = finish(start("ours", root, place / f"set{side}", size, 1))
        peaks.append(measured["peak"])
        say(f"{side} x {side}: {measured['seconds']:.0f} s, peak {peaks[-1]:.0f} MB")
    if len(peaks) < 2:
        return True
    say(f"memory, last to first: {peaks[-1] / peaks[0]:.2f} (wanted at most {MEMORY_WANTED})")
    return peaks[-1] <= MEMORY_WANTED * peaks[0]


def main() -> bool:
    """Run, and print one line per measurement, ratios last."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=6144)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--large", default="10000,40000")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        fast = speed(place, options.side, options.size, options.repeats, options.workers) if options.repeats else True
        sides = [int(side) for side in options.large.split(",") if side]
        return memory(place, sides, options.size) and fast


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(*sys.argv[2:])
    else:
        sys.exit(not main())
