"""`early_terminate` of a wandb sweep file: hyperband, as settings for whoever stops trials early.

wandb counts iterations; here one is a validation. At every bracket a run goes on only where it is among the best of
those that came that far: the best 1/eta.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from darts_train.base.errors import UserError, nearest
from darts_train.experiments.space.file import Source

KEYS = ("type", "min_iter", "max_iter", "s", "eta", "strict")
LARGEST = 1_000_000


@dataclass(frozen=True)
class EarlyTerminate:
    """Hyperband's settings. Either `min_iter`, or `max_iter` with the number of brackets `s`, is given.

    `strict`: a run is also stopped between brackets where its last one says so (wandb: more runs are stopped).
    """

    min_iter: int | None = None
    max_iter: int | None = None
    s: int | None = None
    eta: float = 3.0
    strict: bool = False

    def brackets(self, limit: int) -> tuple[int, ...]:
        """After which validations runs are compared, ascending, all of them less than `limit`.

        min_iter, min_iter · eta, min_iter · eta², …; or max_iter / eta^s, …, max_iter / eta.
        """
        if self.min_iter is not None:
            found, power = [], 0
            while (bracket := int(self.min_iter * self.eta**power)) < limit:
                found.append(bracket)
                power += 1
        else:
            most = self.max_iter or 0
            found = [int(most / self.eta**power) for power in range(self.s or 0, 0, -1)]
        return tuple(sorted({bracket for bracket in found if 1 <= bracket < limit}))


def parse_early_terminate(spec: Any, source: Source) -> EarlyTerminate | None:
    """Settings of a sweep file; None where there are none. Raises UserError naming file, line and key."""
    if spec is None:
        return None
    if not isinstance(spec, Mapping) or spec.get("type") != "hyperband":
        raise UserError(f"{source.at('early_terminate')}: a table with type: hyperband was expected, not {spec!r:.60}.")
    for key in spec:
        if key not in KEYS:
            hint = nearest(str(key), KEYS)
            raise UserError(f"{source.at('early_terminate', str(key))}: hyperband has no key {key!r}{hint}.")
    values = {key: _whole(key, spec[key], source) for key in ("min_iter", "max_iter", "s") if key in spec}
    if ("min_iter" in values) == ("max_iter" in values):
        raise UserError(f"{source.at('early_terminate')}: give either min_iter, or max_iter with s.")
    if ("s" in values) != ("max_iter" in values):
        raise UserError(f"{source.at('early_terminate')}: max_iter and s, the number of brackets, go together.")
    strict, eta = spec.get("strict", False), spec.get("eta", 3)
    if not isinstance(strict, bool):
        raise UserError(f"{source.at('early_terminate', 'strict')}: true or false was expected, not {strict!r}.")
    if isinstance(eta, bool) or not isinstance(eta, int | float) or not 1 < eta <= LARGEST:
        raise UserError(f"{source.at('early_terminate', 'eta')}: a number greater than 1 was expected, not {eta!r}.")
    return EarlyTerminate(**values, eta=float(eta), strict=strict)


def _whole(key: str, value: Any, source: Source) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
        where = source.at("early_terminate", key)
        raise UserError(f"{where}: a whole number from 1 to {LARGEST} was expected, not {value!r}.")
    return value
