"""How much faster a network in 8 bits is on this processor, and what it loses.

    python benchmarks/int8.py [--encoders resnet18,resnet34] [--side 512] [--threads 1] [--repeats 5] [--model RUN]

A Unet of each encoder is exported in float32 and in 8 bits and run in ONNX Runtime on one image of `--side` pixels. A
shared machine is not equally fast all the time, so the two take turns, and what counts is the median of the ratios of
neighbours. Weights are random here and only the time is told; `--model` (a run or a model file) with
`--calibration-data` (its train data) tells what the network loses, too, by the command itself.

Wanted: at least 1.5 on a processor with VNNI (`lscpu` is asked).
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from darts_train.export.graphs.onnx import build
from darts_train.export.graphs.quantise import quantised
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import LoadedModel, load_model_file, make_model_config, save_model_file
from darts_train.raster.catalogue import CATALOGUE

WANTED = 1.5
BANDS = ("blue", "green", "red", "nir")
CALIBRATION = 4  # images; ranges matter for what is lost, not for the time


def main() -> None:
    arguments = parse()
    print(f"VNNI: {'yes' if has_vnni() else 'no'}; {arguments.threads} threads, {arguments.side} pixels, batch 1")
    for encoder in arguments.encoders.split(","):
        compare(encoder, arguments)
    if arguments.model:
        print(lost(arguments))


def compare(encoder: str, arguments: argparse.Namespace) -> None:
    rng = np.random.default_rng(0)
    images = [rng.random((1, len(BANDS), arguments.side, arguments.side), np.float32) for _ in range(CALIBRATION)]
    proto = build(model_of(encoder, arguments.side), 18, free=True)
    sessions = [session(one, arguments.threads) for one in (proto, quantised(proto, CALIBRATION, images.__getitem__))]
    times: list[list[float]] = []
    for _ in range(arguments.repeats + 1):  # the first warms up
        times.append([seconds(one, images[0]) for one in sessions])
    ratios = [full / small for full, small in times[1:]]
    full, small = (1e3 * statistics.median(pair[i] for pair in times[1:]) for i in (0, 1))
    ratio = statistics.median(ratios)
    verdict = "" if ratio >= WANTED else f"  (wanted {WANTED})"
    print(f"Unet-{encoder}: float32 {full:.0f} ms, int8 {small:.0f} ms, ratio {ratio:.2f}{verdict}")


def lost(arguments: argparse.Namespace) -> str:
    from darts_train.export.export import export_model
    from darts_train.options.exporting import Export

    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "model.onnx"
        data = arguments.calibration_data
        result = export_model(Export(model=arguments.model, out=out, format="onnx-int8", calibration_data=data))
    return "\n".join(result.notes)


def model_of(encoder: str, side: int) -> LoadedModel:
    torch.manual_seed(0)
    spec = InputSpecification.from_set([CATALOGUE[name] for name in BANDS], None, 0.0)
    config = make_model_config("Unet", encoder, None, spec, ("background", "slump"), side, 255)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "model.ckpt"
        save_model_file(path, config, create_network("Unet", encoder, None, len(BANDS), 2).state_dict())
        return load_model_file(path)


def session(proto: onnx.ModelProto, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def seconds(running: onnxruntime.InferenceSession, image: np.ndarray) -> float:
    started = time.perf_counter()
    running.run(None, {"image": image})
    return time.perf_counter() - started


def has_vnni() -> bool:
    return "vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", default="resnet18,resnet34")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--calibration-data", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
