"""Objects and outlines of every foreground class over one pass: the counterpart of `state` for what pixels cannot say.

On the CPU, patch by patch: finding objects is no work for a GPU, and one patch is in memory at a time.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from darts_train.metrics.boundary import BoundaryIoU
from darts_train.metrics.instance import InstanceMetrics
from darts_train.metrics.names import BOUNDARY_METRIC, TEST_METRICS, class_metric


class ObjectMetrics:
    """Metrics of objects for `classes` (index 0 background), each foreground class against all else."""

    def __init__(self, classes: Sequence[str], ignore_index: int) -> None:
        self.classes = tuple(classes)
        self.ignore_index = ignore_index
        self.instances = {name: InstanceMetrics() for name in self.classes[1:]}
        self.boundaries = {name: BoundaryIoU() for name in self.classes[1:]}

    def update(
        self, probability: NDArray[np.floating], predicted: NDArray[np.integer], target: NDArray[np.integer]
    ) -> NDArray[np.int64]:
        """Add a batch.

        Args:
            probability: Float [n, k - 1, h, w], of the foreground classes.
            predicted: Class indices [n, h, w].
            target: Class indices [n, h, w]; `ignore_index` counts nowhere, nor does any value that is no class.

        Returns:
            int64 [n, k - 1, 3]: objects found, made up and missed, of each patch and class.
        """
        counts = np.zeros((len(target), len(self.classes) - 1, 3), np.int64)
        ignored = (target == self.ignore_index) | (target >= len(self.classes))
        for k, name in enumerate(self.classes[1:], start=1):
            truth, ours = (target == k) & ~ignored, predicted == k
            for i in range(len(target)):
                patch = truth[i], ours[i], ignored[i]
                counts[i, k - 1] = self.instances[name].update(*patch, probability[i, k - 1])
                self.boundaries[name].update(*patch)
        return counts

    def compute(self, prefix: str = "") -> dict[str, float]:
        """All of TEST_METRICS so far; with several foreground classes their means, and one of each class too.

        NaN where there was nothing to measure; means leave such classes out.
        """
        single = {
            name: self.instances[name].compute() | {BOUNDARY_METRIC: self.boundaries[name].compute()}
            for name in self.classes[1:]
        }
        found = {metric: _mean([scores[metric] for scores in single.values()]) for metric in TEST_METRICS}
        if len(single) > 1:
            found |= {class_metric(m, name): scores[m] for name, scores in single.items() for m in TEST_METRICS}
        return {prefix + name: value for name, value in found.items()}


def _mean(values: Sequence[float]) -> float:
    found = [value for value in values if not math.isnan(value)]
    return math.fsum(found) / len(found) if found else math.nan
