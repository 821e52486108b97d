"""One state for all binary metrics: how often each probability was given to each true class.

A histogram of 1024 bins per class replaces the lists of all pixels that exact curves need: 16 KiB, integer (so that
the order of batches and devices cannot change a digit), and it adds up over batches, folds and processes.
Bin k holds the probabilities in (k/1024, (k+1)/1024], bin 0 also 0 itself. Multiplying by a power of two is exact in
floating point, so a threshold of k/1024 (0.5 among them) splits the pixels exactly as `probability > threshold` does.
What was traded: AUROC and average precision treat probabilities of one bin as ties (an error below 1e-3 in practice).
"""

import torch
from torch import Tensor

BINS = 1024


def binary_histogram(probability: Tensor, target: Tensor, ignore_index: int, bins: int = BINS) -> Tensor:
    """Count probabilities per true class.

    Args:
        probability: Float, any shape, in [0, 1]; beyond is clipped, NaN counts as 0 (a network that gives NaN is
            stopped by its loss, not here).
        target: Integer, the same shape: 0 background, `ignore_index` left out, all else positive.
        ignore_index: Value of `target` that is not counted.
        bins: A power of two, 8192 at most.

    Returns:
        int64 [2, bins] on the device of the inputs: row 0 background, row 1 positives. Zeros for empty input.
    """
    return _counted(probability, target != 0, target == ignore_index, bins)


def class_histograms(probability: Tensor, target: Tensor, ignore_index: int, bins: int = BINS) -> Tensor:
    """A histogram of each foreground class against all else.

    Args:
        probability: Float [n, k, …], of all classes, the background first.
        target: Integer [n, …]; `ignore_index`, and what is no class, is left out.
        ignore_index: Value of `target` that is not counted.
        bins: A power of two, 8192 at most.

    Returns:
        int64 [k - 1, 2, bins]: of class i + 1, row 0 the pixels of other classes, row 1 its own.
    """
    classes = probability.shape[1]
    ignored = (target == ignore_index) | (target >= classes)
    return torch.stack([_counted(probability[:, k], target == k, ignored, bins) for k in range(1, classes)])


def _counted(probability: Tensor, positive: Tensor, ignored: Tensor, bins: int) -> Tensor:
    # 16 bits hold all places and are quicker to write than 64; one conversion, as bincount asks for, at the end.
    edges = torch.nan_to_num(probability.detach().float()).mul_(bins)
    place = edges.ceil_().sub_(1).clamp_(0, bins - 1).to(torch.int16)
    # Ignored pixels get a row of their own instead of being picked out: no copy, no wait for the device.
    place += positive.to(torch.int16) * bins
    place = place.masked_fill_(ignored, 2 * bins)
    return torch.bincount(place.reshape(-1), minlength=3 * bins)[: 2 * bins].reshape(2, bins)


def counts_above(histogram: Tensor) -> tuple[Tensor, Tensor]:
    """True and false positives at every threshold k/bins, k = 0 … bins.

    Returns two int64 tensors [bins + 1], both falling; entry k counts `probability > k/bins`.
    The first entry leaves out nothing but what can never be above 0, and bin 0 counts as above 0.
    """
    from_right = histogram.flip(1).cumsum(1).flip(1)
    above = torch.cat([from_right, torch.zeros_like(from_right[:, :1])], dim=1)
    return above[1], above[0]


def confusion_at(histogram: Tensor, threshold: float = 0.5) -> Tensor:
    """int64 [2, 2] confusion matrix, rows true, columns predicted, of `probability > threshold`.

    The threshold is moved to the nearest bin edge; 0.5 is one.
    """
    edge = round(threshold * histogram.shape[1])
    tp, fp = (counts[edge] for counts in counts_above(histogram))
    negatives, positives = histogram.sum(1)
    return torch.stack([torch.stack([negatives - fp, fp]), torch.stack([positives - tp, tp])])
