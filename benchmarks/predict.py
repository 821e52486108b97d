"""What a map costs beside the network alone, beside a plain loop, and how much memory a scene of any size takes.

    uv run python benchmarks/predict.py [--side 2048] [--window 512] [--encoder resnet18] [--repeats 3] [--wide 100000]

A scene is made of the bundled one (six bands, uint16, deflated), repeated until it has `--side` pixels; the network is
a Unet of random weights, in the arithmetic of its device. Three rates, megapixels of windows per second:

* bare: the network and its sigmoid on normalised windows that stay in memory, given to cores as `predict` gives them;
* ours: the scene mapped by `predict`, from the file to probabilities, classes, polygons and quicklook, so reading,
  encoding, blending, compressing and writing are in it;
* plain: the same windows in a loop as one would write it: read a window, run it, add it and its weight to arrays as
  large as the scene, divide at the end and write the same two rasters (no polygons, no quicklook).

A shared machine is not equally fast all the time: they are measured in turn, a ratio is that of ours to the mean of its
neighbours, and the median of the ratios counts. With `--clock cpu` the rates are per second of processor time, of all
threads: beside other work that is what can be told, on a CPU that is otherwise idle both are nearly the same. Wanted:
ours at least 0.9 of bare, and faster than plain.

Memory is the largest resident set of a process of its own (VmHWM): ours and plain on the scene and on one of four times
its pixels. And a raster of 100 000 x 100 000 pixels, virtual, over the small file: its first rows of windows are
mapped and written, memory is looked at after each. Wanted: less than 2 GB, and no growth from the second row on.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch

from darts_train.inference.models import MapModel, activation, open_model
from darts_train.inference.predict import predict
from darts_train.inference.preparation import prepare
from darts_train.inference.windows.reading import read_area
from darts_train.inference.windows.streaming import Mapper
from darts_train.inference.writing.rasters import percent, tiff
from darts_train.inference.writing.unfinished import unfinished_map
from darts_train.models.cpu_threads import shared_cores
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import make_model_config, save_model_file
from darts_train.options.predicting import Maps, Predict, SceneFiles, Windows
from darts_train.raster.band import Band
from darts_train.raster.blending import profile
from darts_train.raster.encoding import encode
from darts_train.raster.patches import Window
from darts_train.scenes.scene import Scene

BARE_WANTED, MEMORY_WANTED = 0.9, 2000  # MB
SCENE = Path(str(resources.files("darts_train.quickstart"))) / "scenes" / "landsat5_toa6.tif"
NAMES = ("blue", "green", "red", "nir", "swir16", "swir22")
VRT = """<VRTDataset rasterXSize="{side}" rasterYSize="{side}"><SRS>EPSG:32615</SRS>
<GeoTransform>500000, 30, 0, 7000000, 0, -30</GeoTransform>{bands}</VRTDataset>"""
VRT_BAND = """<VRTRasterBand dataType="UInt16" band="{i}"><Description>{name}</Description><NoDataValue>0</NoDataValue>
<SimpleSource resampling="nearest"><SourceFilename relativeToVRT="0">{path}</SourceFilename><SourceBand>{i}</SourceBand>
<SrcRect xOff="0" yOff="0" xSize="{small}" ySize="{small}"/><DstRect xOff="0" yOff="0" xSize="{side}" ySize="{side}"/>
</SimpleSource></VRTRasterBand>"""


def make_scene(path: Path, side: int) -> Path:
    """The bundled scene, repeated."""
    with rasterio.open(SCENE) as source:
        values = source.read()
        profile = source.profile | {"width": side, "height": side, "compress": "deflate", "predictor": 2}
    times = -(-side // values.shape[1])
    profile |= {"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "pixel"}
    with rasterio.open(path, "w", **profile) as target:
        target.write(np.tile(values, (1, times, times))[:, :side, :side])
        for i, name in enumerate(NAMES):
            target.set_band_description(i + 1, name)
    return path


def make_virtual(path: Path, small: Path, side: int) -> Path:
    """A raster of any size over a small file."""
    with rasterio.open(small) as source:
        size = source.width
    bands = (VRT_BAND.format(i=i + 1, name=name, path=small, small=size, side=side) for i, name in enumerate(NAMES))
    path.write_text(VRT.format(side=side, bands="".join(bands)))
    return path


def make_model(path: Path, a: argparse.Namespace) -> Path:
    """A model file of random weights whose maps have few objects."""
    torch.manual_seed(0)
    spec = InputSpecification(tuple(Band(name, 1e-4, 0.0, 0.0, 1.0, optical=True) for name in NAMES), 0.0)
    network = create_network(a.arch, a.encoder, None, len(NAMES), 2).eval()
    config = make_model_config(a.arch, a.encoder, None, spec, ("land", "cloud"), a.window, 255, 0.99, {"scale": 1e-4})
    save_model_file(path, config, network.state_dict())
    return path


def settings(model: Path, scene: Path, out: Path, a: argparse.Namespace) -> dict[str, Any]:
    return {
        "scenes": SceneFiles(input=(scene,)),
        "windows": Windows(window_overlap=a.overlap, window_batch=a.batch),
        "maps": Maps(out_dir=out, overwrite=True),
    } | ({"predict": Predict(model=model, device=a.device)} if model else {})


def prepared(model: MapModel, scene: Path, out: Path, a: argparse.Namespace) -> tuple[Mapper, Scene]:
    mapper, scenes = prepare(model, a.window, **settings(None, scene, out, a))
    return mapper, scenes[0]


def bare(model: MapModel, windows: int, a: argparse.Namespace) -> float:
    """Megapixels per second of the network on windows that are there."""
    backend = model.backend
    codes = np.random.default_rng(0).integers(0, 9000, (a.batch, len(NAMES), a.window, a.window), np.uint16)
    with torch.inference_mode():
        image = backend.layer(torch.from_numpy(codes.view(np.int16)).to(backend.device))
        image = image.contiguous(memory_format=torch.channels_last)

        def run(part: slice) -> None:
            with (
                torch.inference_mode(),
                torch.autocast(backend.device.type, backend.autocast, enabled=backend.autocast is not None),
            ):
                activation(backend.network(image[part]).float()).cpu()

        lanes = backend.lanes(a.window, a.batch)
        parts = [slice(i, i + lanes.windows) for i in range(0, a.batch, lanes.windows)]
        rounds = max(1, windows // a.batch)
        with shared_cores(lanes.threads) as begin, ThreadPoolExecutor(lanes.count, initializer=begin) as pool:
            list(pool.map(run, parts))  # warm
            with Clock(a.clock) as clock:
                list(pool.map(run, parts * rounds))
    return rounds * a.batch * a.window**2 / 1e6 / clock.seconds


def ours(model: Path, scene: Path, out: Path, pixels: float, a: argparse.Namespace) -> float:
    """Megapixels of windows per second of the command; loading the model is in it by processor time alone."""
    with Clock(a.clock) as clock:
        found = predict(**settings(model, scene, out, a)).maps[0]
    return pixels / (found.seconds if a.clock == "wall" else clock.seconds)


class Clock:
    """Seconds of the block, by the wall or of the processors."""

    def __init__(self, kind: str) -> None:
        self.now = time.process_time if kind == "cpu" else time.perf_counter

    def __enter__(self) -> "Clock":
        self.started = self.now()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = self.now() - self.started


def plain(mapper: Mapper, scene: Scene, out: Path, clock: str = "wall") -> float:
    """Megapixels of windows per second of a loop as one would write it."""
    size, grid, model = mapper.window_size, scene.grid, mapper.model
    starts = list(itertools.product(mapper.cut.starts(grid.height), mapper.cut.starts(grid.width)))
    with Clock(clock) as taken:
        total, weight = (np.zeros((grid.height + 2 * size, grid.width + 2 * size), np.float32) for _ in range(2))
        ramp = profile(size, 0, mapper.overlap, "linear")
        own = np.outer(ramp, ramp).astype(np.float32)
        valid = np.zeros((grid.height, grid.width), bool)
        for y, x in starts:
            window = Window(x, y, size, size)
            values, known = read_area(scene, mapper.stack, window)
            codes, _ = encode(values, model.spec.bands)
            here = (slice(y + size, y + 2 * size), slice(x + size, x + 2 * size))
            total[here] += model.probabilities(codes[None])[0, 0] * own
            weight[here] += own
            inside = window.intersection(grid.extent)
            valid[inside.slices(grid.extent)] = known[inside.slices(window)]
        found = total[size:-size, size:-size] / np.maximum(weight[size:-size, size:-size], 1e-6)
        out.mkdir(parents=True, exist_ok=True)
        (out / "probabilities.tif").write_bytes(tiff(percent(found[None], valid)))
        (out / "classes.tif").write_bytes(tiff(np.where(valid, found > model.threshold, 255).astype(np.uint8)[None]))
    return len(starts) * size**2 / 1e6 / taken.seconds


def _of_status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1.024e-3 for line in lines if line.startswith(name))


def peak() -> float:
    """Largest resident set of this process so far, MB."""
    return _of_status("VmHWM")


def resident() -> float:
    """Resident set of this process now, MB."""
    return _of_status("VmRSS")


def rates(place: Path, model: Path, a: argparse.Namespace) -> bool:
    """Print the three rates and what follows from them."""
    scene = make_scene(place / "scene.tif", a.side)
    opened, _ = open_model(model, a.window, a.device)
    mapper, one = prepared(opened, scene, place / "maps", a)
    count = mapper.window_count(one)
    pixels = count * a.window**2 / 1e6
    print(f"{count} windows of {a.window}, {mapper.overlap} shared, {mapper.halo} of halo", flush=True)
    rounds = max(2 * a.batch, count // 4)
    network, found, loops = [bare(opened, rounds, a)], [], []
    for _ in range(a.repeats):
        found.append(ours(model, scene, place / "maps", pixels, a))
        network.append(bare(opened, rounds, a))
        loops.append(plain(mapper, one, place / "plain", a.clock))
        network.append(bare(opened, rounds, a))
        print(f"  bare {network[-2]:.2f}, ours {found[-1]:.2f}, plain {loops[-1]:.2f} Mpx/s", flush=True)
    near = [(network[2 * i] + network[2 * i + 1]) / 2 for i in range(a.repeats)]
    share = statistics.median(rate / beside for rate, beside in zip(found, near, strict=True))
    faster = statistics.median(rate / loop for rate, loop in zip(found, loops, strict=True))
    print(f"ours / bare {share:.3f} (wanted: {BARE_WANTED}); ours / plain {faster:.2f} (wanted: above 1)", flush=True)
    return share >= BARE_WANTED and faster > 1


def memory(place: Path, a: argparse.Namespace) -> None:
    """Print the memory of ours and of the loop on two sizes."""
    make_scene(place / "large.tif", 2 * a.side)
    for what in ("ours", "plain"):
        found = [float(child(what, place, name, a)) for name in ("scene.tif", "large.tif")]
        print(f"{what}: {found[0]:.0f} MB on {a.side}², {found[1]:.0f} MB on {2 * a.side}²", flush=True)


def child(what: str, place: Path, name: str, a: argparse.Namespace) -> str:
    """Run this file in a process of its own; its last line."""
    given = [f"--{key}={value}" for key, value in vars(a).items() if value is not None]
    command = [sys.executable, __file__, *given, "--one", what, str(place), name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    lines = done.stdout.strip().splitlines()
    if what == "strip":
        print("\n".join(lines), flush=True)
    return lines[-1]


def one(what: str, place: Path, name: str, a: argparse.Namespace) -> None:
    """What a process of its own does."""
    model, _ = open_model(place / "model.ckpt", a.window, a.device)
    mapper, scene = prepared(model, place / name, place / f"out-{what}", a)
    if what == "plain":
        plain(mapper, scene, place / "out-plain")
    elif what == "ours":
        predict(**settings(place / "model.ckpt", place / name, place / "out-ours", a))
    else:
        strip(mapper, scene, place / "strip", a)
    print(peak())


def strip(mapper: Mapper, scene: Scene, out: Path, a: argparse.Namespace) -> None:
    """Map and write the first rows of windows of a scene."""
    out.mkdir()
    ends = [part.first for part in mapper.cut.parts(scene.grid.height)[1 : a.strip + 1]]
    with unfinished_map(out / "scene", "key", scene.grid) as work:
        rows = mapper.run(scene, work.preview)
        for done in work.take(rows, mapper.model, None):
            if done in ends:
                print(f"  {done} of {scene.grid.height} rows: {resident():.0f} MB, at most {peak():.0f} MB", flush=True)
            if done >= ends[-1]:
                break


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (
        ("--side", 2048), ("--window", 512), ("--overlap", 128), ("--batch", 4), ("--repeats", 3), ("--wide", 100_000),
        ("--strip", 3),
    ):  # fmt: skip
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--arch", default="Unet")
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--only", choices=("rates", "memory", "strip"))
    parser.add_argument("--one", nargs=3)
    a = parser.parse_args()
    if a.one:
        what, place, name = a.one
        a.one = None
        one(what, Path(place), name, a)
        return 0
    good = True
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        make_model(place / "model.ckpt", a)
        if a.only in (None, "rates"):
            good = rates(place, place / "model.ckpt", a)
        if a.only in (None, "memory"):
            make_scene(place / "scene.tif", a.side)
            memory(place, a)
        if a.only in (None, "strip"):
            make_virtual(place / "wide.vrt", make_scene(place / "small.tif", 512), a.wide)
            largest = float(child("strip", place, "wide.vrt", a))
            print(f"{a.wide} x {a.wide}: at most {largest:.0f} MB (wanted: below {MEMORY_WANTED})")
            good &= largest < MEMORY_WANTED
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
