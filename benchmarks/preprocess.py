"""Preprocessing of PLANET scenes with elevation and trends: memory, cost per pixel, workers, and a plain NumPy version.

    uv run python benchmarks/preprocess.py [--sides 2000,4000,8000] [--pair 4000] [--naive 4000]

Scenes are the bundled Landsat-7 scene, repeated in mirrors to the side asked for (8000 is a PLANET orthotile, 64 Mpx),
with elevation at 5 m in polar stereographic and trends at 30 m in degrees, cut into the seed's ten bands, patches of
1024 pixels. Every measurement is a process of its own, and its time is that of the whole process. `pair` compares one
process with two workers on two scenes with two processes of one worker at the same time, one scene each. `naive` reads
and computes whole arrays and writes float32 with Blosc lz4 level 9, as the operational pipeline does: once with a
direct convolution for the relative elevation, as that does, too, and once with the FFT.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from psutil import Process
from rasterio.warp import transform

from darts_train.options.preprocessing import Output, Parallel, Patches, Planet, Terrain

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.support import geo  # noqa: E402

PATCHES = {"patch_size": 1024, "overlap": 16, "exclude_nan": False}


def make_tree(root: Path, side: int, scenes: int = 1) -> Path:
    """PLANET folders, labels, elevation and trends below `root`."""
    small = geo.sample_pixels()
    quarter = np.concatenate([small, small[:, ::-1]], axis=1)
    block = np.concatenate([quarter, quarter[:, :, ::-1]], axis=2)
    times = -(-side // 1024)
    pixels = np.tile(block, (1, times, times))[:, :side, :side]
    ids = [f"2021071{i}_201612_1035" for i in range(scenes)]
    options = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "nodata": 0}
    mask = geo.udm2(side, cloud=[np.s_[100:200, 100:300]])
    for name in ids:
        directory = root / "data" / name
        geo.write_raster(directory / f"{name}_3B_AnalyticMS_SR.tif", pixels, **options)
        geo.write_raster(directory / f"{name}_3B_udm2.tif", mask, tiled=True, compress="deflate")
    rng = np.random.default_rng(0)
    slumps = [geo.box(*rng.integers(0, side - 60, 2), *rng.integers(10, 60, 2)) for _ in range(side // 20)]
    whole = geo.box(0, 0, side, side)
    geo.label_repository(root / "labels", [(i, s) for i in ids for s in slumps], [(i, whole) for i in ids])
    elevation(root / "dem.tif", side)
    trends(root / "tc.tif", side)
    return root


def elevation(path: Path, side: int) -> None:
    """5 m, around the scenes."""
    (x,), (y,) = centre(side, "EPSG:3413")
    size = int(side * geo.CELL * 1.5 / 5) + 200
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    heights = 300 + 40 * np.sin(rows / 70) + 30 * np.cos(columns / 110)
    origin = (x - size / 2 * 5, y + size / 2 * 5)
    geo.write_raster(path, heights, origin=origin, cell=5.0, crs="EPSG:3413", nodata=-9999.0, tiled=True)


def trends(path: Path, side: int) -> None:
    """Three bytes, 0.0003 by 0.0003 degrees."""
    (lon,), (lat,) = centre(side, "EPSG:4326")
    size = int(side * geo.CELL * 3 / 30) + 200
    values = np.random.default_rng(0).integers(60, 200, (3, size, size)).astype(np.uint8)
    origin = (lon - size / 2 * 0.0003, lat + size / 2 * 0.0003)
    geo.write_raster(path, values, origin=origin, cell=0.0003, crs="EPSG:4326", tiled=True)


def centre(side: int, crs: str) -> tuple[list[float], list[float]]:
    """Middle of the scenes in another coordinate system."""
    half = side / 2 * geo.CELL
    return transform(geo.UTM, crs, [geo.ORIGIN[0] + half], [geo.ORIGIN[1] - half])


def preprocess(tree: Path, out: Path, workers: int) -> None:
    """The command's function, on a tree."""
    from darts_train.preprocess.planet import preprocess_planet_train_data

    preprocess_planet_train_data(
        Planet(data_dir=tree / "data", labels_dir=tree / "labels"),
        Output(train_data_dir=out),
        Patches(**PATCHES),
        Terrain(arcticdem_dir=str(tree / "dem.tif"), tcvis_dir=str(tree / "tc.tif")),
        parallel=Parallel(workers=workers),
    )


