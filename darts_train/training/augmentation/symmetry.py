"""The eight symmetries of the square: put together as three bits, then done at once.

A symmetry is (mirror, upend, transpose): left and right exchanged, then top and bottom, then rows and columns.
"""

import torch
from torch import Tensor

Symmetry = tuple[bool, bool, bool]
NONE: Symmetry = (False, False, False)


def mirrored(s: Symmetry) -> Symmetry:
    """`s`, then left and right exchanged."""
    mirror, upend, transpose = s
    return (mirror, not upend, transpose) if transpose else (not mirror, upend, transpose)


def upended(s: Symmetry) -> Symmetry:
    """`s`, then top and bottom exchanged."""
    mirror, upend, transpose = s
    return (not mirror, upend, transpose) if transpose else (mirror, not upend, transpose)


def turned(s: Symmetry, quarters: int) -> Symmetry:
    """`s`, then quarter turns against the clock, as `torch.rot90`: each a transposition, then top and bottom."""
    for _ in range(quarters % 4):
        s = upended(followed_by(s, (False, False, True)))
    return s


def followed_by(first: Symmetry, second: Symmetry) -> Symmetry:
    """Both, one after the other."""
    mirror, upend, transpose = second
    whole = mirrored(first) if mirror else first
    whole = upended(whole) if upend else whole
    return (whole[0], whole[1], not whole[2]) if transpose else whole


def moved(t: Tensor, s: Symmetry) -> Tensor:
    """[..., h, h] after the symmetry, contiguous; `t` itself where nothing moves."""
    mirror, upend, transpose = s
    axes = [axis for axis, flips in ((-1, mirror), (-2, upend)) if flips]
    if axes:
        t = t.flip(axes)
    return t.transpose(-1, -2).contiguous() if transpose else t


def all_moved(t: Tensor, symmetries: list[Symmetry]) -> Tensor:
    """[n, ..., h, h], each after its own symmetry."""
    if len(t) == 1:
        return moved(t, symmetries[0])
    bits = torch.tensor(symmetries, dtype=torch.bool).reshape(-1, 3).to(t.device, non_blocking=True)
    shape = (len(t), *(1,) * (t.dim() - 1))
    for place, axes in ((0, (-1,)), (1, (-2,))):
        t = torch.where(bits[:, place].reshape(shape), t.flip(axes), t)
    return torch.where(bits[:, 2].reshape(shape), t.transpose(-1, -2), t)
