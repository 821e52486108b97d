"""Which patches of a set are kept: by their metadata, by chance, by the error of a model. No pixel is looked at.

By chance means by a hash of the seed and the patch's name: a set that grows keeps what was chosen before, for the most
part, and no version of a library changes the choice.
"""

import ast
from dataclasses import dataclass

import numpy as np
import pandas as pd

from darts_train.base.errors import UserError
from darts_train.base.hashes import hash_json
from darts_train.base.log import logger
from darts_train.dataset.expressions import matching_rows

NOT_DRAWN = "background that was not drawn"
_log = logger("dataset")


@dataclass(frozen=True)
class BackgroundRule:
    """How many patches without foreground are kept; with neither, all of them.

    Attributes:
        random: number, or a share where below 1 or written as one; None: not by chance.
        is_share: `random` is a share of those that satisfy the condition.
        per_positive: number for each patch with foreground; None: not so.
        hardest: number of those with the greatest error; None: not so.
        seed: of the chance.
        thin_where: background that does not satisfy it is kept; None: none is.
    """

    random: float | None = None
    is_share: bool = False
    per_positive: float | None = None
    hardest: int | None = None
    seed: int = 42
    thin_where: str | None = None

    @classmethod
    def parse(cls, text: str | None, per_positive: float | None, hardest: int | None, seed: int) -> "BackgroundRule":
        """The rule of the options. Raises UserError where --background is no number, or both ways are given."""
        if text is None:
            return cls(None, False, per_positive, hardest, seed)
        if per_positive is not None:
            raise UserError("--background and --background-per-positive say the same; give one of them.")
        bare = text.strip()
        try:
            number = float(bare.removesuffix("%")) / (100 if bare.endswith("%") else 1)
        except ValueError:
            number = -1.0
        is_share = not bare.isdigit()
        if not (0 <= number <= 1 if is_share else number >= 0):
            raise UserError(f"--background: {text!r} is neither a number of patches (500) nor a share (0.2, 20%).")
        return cls(number, is_share, None, hardest, seed)

    @property
    def keeps_all(self) -> bool:
        """Whether background is not thinned at all."""
        return self.random is None and self.per_positive is None and self.hardest is None

    def count(self, background: int, positive: int) -> int:
        """Patches that are drawn by chance."""
        if self.per_positive is not None:
            return min(background, round(self.per_positive * positive))
        if self.random is None:
            return 0
        return min(background, round(self.random * background) if self.is_share else int(self.random))


@dataclass(frozen=True, eq=False)
class Choice:
    """Rows that are kept, int64 ascending, and how many were dropped for what; a patch may fail several conditions."""

    kept: np.ndarray
    dropped: dict[str, int]


def choose_patches(
    metadata: pd.DataFrame, where: str | None, rule: BackgroundRule, errors: np.ndarray | None = None
) -> Choice:
    """Choose patches.

    Args:
        metadata: rows of a set; `empty` says which are without foreground.
        where: condition that all must satisfy.
        rule: how many without foreground are kept.
        errors: float64 [n], NaN where unknown; needed for the hardest.

    Raises UserError as `expressions.matching_rows`, where nothing is kept, and where errors are missing.
    """
    fits = np.ones(len(metadata), bool) if where is None else matching_rows(metadata, where, "--where")
    empty = metadata["empty"].to_numpy(bool)
    thin = fits if rule.thin_where is None else fits & matching_rows(metadata, rule.thin_where, "--thin-where")
    pool, positives = np.flatnonzero(fits & empty), np.flatnonzero(fits & ~empty)
    background = pool
    if not rule.keeps_all:
        drawn = _background(metadata, np.flatnonzero(thin & empty), int((thin & ~empty).sum()), rule, errors)
        background = np.union1d(drawn, np.flatnonzero(fits & ~thin & empty))
    kept = np.union1d(positives, background).astype(np.int64)
    if not len(kept):
        raise UserError(f"Nothing is kept of {len(metadata)} patches; loosen --where, or ask for more background.")
    dropped = {} if where is None else _by_part(metadata, where)
    if len(pool) > len(background):
        dropped[NOT_DRAWN] = len(pool) - len(background)
    return Choice(kept, dropped)


def _background(
    metadata: pd.DataFrame, pool: np.ndarray, positives: int, rule: BackgroundRule, errors: np.ndarray | None
) -> np.ndarray:
    hardest = np.empty(0, np.int64)
    if rule.hardest is not None:
        if errors is None:
            raise UserError("--hard-negatives: whose errors? Give --errors.")
        hardest = _hardest(pool, errors, rule.hardest)
    rest = np.setdiff1d(pool, hardest)
    return np.union1d(hardest, _drawn(metadata, rest, rule.count(len(rest), positives), rule.seed))


def _hardest(pool: np.ndarray, errors: np.ndarray, count: int) -> np.ndarray:
    known = pool[np.isfinite(errors[pool])]
    if len(known) < min(count, len(pool)):
        _log.warning("only %d of %d patches without foreground have an error", len(known), len(pool))
    return np.asarray(known[np.argsort(-errors[known], kind="stable")[:count]])


def _drawn(metadata: pd.DataFrame, pool: np.ndarray, count: int, seed: int) -> np.ndarray:
    if count >= len(pool):
        return pool
    samples = metadata["sample_id"].to_numpy(object)
    numbers = metadata["patch_id"].to_numpy() if "patch_id" in metadata else metadata.index.to_numpy()
    keys = [hash_json([seed, str(samples[row]), int(numbers[row])]) for row in pool]
    return np.asarray(pool[np.argsort(np.array(keys, str), kind="stable")[:count]])


def _by_part(metadata: pd.DataFrame, where: str) -> dict[str, int]:
    """Patches that fail each part of a condition that is joined by `and`."""
    return {f"not {part}": int(n) for part in _parts(where) if (n := (~matching_rows(metadata, part, "--where")).sum())}


def _parts(where: str) -> list[str]:
    try:
        tree = ast.parse(where.strip(), mode="eval").body
    except SyntaxError:  # a column in backticks
        return [where]
    if not isinstance(tree, ast.BoolOp) or not isinstance(tree.op, ast.And):
        return [where]
    return [ast.unparse(part) for part in tree.values]
