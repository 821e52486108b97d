"""Parameters of augmentations: what a user may write for each, and how it is read. Nothing here needs torch.

A value is text (`30`, `-10..30`, `true`) or what a file holds (30, [-10, 30], true).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["symmetric", "interval", "number", "flag"]
Value = tuple[float, float] | float | bool


@dataclass(frozen=True)
class Parameter:
    """One parameter: its default, its limits, and what a single number means.

    `symmetric`: v is (-v, v); `interval`: v is (v, v), or (`start`, v) where there is a start; `number`; `flag`.
    """

    kind: Kind
    default: Value
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    start: float | None = None

    def read(self, raw: Any) -> Value:
        """The value that `raw` means. Raises ValueError saying what is expected, as the end of a sentence."""
        if self.kind == "flag":
            return _flag(raw)
        ends = _ends(raw)
        if self.kind == "number":
            if len(ends) != 1:
                raise ValueError(f"{_shown(raw)} is not one number")
            return self._checked(ends[0], raw)
        if len(ends) == 1:
            only = ends[0]
            first = -abs(only) if self.kind == "symmetric" else only if self.start is None else self.start
            ends = [first, abs(only) if self.kind == "symmetric" else only]
        low, high = (self._checked(end, raw) for end in ends)
        if low > high:
            raise ValueError(f"{_shown(raw)}: the first end must not be above the second")
        return low, high

    def _checked(self, value: float, raw: Any) -> float:
        if not math.isfinite(value) or (self.whole and value != int(value)):
            raise ValueError(f"{_shown(raw)} is not a {'whole' if self.whole else 'finite'} number")
        if not self.low <= value <= self.high:
            limits = f"at least {self.low:g}" + (f" and at most {self.high:g}" if self.high < math.inf else "")
            raise ValueError(f"{_shown(raw)} must be {limits}")
        return value


def symmetric(default: float, high: float = math.inf) -> Parameter:
    """Offsets to both sides of 0, at most `high`."""
    return Parameter("symmetric", (-default, default), -high, high)


def interval(low: float, high: float, least: float, most: float = math.inf, start: float | None = None) -> Parameter:
    """From `low` to `high`, which must lie between `least` and `most`."""
    return Parameter("interval", (low, high), least, most, start=start)


def flag(default: bool) -> Parameter:
    """True or false."""
    return Parameter("flag", default)


def _flag(raw: Any) -> bool:
    said = raw.strip().lower() if isinstance(raw, str) else raw
    if said in (True, "true"):
        return True
    if said in (False, "false"):
        return False
    raise ValueError(f"{_shown(raw)} is not true or false")


def _ends(raw: Any) -> list[float]:
    """One number or two."""
    parts: Sequence[Any] = raw.split("..") if isinstance(raw, str) else raw if isinstance(raw, list | tuple) else [raw]
    try:
        if any(isinstance(part, bool) for part in parts) or len(parts) not in (1, 2):
            raise ValueError
        return [float(part) for part in parts]
    except (TypeError, ValueError):
        raise ValueError(f"{_shown(raw)} is not a number or two, such as 10 or -5..10") from None


def value_text(value: Value) -> str:
    """A value as `Parameter.read` takes it back, to the bit."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "..".join(value_text(end) for end in value)
    return str(int(value)) if value == int(value) else repr(value)


def _shown(raw: Any) -> str:
    return f"{raw!r}"
