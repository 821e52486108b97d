"""A few patches beside what the network makes of them: always the same ones, so that progress shows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from darts_train.dataset.reader import TrainData
from darts_train.figures.panels import sample_panel
from darts_train.models.input_spec import InputLayer
from darts_train.training.loading.patches import Indices, PatchDataset

POSITIVES, EMPTIES = 6, 2


@dataclass(frozen=True, eq=False)
class Sample:
    """One patch: network input float32 [c, h, w], labels [h, w], and probabilities (float) or classes [h, w]."""

    row: int
    x: NDArray[np.float32]
    y: NDArray[np.uint8]
    prediction: NDArray[Any]
    names: tuple[str, ...]
    ignore_index: int
    title: str
    classes: tuple[str, ...]

    def draw(self) -> bytes:
        """The panel, PNG."""
        return sample_panel(self.x, self.names, self.y, self.prediction, self.ignore_index, self.title, self.classes)


def chosen_patches(data: TrainData, rows: Indices) -> Indices:
    """The first six of `rows` with positives and the first two without, in the order of the set."""
    empty = data.metadata["empty"].to_numpy(dtype=bool)[rows]
    return np.sort(np.concatenate([rows[~empty][:POSITIVES], rows[empty][:EMPTIES]]))


def predicted_samples(
    network: nn.Module, layer: InputLayer, data: TrainData, rows: Indices, device: torch.device
) -> Iterator[Sample]:
    """Each row, predicted. `network` is in eval mode."""
    dataset = PatchDataset(data, rows)
    for position, row in enumerate(rows):
        batch = dataset[position]
        with torch.inference_mode():
            x = layer(batch["x"].to(device))
            logits = network(x).float()[0].cpu()
        prediction = logits[0].sigmoid() if len(logits) == 1 else logits.argmax(0)
        info = data.metadata.iloc[int(row)]
        title = f"patch {row}: {info['sample_id']}, {info['region']}"
        yield Sample(
            int(row), layer.shown(x)[0].cpu().numpy(), batch["y"][0].numpy(), prediction.numpy(), layer.spec.names,
            data.config.ignore_index, title, data.config.classes,
        )  # fmt: skip
