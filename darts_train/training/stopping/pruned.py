"""How a run is stopped from outside, without torch, for those who stop it."""

from collections.abc import Callable, Mapping

OnValidation = Callable[[int, Mapping[str, float]], str | None]
"""Is told how many epochs are done, and the metrics of the validation; answers why to stop, or None."""


class PrunedError(Exception):
    """The run was stopped because it is not worth its time; the text says why."""
