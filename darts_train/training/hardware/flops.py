"""Which share of its device's peak a training makes use of: model FLOPs utilisation.

MFU = patches per second · operations of forward and backward for a patch / peak of the device. A multiplication and an
addition are two operations; only products of matrices and convolutions are counted, which are nearly all. What is
computed a second time to save memory does not count, nor do augmentation and loss (Chowdhery et al. 2022, PaLM,
appendix B, https://arxiv.org/abs/2204.02311).
"""

import copy
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from darts_train.options.learning import Precision
from darts_train.training.hardware.devices import resolve_precision
from darts_train.training.hardware.peaks import peak_flops

if TYPE_CHECKING:
    from darts_train.training.module import SegmentationModule


def training_flops(network: torch.nn.Module, bands: int, side: int) -> float | None:
    """Operations of forward and backward for one image of `bands` bands and `side` pixels; None where uncountable.

    Counted on a copy without memory, so it costs a moment and nothing on the device. Frozen weights have no gradient,
    and none is counted. In eval mode the same products are computed, and a batch of one is enough.
    """
    with torch.no_grad():
        shadow = copy.deepcopy(network).to("meta").eval()
    counter = FlopCounterMode(display=False)
    try:
        with counter, torch.enable_grad():
            logits = shadow(torch.empty(1, bands, side, side, device="meta"))
            logits.sum().backward()
    except Exception:  # a network of another package may ask for values that are not there
        return None
    return float(counter.get_total_flops())


def patch_flops(module: "SegmentationModule") -> float | None:
    """`training_flops` of a run's network for the image of one of its patches."""
    side = module.fit.side(int(module.hparams["config"]["patch_size"]))
    return training_flops(module.model, len(module.spec.bands), side)


def device_peak(device: torch.device, precision: Precision) -> float | None:
    """`peaks.peak_flops` of a device of this machine; None for a CPU, whose peak depends on too much."""
    if device.type != "cuda":
        return None
    return peak_flops(torch.cuda.get_device_name(device), resolve_precision(precision, device))


def utilisation(samples_per_second: float, flops_per_sample: float | None, peak: float | None) -> float | None:
    """MFU, a share of 1; None where one of its parts is not known."""
    return None if not flops_per_sample or not peak else samples_per_second * flops_per_sample / peak
