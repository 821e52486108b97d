"""Multiples of a step q, in decimal arithmetic: 3 · 0.1 is 0.3."""

import math
from decimal import Decimal

from darts_train.base.errors import UserError


def require_step(q: float) -> None:
    """Raise UserError where `q` is no step."""
    if not (math.isfinite(q) and q > 0):
        raise UserError(f"q, {q}, must be a number greater than 0.")


def first_multiple(low: float, q: float) -> int:
    """The least k with k · q ≥ low."""
    return math.ceil(Decimal(str(low)) / Decimal(str(q)))


def last_multiple(high: float, q: float) -> int:
    """The greatest k with k · q ≤ high."""
    return math.floor(Decimal(str(high)) / Decimal(str(q)))


def multiple(k: int, q: float) -> float:
    """The multiple k · q, as the decimal number that one writes."""
    return float(k * Decimal(str(q)))
