"""config.pbtxt: Triton's configuration of a model, as the text of a protocol buffer (`ModelConfig`).

Field names and meanings are those of Triton's user guide, "Model Configuration", and of the READMEs of its ONNX Runtime
and PyTorch backends. Text that comes from outside goes through `quoted`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from darts_train.export.triton.tensors import Platform, Served, Tensor

PARAMETER = "darts.facts"  # `darts.facts.{version}`: what predict-remote reads
QUEUE_DELAY = 2000  # microseconds that a window waits for others; a window takes a network 10 to 100 times as long


@dataclass(frozen=True)
class Configuration:
    """A model's configuration. `facts` are those of each version, by its number."""

    name: str
    platform: Platform
    backend: str
    filename: str
    served: Served
    max_batch: int
    instances: int
    threads: int
    gpus: bool
    facts: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    def text(self) -> str:
        """The file."""
        batches = self.served.batches
        lines = [
            f"name: {quoted(self.name)}",
            f"platform: {quoted(self.platform)}",
            f"backend: {quoted(self.backend)}",
            f"default_model_filename: {quoted(self.filename)}",
            f"max_batch_size: {self.max_batch if batches else 0}",
            *(line for one in self.served.inputs for line in _tensor("input", one, batches)),
            *(line for one in self.served.outputs for line in _tensor("output", one, batches)),
            "version_policy { latest { num_versions: 1 } }",
            "instance_group {",
            f"  count: {self.instances}",
            f"  kind: {'KIND_GPU' if self.gpus else 'KIND_CPU'}",
            "}",
        ]
        if batches and self.max_batch > 1:
            lines += [f"dynamic_batching {{ max_queue_delay_microseconds: {QUEUE_DELAY} }}"]
        lines += _optimisation(self)
        for version, facts in sorted(self.facts.items()):
            lines += _parameter(f"{PARAMETER}.{version}", json.dumps(facts, separators=(",", ":")))
        return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A string of the text format: bytes that are no printable ASCII as octal."""
    plain = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\' else f"\\{b:03o}" for b in text.encode())
    return f'"{plain}"'


def _tensor(kind: str, tensor: Tensor, batches: bool) -> list[str]:
    """An input or output; where windows are put together, Triton adds the batch to the sides by itself."""
    sides = ", ".join(map(str, tensor.shape[1:] if batches else tensor.shape))
    return [
        f"{kind} {{",
        f"  name: {quoted(tensor.name)}",
        f"  data_type: {tensor.type}",
        f"  dims: [ {sides} ]",
        "}",
    ]


def _parameter(key: str, value: str) -> list[str]:
    return ["parameters {", f"  key: {quoted(key)}", f"  value {{ string_value: {quoted(value)} }}", "}"]


def _optimisation(wanted: Configuration) -> list[str]:
    """Settings of the backend that runs the model.

    ONNX Runtime on a GPU else times every algorithm anew for each size of window; TorchScript would compile its first
    calls for minutes where sizes change; buffers of pages that stay in memory help on a GPU alone.
    """
    lines: list[str] = []
    if wanted.backend == "onnxruntime":
        if wanted.gpus:
            lines += _parameter("cudnn_conv_algo_search", "1")
        else:
            lines += _parameter("intra_op_thread_count", str(wanted.threads))
    if wanted.backend == "pytorch":
        lines += _parameter("INFERENCE_MODE", "true")
        lines += _parameter("DISABLE_OPTIMIZED_EXECUTION", "true")
        if not wanted.gpus and wanted.threads:
            lines += _parameter("INTRA_OP_THREAD_COUNT", str(wanted.threads))
    if wanted.gpus:
        lines += ["optimization { input_pinned_memory { enable: true } output_pinned_memory { enable: true } }"]
    return lines
