"""Tables from outside as plain values, which go into any file: text, numbers, lists, and tables with names for keys.

Dates become ISO 8601, paths are texts already (`harmless.py`), sets become sorted lists, small tensors lists. A table
that is nested without end, or says the same list a million times over, is refused: whoever writes it out would not
come back.
"""

import datetime
import math
from collections.abc import Mapping
from typing import Any

import torch

from darts_train.base.errors import UserError

DEEPEST, MOST, LONGEST_TENSOR = 32, 50_000, 4096  # levels; values in all; numbers of one tensor


def plain_values(value: Any) -> Any:
    """The value anew, of None, bool, int, float, str, list and dict alone.

    Raises UserError, beginning with "its config", for other kinds of objects, and for a table too deep or too large.
    """
    return _Reader().read(value, "", 0)


def json_values(value: Any) -> Any:
    """Plain values as JSON knows them: numbers that are not finite become null."""
    if isinstance(value, dict):
        return {key: json_values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_values(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class _Reader:
    """Counts what it has read, so that a table of a few bytes cannot become one of a terabyte."""

    def __init__(self) -> None:
        self.left = MOST

    def read(self, value: Any, place: str, depth: int) -> Any:
        """The value as plain ones; `place` says where it is, for messages."""
        self.left -= 1
        if depth > DEEPEST or self.left < 0:
            raise UserError(f"its config is nested too deep or too large at {place[:60]}.")
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, Mapping):
            return {self._key(key, place): self.read(item, f"{place}.{key}"[:80], depth + 1)
                    for key, item in value.items()}  # fmt: skip
        if isinstance(value, list | tuple | set | frozenset):
            items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
            return [self.read(item, place, depth + 1) for item in items]
        return self._other(value, place)

    def _key(self, key: object, place: str) -> str:
        if not isinstance(key, str | int):
            raise UserError(f"its config has a {type(key).__name__} for a name at {place or 'the top'}.")
        return str(key)

    def _other(self, value: Any, place: str) -> Any:
        if isinstance(value, datetime.datetime | datetime.date | datetime.time):
            return value.isoformat()
        if isinstance(value, datetime.timedelta):
            return value.total_seconds()
        if isinstance(value, torch.dtype | torch.device):
            return str(value)
        if torch.is_tensor(value) and value.numel() <= LONGEST_TENSOR and value.layout == torch.strided:
            return self.read(value.tolist(), place, 0)
        raise UserError(f"its config holds a {type(value).__name__} at {place.lstrip('.') or 'the top'}.")
