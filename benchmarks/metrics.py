"""What the metrics of a validation cost: one histogram against the torchmetrics collection of the same names.

    python benchmarks/metrics.py [--batches 10] [--batch-size 8] [--size 256] [--threads 1]

Both see the same logits, batch by batch, and are asked for the same numbers at the end: eight metrics at a threshold of
0.5, the confusion matrix, and at 20 thresholds ROC, precision over recall, and the areas below both. The 20 thresholds
are edges of our bins; torchmetrics counts from a threshold on and we above it, so it gets the float next to each. Ends
with exit code 1 where a number differs by more than 1e-6.

The last line is what a training step of a small network takes on the same patches, and what share of it one update
and (at every tenth step, as a run logs them) all training metrics have.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import segmentation_models_pytorch as smp
import torch
from torchmetrics import MetricCollection
from torchmetrics import classification as tm

from darts_train.metrics.curves import curves
from darts_train.metrics.histogram import BINS
from darts_train.metrics.names import COUNT_METRICS
from darts_train.metrics.state import SegmentationMetrics

IGNORE, CLASSES = 2, ("background", "slump")
EDGES = np.rint(np.linspace(0, 1, 20) * BINS).astype(int)
TOLERANCE = 1e-6
Batches = list[tuple[torch.Tensor, torch.Tensor]]


def make_batches(count: int, patches: int, size: int) -> Batches:
    """Logits [n, 1, size, size] that know something of the targets uint8 [n, size, size]; a tenth is ignored."""
    generator = torch.Generator().manual_seed(42)
    batches = []
    for _ in range(count):
        target = (torch.rand(patches, size, size, generator=generator) < 0.2).to(torch.uint8)
        logits = torch.randn(patches, 1, size, size, generator=generator) + 2.0 * target[:, None] - 1.0
        target[torch.rand(target.shape, generator=generator) < 0.1] = IGNORE
        batches.append((logits, target))
    return batches


def collection() -> MetricCollection:
    """The metrics of a validation as torchmetrics has them."""
    options = {"ignore_index": IGNORE, "validate_args": False}
    above = torch.from_numpy(np.nextafter((EDGES / BINS).astype(np.float32), np.float32(2)))
    above[0] = 0.0  # our lowest bin holds 0 itself
    named = {name: getattr(tm, f"Binary{name}")(**options) for name in COUNT_METRICS}
    curve = {"thresholds": above, **options}
    named |= {name: getattr(tm, f"Binary{name}")(**curve) for name in ("AUROC", "AveragePrecision", "ROC")}
    named["PrecisionRecallCurve"] = tm.BinaryPrecisionRecallCurve(**curve)
    named["ConfusionMatrix"] = tm.BinaryConfusionMatrix(normalize="true", **options)
    return MetricCollection(named)


def theirs(batches: Batches) -> dict[str, np.ndarray]:
    """What torchmetrics says."""
    state = collection()
    for logits, target in batches:
        state.update(logits[:, 0].sigmoid(), target.long())
    found = state.compute()
    fall_out, recall, _ = found.pop("ROC")
    precision, _, _ = found.pop("PrecisionRecallCurve")
    numbers = {name: np.asarray(value, np.float64) for name, value in found.items()}
    return numbers | {
        "fall_out": fall_out.numpy()[::-1],
        "recall": recall.numpy()[::-1],
        "precision": precision.numpy()[:-1],
    }


def ours(batches: Batches) -> dict[str, np.ndarray]:
    """What the histogram says, under the same names."""
    state = SegmentationMetrics(CLASSES, IGNORE)
    nothing = torch.zeros(())
    for logits, target in batches:
        state.update(logits, target, nothing)
    found, curve = state.compute(), curves(state.histograms[0])
    recall, fall_out, precision = (part[EDGES] for part in (curve.recall, curve.fall_out, curve.precision))
    predicted = recall + fall_out > 0
    matrix = state.confusion().numpy().astype(np.float64)
    return {
        **{name: np.asarray(found[name]) for name in COUNT_METRICS},
        "AUROC": np.trapezoid(recall[::-1], fall_out[::-1]),
        "AveragePrecision": -np.sum(np.diff(np.append(recall, 0.0)) * precision),
        "ConfusionMatrix": matrix / matrix.sum(1, keepdims=True),
        "fall_out": fall_out,
        "recall": recall,
        "precision": np.where(predicted, precision, 0.0),  # torchmetrics has 0 where nothing is predicted
    }


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """The best of some runs."""
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def step_seconds(batches: Batches) -> float:
    """Forward, backward and update of a Unet with a ResNet-18, four bands."""
    network = smp.Unet("resnet18", encoder_weights=None, in_channels=4)
    optimiser = torch.optim.AdamW(network.parameters())
    logits, target = batches[0]
    image = torch.rand(len(logits), 4, *logits.shape[-2:])

    def step() -> None:
        optimiser.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(network(image)[:, 0], (target == 1).float()).backward()
        optimiser.step()

    step()
    return seconds(step, 2)


def main() -> int:
    """Compare, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for flag, default in (("--batches", 10), ("--batch-size", 8), ("--size", 256), ("--threads", 1)):
        parser.add_argument(flag, type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    batches = make_batches(options.batches, options.batch_size, options.size)
    expected, found = theirs(batches), ours(batches)
    assert set(expected) == set(found)
    worst = max(expected, key=lambda name: float(np.abs(expected[name] - found[name]).max()))
    difference = float(np.abs(expected[worst] - found[worst]).max())
    print(f"{len(found)} metrics and curves, largest difference {difference:.1e} ({worst})")
    their_time, our_time = seconds(lambda: theirs(batches)), seconds(lambda: ours(batches))
    each = our_time / len(batches) * 1e3
    print(f"torchmetrics {their_time:.3f} s, histogram {our_time:.3f} s: {their_time / our_time:.1f} times cheaper")
    step = step_seconds(batches) * 1e3
    alone = seconds(lambda: ours(batches[:1])) * 1e3
    print(
        f"training step {step:.0f} ms; an update {each:.1f} ms ({each / step:.2%} of it), "
        f"the metrics of a run, logged at every tenth step, {alone / 10 / step:.2%}"
    )
    return int(not difference <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
