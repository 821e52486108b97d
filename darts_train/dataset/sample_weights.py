"""How often each training patch is drawn: by an expression over its metadata, and evenly from positive and empty.

The preset `kelp` is the importance of patches in a satellite kelp challenge (2nd place), as an expression that can be
written out and changed: 3 for kelp in the patch, and smaller terms for clouds, water and elevation, moved to 0 … 1 over
the training patches. `kelp(has_kelp=2, qa_ok=0.5, floor=0.05)` has other factors. Without a floor the smallest weight
is 0, so the least important patch is never drawn.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from darts_train.base.errors import UserError, listing, nearest
from darts_train.dataset.expressions import row_numbers

OPTION = "--sample-weights"
# name of the factor: its usual value, and what can stand for the term, the first whose column the set has
_KELP: Mapping[str, tuple[float, tuple[tuple[str, str], ...]]] = {
    "has_kelp": (3.0, (("has_kelp", "has_kelp"), ("empty", "(not empty)"))),
    "kelp_pixels_pct": (
        0.2,
        (("kelp_pixels_pct", "(1 - kelp_pixels_pct)"), ("positive_fraction", "(1 - positive_fraction)")),
    ),
    "qa_ok": (0.0, (("qa_ok", "qa_ok"),)),
    "qa_corrupted_pixels_pct": (
        -1.0,
        (("qa_corrupted_pixels_pct", "(1 - qa_corrupted_pixels_pct)"), ("valid_fraction", "valid_fraction")),
    ),
    "almost_all_water": (0.5, (("water_pixels_pct", "(1 - water_pixels_pct)"),)),  # the share, in spite of its name
    "dem_nan_pixels_pct": (0.25, (("dem_nan_pixels_pct", "(1 - dem_nan_pixels_pct)"),)),
    "dem_zero_pixels_pct": (-1.0, (("dem_zero_pixels_pct", "(1 - dem_zero_pixels_pct)"),)),
}
PRESET, FLOOR = "kelp", "floor"


@dataclass(frozen=True, eq=False)
class SampleWeights:
    """Weights of the training patches, float64 [n], at least 0 and not all 0, and a line that says what they do."""

    values: np.ndarray
    words: str


def sample_weights(
    metadata: pd.DataFrame, train: np.ndarray, expression: str | None, balance: bool
) -> SampleWeights | None:
    """The weights of the patches `train`; None where all are drawn alike.

    Args:
        metadata: rows of the set.
        train: indices of the training patches, [n].
        expression: over columns of metadata, computed on the training patches; or a preset by name.
        balance: give positive and empty patches the same sum, whatever their number.

    Raises:
        UserError: the expression cannot be computed, is negative or not a number somewhere or 0 everywhere; with
            `balance`, one kind has no patch that can be drawn.
    """
    if expression is None and not balance:
        return None
    rows = metadata.loc[train]
    text = _written_out(expression, rows) if expression is not None else "1"
    values = row_numbers(rows, text, OPTION)
    _check(values, rows, text)
    positive = ~rows["empty"].to_numpy(bool)
    if balance:
        values = _balanced(values, positive)
    return SampleWeights(values, _words(values, positive, text, expression is not None))


def _written_out(expression: str, rows: pd.DataFrame) -> str:
    """The expression of the preset, with the terms whose columns the set has; any other text as it is."""
    factors = _factors(expression)
    if factors is None:
        return expression
    floor = factors.pop(FLOOR, 0.0)
    found = []
    for name, (usual, forms) in _KELP.items():
        factor = factors.get(name, usual)
        term = next((form for column, form in forms if column in rows), None)
        if term is None and factors.get(name):
            raise UserError(f"{OPTION}: {PRESET}({name}=…) needs the column {forms[0][0]}, which the set has not.")
        found += [f"{factor:+.10g} * {term}"] if term and factor else []
    text = f"minmax({' '.join(found).removeprefix('+') or 0})"
    return f"max({text}, {floor:.10g})" if floor else text


def _factors(expression: str) -> dict[str, float] | None:
    """Factors that are said of the preset; None where the expression is another. UserError for unknown ones."""
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if isinstance(tree, ast.Name) and tree.id == PRESET:
        return {}
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.func.id != PRESET or tree.args:
        return None
    factors = {}
    for keyword in tree.keywords:
        if keyword.arg not in (*_KELP, FLOOR):
            known = listing((*_KELP, FLOOR), 8)
            raise UserError(
                f"{OPTION}: {PRESET} has no factor {keyword.arg}{nearest(str(keyword.arg), _KELP)}; {known}."
            )
        factors[keyword.arg] = _number(keyword.arg, keyword.value)
    return factors


def _number(name: str, value: ast.expr) -> float:
    try:
        return float(ast.literal_eval(value))
    except (ValueError, TypeError):
        raise UserError(f"{OPTION}: {PRESET}({name}={ast.unparse(value)[:40]}) is not a number.") from None


def _check(values: np.ndarray, rows: pd.DataFrame, text: str) -> None:
    wrong = ~np.isfinite(values) | (values < 0)
    if wrong.any():
        row = rows.index[wrong][0]
        raise UserError(
            f"{OPTION}: {text} is {values[wrong][0]:g} for patch {row} ({int(wrong.sum())} of {len(rows)} training "
            "patches are no number or negative); weights are numbers from 0."
        )
    if not values.any():
        raise UserError(f"{OPTION}: {text} is 0 for all {len(rows)} training patches, so none could be drawn.")


def _balanced(values: np.ndarray, positive: np.ndarray) -> np.ndarray:
    balanced = values.copy()
    for kind, name in ((positive, "positive"), (~positive, "empty")):
        if not values[kind].any():
            drawn = "" if not kind.any() else f" ({int(kind.sum())} have the weight 0)"
            raise UserError(
                f"--balance: of {len(values)} training patches no {name} one can be drawn{drawn}; leave the option out."
            )
        balanced[kind] /= values[kind].sum()
    return balanced


def _words(values: np.ndarray, positive: np.ndarray, text: str, named: bool) -> str:
    """What the weights do: how many patches can be drawn, how many that are worth, how many draws are positive."""
    effective = values.sum() ** 2 / (values**2).sum()
    share, plain = values[positive].sum() / values.sum(), positive.mean()
    by = f" by {text}" if named else ""
    return (
        f"patches are drawn{by}: {int((values > 0).sum())} of {len(values)} can be, as many as {effective:.0f} alike; "
        f"{share:.0%} of the draws are positive ({plain:.0%} of the patches)"
    )
