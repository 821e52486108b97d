"""Every architecture with its smallest encoder, in every format: whether it is written, at which sizes, how exactly.

    python benchmarks/exports.py [--arch Unet,FPN] [--formats onnx,onnx-int8] [--side 128] [--graph-input codes]
                                 [--graph-padding] [--out table.md]

The smallest encoder of an architecture is the first of ENCODERS that goes with it. Weights are random, and int8 is
calibrated on patches that are made here, so its figure says that it runs, not what it loses. A row is printed as soon
as it is known, with the seconds that the export took; what is refused is printed with the first words of the reason.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from darts_train.base.errors import UserError
from darts_train.dataset.schema import PatchRow, SceneRecord, Tile
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.writer import TrainDataWriter
from darts_train.export.export import export_model
from darts_train.export.formats import FORMATS
from darts_train.models.factory import architectures, create_network, is_own, takes
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import make_model_config, save_model_file
from darts_train.options.exporting import Export
from darts_train.raster.catalogue import CATALOGUE

ENCODERS = ("tu-mobilenetv3_small_050", "mobilenet_v2", "resnet18", "mit_b0", "tu-vit_tiny_patch16_224")
BANDS = ("red", "nir")
CLASSES = ("background", "water", "snow")


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    out = open(arguments.out, "w", encoding="utf-8") if arguments.out else sys.stdout  # noqa: SIM115
    print("| architecture | encoder | format | sizes | difference | MB | s |\n|---|---|---|---|---|---|---|", file=out)
    with tempfile.TemporaryDirectory() as place:
        data = make_data(Path(place) / "set", arguments.side)
        for arch in arguments.arch or architectures():
            for row in rows(arch, arguments, Path(place), data):
                print("| " + " | ".join(row) + " |", file=out, flush=True)


def rows(arch: str, arguments: argparse.Namespace, place: Path, data: Path) -> Iterator[tuple[str, ...]]:
    found = save(arch, arguments.side, place)
    if found is None:
        yield arch, "none", "", f"takes no {arguments.side} pixels", "", "", ""
        return
    path, encoder = found
    for name in arguments.formats or FORMATS:
        out = place / "export"
        started = time.perf_counter()
        settings = Export(
            model=path,
            out=out,
            format=name,
            graph_input=arguments.graph_input,
            graph_padding=arguments.graph_padding,
            calibration_data=data,
            calibration_patches=2,
            overwrite=True,
        )
        yield (arch, encoder, name, *outcome(settings), f"{time.perf_counter() - started:.0f}")


def outcome(settings: Export) -> tuple[str, str, str]:
    try:
        result = export_model(settings)
    except (UserError, RuntimeError, ImportError) as error:
        return f"not: {' '.join(str(error).split())[:100]}", "", ""
    return "any" if result.free_sizes else "one", f"{result.max_difference:.1g}", f"{result.megabytes:.1f}"


def save(arch: str, side: int, place: Path) -> tuple[Path, str] | None:
    """A model file of the architecture with the first encoder that goes with it, and that encoder."""
    for encoder in ("dilated",) if is_own(arch) else ENCODERS:
        try:
            if not takes(arch, encoder, side):
                continue
            torch.manual_seed(0)
            network = create_network(arch, encoder, None, len(BANDS), len(CLASSES))
        except UserError:
            continue
        spec = InputSpecification.from_set([CATALOGUE[name] for name in BANDS], None, 0.0)
        config = make_model_config(arch, encoder, None, spec, CLASSES, side, 255)
        path = place / "model.ckpt"
        save_model_file(path, config, network.state_dict())
        return path, encoder
    return None


def make_data(root: Path, side: int) -> Path:
    """A set of four patches of noise."""
    config = SetConfig(tuple(CATALOGUE[name] for name in BANDS), side, CLASSES, command="benchmark")
    rng = np.random.default_rng(0)
    y = rng.integers(0, len(CLASSES), (4, side, side)).astype(np.uint8)
    fractions = [1 / len(CLASSES)] * len(CLASSES)
    table = [
        PatchRow(
            patch_id=i, sample_id="noise", region="none", x=i * side, source="noise.tif", empty=False,
            valid_fraction=1.0, positive_fraction=1 - fractions[0], class_fractions=fractions,
        )
        for i in range(4)
    ]  # fmt: skip
    scene = SceneRecord(scene_id="noise", patches=4, source="noise.tif", region="none")
    x = rng.integers(1000, 4000, (4, len(BANDS), side, side)).astype(np.uint16)
    with TrainDataWriter.open(root, config) as writer:
        writer.commit(Tile(scene_id="noise", number=0, rows=table, x=x, y=y, scene=scene))
        writer.finalise()
    return root


def names(text: str) -> list[str]:
    return text.split(",")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", type=names)
    parser.add_argument("--formats", type=names)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--graph-input", default="normalised")
    parser.add_argument("--graph-padding", action="store_true")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
