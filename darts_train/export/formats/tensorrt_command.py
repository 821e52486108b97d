"""How TensorRT is told to build an engine: the command as a list of words. Nothing is run here.

An engine is built for shapes between two ends and is fastest at a third; it runs on the kind of GPU and the version
of TensorRT that built it, and on no other.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

IMAGE = "nvcr.io/nvidia/tensorrt"  # of NVIDIA's registry; the tag is a version such as 24.12-py3
INSIDE = ("/workspace/input", "/workspace/output")  # where the container sees the directories of the two files
Shape4 = tuple[int, int, int, int]


@dataclass(frozen=True)
class Shapes:
    """Least, usual and greatest shape [n, c, h, w] of what goes in."""

    least: Shape4
    usual: Shape4
    greatest: Shape4

    def named(self) -> dict[str, Shape4]:
        """By the words that trtexec has for them."""
        return {"minShapes": self.least, "optShapes": self.usual, "maxShapes": self.greatest}


def shapes_for(bands: int, side: int, batch: int, sides: tuple[int, int] | None = None) -> Shapes:
    """Shapes for batches of 1 to `batch` squares of `side` pixels, or of sides between two ends as well."""
    low, high = sides or (side, side)
    return Shapes((1, bands, low, low), (1, bands, side, side), (batch, bands, high, high))


def text_of(shape: Sequence[int]) -> str:
    """`(1, 3, 64, 64)` → `1x3x64x64`."""
    return "x".join(map(str, shape))


def trtexec_command(onnx: Path | str, plan: Path | str, image: str, shapes: Shapes, fp16: bool) -> list[str]:
    """Trtexec's command that builds the engine `plan` of the file `onnx`, whose input is named `image`."""
    ends = [f"--{word}={image}:{text_of(shape)}" for word, shape in shapes.named().items()]
    return ["trtexec", f"--onnx={onnx}", f"--saveEngine={plan}", *ends, *(["--fp16"] if fp16 else [])]


def docker_command(onnx: Path, plan: Path, image: str, shapes: Shapes, fp16: bool, version: str) -> list[str]:
    """The same in NVIDIA's container; paths are made absolute, since the container mounts their directories."""
    onnx, plan = onnx.absolute(), plan.absolute()
    inner = trtexec_command(f"{INSIDE[0]}/{onnx.name}", f"{INSIDE[1]}/{plan.name}", image, shapes, fp16)
    mounts = ["-v", f"{onnx.parent}:{INSIDE[0]}:ro", "-v", f"{plan.parent}:{INSIDE[1]}"]
    return ["docker", "run", "--rm", "--gpus", "all", *mounts, f"{IMAGE}:{version}", *inner]


def run_command(plan: Path, image: str, shape: Sequence[int], data: Path, result: Path) -> list[str]:
    """Trtexec's command that runs an engine once on float32 values of a file and writes what comes out as JSON."""
    return [
        "trtexec",
        f"--loadEngine={plan}",
        f"--shapes={image}:{text_of(shape)}",
        f"--loadInputs={image}:{data}",
        f"--exportOutput={result}",
        "--iterations=1",
        "--warmUp=0",
        "--duration=0",
    ]


def as_text(command: Sequence[str]) -> str:
    """A command as one types it."""
    return shlex.join(command)