def naive(tree: Path, out: Path, fourier: bool) -> None:
    """The same ten bands of the first scene, whole arrays at once."""
    import geopandas
    import zarr
    from rasterio.enums import Resampling
    from rasterio.features import rasterize
    from rasterio.warp import reproject
    from scipy.ndimage import convolve, distance_transform_edt
    from scipy.signal import fftconvolve

    directory = next((tree / "data").iterdir())
    with rasterio.open(next(directory.glob("*_SR.tif"))) as file:
        light = file.read().astype(np.float32) / 10000
        place, shape = file.transform, file.shape
    with rasterio.open(next(directory.glob("*udm2.tif"))) as file:
        udm2 = file.read()
    radius = 34
    grown = place * rasterio.Affine.translation(-radius, -radius)
    dem = np.full((shape[0] + 2 * radius, shape[1] + 2 * radius), np.nan, np.float32)
    with rasterio.open(tree / "dem.tif") as file:
        reproject(rasterio.band(file, 1), dem, dst_transform=grown, dst_crs=geo.UTM, dst_nodata=np.nan,
                  resampling=Resampling.cubic)  # fmt: skip
    tc = np.zeros((3, *shape), np.float32)
    with rasterio.open(tree / "tc.tif") as file:
        reproject(rasterio.band(file, [1, 2, 3]), tc, dst_transform=place, dst_crs=geo.UTM,
                  resampling=Resampling.cubic)  # fmt: skip
    ndvi = (light[3] - light[2]) / (light[3] + light[2] + 1e-9)
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = (rows**2 + columns**2 <= radius**2).astype(np.float32)
    inner = np.s_[radius:-radius, radius:-radius]
    mean = fftconvolve(dem, disc / disc.sum(), "valid") if fourier else convolve(dem, disc / disc.sum())[inner]
    tpi = dem[inner] - mean
    dy, dx = np.gradient(dem[radius - 1 : 1 - radius, radius - 1 : 1 - radius], geo.CELL)
    slope = np.degrees(np.arctan(np.hypot(dx, dy)))[1:-1, 1:-1]
    x = np.stack([*light, ndvi, *tc, tpi, slope])
    valid = (udm2[7] == 0) & ~(udm2[1:6] == 1).any(axis=0)
    valid = distance_transform_edt(np.pad(valid, 1))[1:-1, 1:-1] > 10
    polygons = geopandas.read_file(next((tree / "labels").rglob("TrainingLabel*.gpkg"))).to_crs(geo.UTM)
    y = rasterize(polygons.geometry, shape, transform=place, dtype="uint8")
    y[~valid] = 255
    x[:, udm2[7] != 0] = np.nan
    size = PATCHES["patch_size"]
    group = zarr.create_group(str(out), zarr_format=3)
    codec = zarr.codecs.BloscCodec(cname="lz4", clevel=9)
    xs = group.create_array("x", shape=(0, 10, size, size), chunks=(1, 10, size, size), dtype="f4", compressors=codec)
    ys = group.create_array("y", shape=(0, size, size), chunks=(1, size, size), dtype="u1", compressors=codec)
    step = size - PATCHES["overlap"]
    starts = [min(i, shape[0] - size) for i in range(0, shape[0] - PATCHES["overlap"], step)]
    for top in starts:
        for left in starts:
            place = np.s_[top : top + size, left : left + size]
            if (y[place] != 255).mean() >= 0.1:
                xs.append(x[(slice(None), *place)][None])
                ys.append(y[place][None])


