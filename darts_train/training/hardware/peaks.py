"""What a GPU can compute at most: floating-point operations per second of dense matrix products, by its name.

Figures are the makers' own for tensor cores without sparsity, accumulating in float32, from the data sheets of NVIDIA
(H100, H200, GH200, A100, A30, A40, A10, L40S, L40, L4, V100, T4, RTX A6000, RTX 6000 Ada) and the white papers of the
architectures GA102, AD102 and RTX Blackwell (GeForce). Where a sheet gives the figure with sparsity, half of it. Cards
whose name is not here, laptops, and slices of a card (MIG) are unknown: no figure is better than a wrong one.
"""

import re
from dataclasses import dataclass

from darts_train.options.learning import Precision

_MAKER = re.compile(r"^(NVIDIA |Tesla |GeForce )+")


@dataclass(frozen=True)
class Peak:
    """10^12 operations per second of cards whose name, without the maker's, is `name` (a regular expression).

    `half`: float16 and, where `bfloat`, bfloat16. `single`: TensorFloat-32, or float32 on cards from before it.
    """

    name: str
    half: float
    single: float
    bfloat: bool = True


PEAKS = (
    Peak(r"H200|H100 80GB HBM3|GH200 .*", 989.4, 494.7),
    Peak(r"(H200|H100) NVL", 835.5, 417.5),
    Peak(r"H100 PCIe", 756.5, 378.0),
    Peak(r"A100-.*|A100 80GB PCIe|A800-.*", 312.0, 156.0),
    Peak(r"A30", 165.0, 82.0),
    Peak(r"A40", 149.7, 74.8),
    Peak(r"A10", 125.0, 62.5),
    Peak(r"L40S", 362.05, 183.0),
    Peak(r"L40", 181.05, 90.5),
    Peak(r"L4", 121.0, 60.0),
    Peak(r"V100-SXM2-.*", 125.0, 15.7, bfloat=False),
    Peak(r"V100-PCIE-.*", 112.0, 14.0, bfloat=False),
    Peak(r"T4", 65.0, 8.1, bfloat=False),
    Peak(r"RTX A6000", 154.8, 77.4),
    Peak(r"RTX 6000 Ada Generation", 364.2, 182.1),
    Peak(r"RTX 3090", 71.0, 35.6),
    Peak(r"RTX 4090", 165.2, 82.6),
    Peak(r"RTX 5090", 209.5, 104.8),
)


def peak_flops(name: str, precision: Precision) -> float | None:
    """Operations per second that the card of this name can do at most in a precision; None where that is not known.

    `precision` is resolved: `32` is TensorFloat-32, which training allows where the card has it.
    """
    bare = _MAKER.sub("", name.strip())
    peak = next((peak for peak in PEAKS if re.fullmatch(peak.name, bare)), None)
    if peak is None or "MIG" in bare.split() or (precision == "bf16-mixed" and not peak.bfloat):
        return None
    return 1e12 * (peak.single if precision == "32" else peak.half)