def run(how: str, *arguments: object) -> subprocess.Popen:
    """One piece of work in a process of its own; it prints a line of JSON."""
    command = [sys.executable, __file__, "--one", how, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def finish(*processes: subprocess.Popen) -> dict[str, float]:
    """Seconds of the work and of the whole process, of the slowest, and the largest memory of any process, MB."""
    found = []
    for process in processes:
        text, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"a measurement failed: {process.args}")
        found.append(json.loads(text.splitlines()[-1]))
    return {key: max(one[key] for one in found) for key in ("work", "whole", "peak")}


def tree_of(place: Path, side: int, scenes: int = 1) -> Path:
    """A tree, made by a process of its own: what it needs must not count as the memory of one started later."""
    finish(run("tree", place, side, scenes))
    return place


def one(how: str, *arguments: str) -> None:
    """What the process of a measurement does."""
    import geopandas  # noqa: F401
    import zarr  # noqa: F401

    import darts_train.preprocess.planet  # noqa: F401

    begun = time.time()
    if how == "tree":
        make_tree(Path(arguments[0]), *map(int, arguments[1:]))
    elif how == "ours":
        preprocess(Path(arguments[0]), Path(arguments[1]), int(arguments[2]))
    else:
        naive(Path(arguments[0]), Path(arguments[1]), how == "fourier")
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    now = time.time()
    print(json.dumps({"work": now - begun, "whole": now - Process().create_time(), "peak": max(peaks)}))


def main() -> None:
    """Run, and print one line per measurement, ratios last."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", default="2000,4000,8000")
    parser.add_argument("--pair", type=int, default=5000)
    parser.add_argument("--naive", type=int, default=4000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        by_size(Path(place), [int(side) for side in options.sides.split(",") if side])
        if options.pair:
            two_workers(Path(place), options.pair)
        if options.naive:
            against_naive(Path(place), options.naive)


def by_size(place: Path, sides: list[int]) -> None:
    """Memory and seconds per megapixel must not grow with the scene."""
    found = []
    for side in sides:
        tree = tree_of(place / f"tree{side}", side)
        measured = finish(run("ours", tree, place / f"set{side}", 1))
        cost, peak = measured["work"] / side**2 * 1e6, measured["peak"]
        found.append((cost, peak))
        say(f"{side:6d}: {measured['work']:7.1f} s, {cost:.2f} s/Mpx, peak {peak:.0f} MB")
    if len(found) > 1:
        costs, peaks = zip(*found, strict=True)
        cost, peak = max(costs) / min(costs), peaks[-1] / peaks[0]
        say(f"cost, largest to smallest: {cost:.2f}; memory, last to first: {peak:.2f}")


def two_workers(place: Path, side: int) -> None:
    """One process with two workers beside two processes."""
    both = tree_of(place / "both", side, 2)
    singles = [tree_of(place / f"single{i}", side) for i in range(2)]
    alone = finish(*[run("ours", tree, place / f"alone{i}", 1) for i, tree in enumerate(singles)])["whole"]
    together = finish(run("ours", both, place / "together", 2))
    seconds, peak = together["whole"], together["peak"]
    say(f"two processes {alone:.1f} s, one with two workers {seconds:.1f} s, peak {peak:.0f} MB a process")
    say(f"two workers have {alone / seconds:.2f} of the speed of two processes")


def against_naive(place: Path, side: int) -> None:
    """Whole arrays with NumPy beside ours, both with one worker."""
    tree = tree_of(place / "naive", side)
    ours = finish(run("ours", tree, place / "our_set", 1))
    say(f"ours: {ours['work']:.1f} s, {ours['peak']:.0f} MB")
    for how in ("direct", "fourier"):
        theirs = finish(run(how, tree, place / how))
        ratio = theirs["work"] / ours["work"]
        say(f"whole arrays, {how}: {theirs['work']:.1f} s, {theirs['peak']:.0f} MB; ours is {ratio:.2f} times as fast")


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(*sys.argv[2:])
    else:
        main()
