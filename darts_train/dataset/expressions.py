"""Expressions over the columns of metadata.parquet, such as `region == 'Banks Island' and valid_fraction > 0.5`.

The text is parsed as Python and only the nodes below are computed, on whole columns: nothing is ever called but the
functions of FUNCTIONS, no attribute is looked at, and numbers are float64, so that `9**9**9` is inf and no hours.
pandas' own `query` is none of this: its expressions reach attributes and methods.

Missing numbers are NaN and compare False, as missing texts do; `isnull(column)` and `column is None` find them.
"""

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from darts_train.base.errors import UserError, listing, nearest

LONGEST, MOST_NODES = 4000, 500
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`([^`]*)`")
Values = np.ndarray


def _minmax(x: Values) -> Values:
    """Moved to 0 … 1 over all rows; 0 where all are equal."""
    low, high = np.nanmin(x, initial=np.inf), np.nanmax(x, initial=-np.inf)
    return np.asarray((x - low) / (high - low) if high > low else np.zeros_like(x))


FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., Values]]] = {  # least and most arguments, all numbers
    "abs": (1, 1, np.abs),
    "sqrt": (1, 1, np.sqrt),
    "log": (1, 1, np.log),
    "log1p": (1, 1, np.log1p),
    "exp": (1, 1, np.exp),
    "floor": (1, 1, np.floor),
    "min": (2, 9, lambda *x: np.minimum.reduce(x)),
    "max": (2, 9, lambda *x: np.maximum.reduce(x)),
    "clip": (3, 3, np.clip),
    "minmax": (1, 1, _minmax),
}
_TEXT_FUNCTIONS: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startswith": lambda text, part: text.startswith(part),
}
_ARITHMETIC: Mapping[type, Callable[[Values, Values], Values]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide, ast.Mod: np.mod,
    ast.FloorDiv: np.floor_divide, ast.Pow: np.power,
}  # fmt: skip
_ORDER: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Lt: lambda a, b: a < b, ast.LtE: lambda a, b: a <= b, ast.Gt: lambda a, b: a > b, ast.GtE: lambda a, b: a >= b,
    ast.Eq: lambda a, b: a == b, ast.NotEq: lambda a, b: a != b,
}  # fmt: skip


def matching_rows(metadata: pd.DataFrame, text: str, option: str) -> Values:
    """Which rows satisfy a condition, bool [n]. Raises UserError: see `Expression`; also where it is no condition."""
    found = Expression(text, option).evaluate(metadata)
    if found.dtype != bool:
        raise UserError(f"{option}: {text} gives a number or text, not yes or no; compare it, such as … > 0.")
    return found


def row_numbers(metadata: pd.DataFrame, text: str, option: str) -> Values:
    """The value of an expression in every row, float64 [n]; yes is 1. Raises UserError: see `Expression`."""
    found = Expression(text, option).evaluate(metadata)
    if found.dtype == object:
        raise UserError(f"{option}: {text} gives text, not a number.")
    return found.astype(np.float64)


@dataclass(frozen=True)
class Expression:
    """A checked expression.

    Args:
        text: the expression; a column whose name is no word stands in backticks.
        option: its option, named in messages.

    Raises UserError where it cannot be read, is too long, or uses anything but columns, constants, operators and the
    functions above. `evaluate` raises it for unknown columns (with the nearest names) and for texts where numbers are
    needed.
    """

    text: str
    option: str

    def __post_init__(self) -> None:
        self._tree()

    def evaluate(self, metadata: pd.DataFrame) -> Values:
        """Its value in every row: bool, float64 or object (texts), [n]."""
        tree, names = self._tree()
        with np.errstate(all="ignore"):
            value = _Evaluation(metadata, names, self.option).value(tree)
        return np.broadcast_to(value, len(metadata)).copy()

    def _tree(self) -> tuple[ast.expr, dict[str, str]]:
        if len(self.text) > LONGEST:
            raise UserError(f"{self.option}: the expression has more than {LONGEST} characters.")
        names: dict[str, str] = {}

        def named(match: re.Match[str]) -> str:
            if match.group(1) is None:
                return match.group()
            names[f"_column{len(names)}"] = match.group(1)
            return f"_column{len(names) - 1}"

        try:
            tree = ast.parse(_QUOTED.sub(named, self.text.strip()), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = getattr(error, "msg", None) or "it is nested too deeply"
            raise UserError(f"{self.option}: {self.text[:80]} cannot be read ({reason}).") from None
        if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
            raise UserError(f"{self.option}: the expression has more than {MOST_NODES} parts.")
        return tree, names


class _Evaluation:
    """One walk over a tree, with the columns of one table."""

    def __init__(self, metadata: pd.DataFrame, names: Mapping[str, str], option: str) -> None:
        self.metadata, self.names, self.option = metadata, names, option

    def value(self, node: ast.expr) -> Values:
        handler: Callable[[Any], Values] | None = getattr(self, f"_{type(node).__name__}", None)
        if handler is None:
            raise self._wrong(f"{ast.unparse(node)[:60]} is not allowed; columns, numbers, texts and operators are")
        return handler(node)

    def _wrong(self, message: str) -> UserError:
        return UserError(f"{self.option}: {message}.")

    def _numbers(self, node: ast.expr) -> Values:
        value = self.value(node)
        if value.dtype == object:
            raise self._wrong(f"{ast.unparse(node)[:60]} is text where a number is needed")
        return value.astype(np.float64)

    def _booleans(self, node: ast.expr) -> Values:
        value = self.value(node)
        if value.dtype != bool:
            raise self._wrong(f"{ast.unparse(node)[:60]} is no condition; compare it with something")
        return value

    def _Constant(self, node: ast.Constant) -> Values:
        if isinstance(node.value, bool):
            return np.asarray(node.value)
        if isinstance(node.value, int | float):
            return np.asarray(_float(node.value))
        if isinstance(node.value, str):
            return np.asarray(node.value, object)
        raise self._wrong(f"{node.value!r} is no number and no text")

    def _Name(self, node: ast.Name) -> Values:
        return column_values(self.metadata, self.names.get(node.id, node.id), self.option)

    def _column(self, node: ast.Name) -> "pd.Series[Any]":
        return _existing(self.metadata, self.names.get(node.id, node.id), self.option)

    def _Subscript(self, node: ast.Subscript) -> Values:
        """`class_fractions[1]`: an element of a column of lists."""
        place = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if not isinstance(node.value, ast.Name) or not isinstance(place, int) or isinstance(place, bool):
            raise self._wrong(f"{ast.unparse(node)[:60]} is not column[number]")
        column = self._column(node.value)
        if not all(item is None or isinstance(item, list | tuple | np.ndarray) for item in column):
            raise self._wrong(f"column {node.value.id} holds no lists")
        items = [item[place] if item is not None and len(item) > place else np.nan for item in column]
        return np.asarray(items, np.float64)

    def _UnaryOp(self, node: ast.UnaryOp) -> Values:
        if isinstance(node.op, ast.Not | ast.Invert):
            return ~self._booleans(node.operand)
        value = self._numbers(node.operand)
        return -value if isinstance(node.op, ast.USub) else value

    def _BinOp(self, node: ast.BinOp) -> Values:
        if isinstance(node.op, ast.BitAnd | ast.BitOr):
            both = np.logical_and if isinstance(node.op, ast.BitAnd) else np.logical_or
            return np.asarray(both(self._booleans(node.left), self._booleans(node.right)))
        operate = _ARITHMETIC.get(type(node.op))
        if operate is None:
            raise self._wrong(f"the operator in {ast.unparse(node)[:60]} is not allowed")
        return operate(self._numbers(node.left), self._numbers(node.right))

    def _BoolOp(self, node: ast.BoolOp) -> Values:
        parts = np.broadcast_arrays(*(self._booleans(part) for part in node.values))
        together = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return np.asarray(together.reduce(parts))

    def _IfExp(self, node: ast.IfExp) -> Values:
        return np.where(self._booleans(node.test), self._numbers(node.body), self._numbers(node.orelse))

    def _Compare(self, node: ast.Compare) -> Values:
        found = np.asarray(True)
        for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            found = found & self._compared(left, operator, right)
        return found

    def _compared(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Values:
        if isinstance(operator, ast.Is | ast.IsNot):
            if not isinstance(right, ast.Constant) or right.value is not None:
                raise self._wrong("only `is None` and `is not None` are known; use == to compare")
            return _missing(self.value(left)) ^ isinstance(operator, ast.IsNot)
        if isinstance(operator, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple | ast.Set):
                raise self._wrong("`in` needs a list, such as region in ['a', 'b']")
            value = self.value(left)
            found = [self._ordered(value, ast.Eq(), self.value(item)) for item in right.elts]
            inside = np.logical_or.reduce(np.broadcast_arrays(*found)) if found else np.asarray(False)
            return inside ^ isinstance(operator, ast.NotIn)
        return self._ordered(self.value(left), operator, self.value(right))

    def _ordered(self, a: Values, operator: ast.cmpop, b: Values) -> Values:
        if (a.dtype == object) != (b.dtype == object):
            raise self._wrong("text is compared with a number; put quotes around texts, and none around numbers")
        compare = _ORDER[type(operator)]
        if a.dtype != object:
            return np.asarray(compare(a, b), bool)
        a, b = np.broadcast_arrays(a, b)
        pairs = zip(a.ravel(), b.ravel(), strict=True)
        return np.array([x is not None and y is not None and compare(x, y) for x, y in pairs], bool).reshape(a.shape)

    def _Call(self, node: ast.Call) -> Values:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        known = [*FUNCTIONS, *_TEXT_FUNCTIONS, "isnull"]
        if name not in known or node.keywords:
            said = name or ast.unparse(node.func)[:40]
            raise self._wrong(f"no function {said}{nearest(said, known)}; there are {listing(known, 20)}")
        least, most = FUNCTIONS[name][:2] if name in FUNCTIONS else (1, 1) if name == "isnull" else (2, 2)
        if not least <= len(node.args) <= most:
            raise self._wrong(f"{name} takes {least if least == most else f'{least} to {most}'} arguments")
        if name == "isnull":
            return _missing(self.value(node.args[0]))
        if name in _TEXT_FUNCTIONS:
            return self._of_texts(name, *node.args)
        return np.asarray(FUNCTIONS[name][2](*np.broadcast_arrays(*(self._numbers(part) for part in node.args))))

    def _of_texts(self, name: str, column: ast.expr, part: ast.expr) -> Values:
        texts, wanted = self.value(column), part.value if isinstance(part, ast.Constant) else None
        if texts.dtype != object or not isinstance(wanted, str):
            raise self._wrong(f"{name} takes a column of texts and a text in quotes")
        test = _TEXT_FUNCTIONS[name]
        return np.array([text is not None and test(text, wanted) for text in texts.ravel()], bool).reshape(texts.shape)


def _float(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf")


def _missing(value: Values) -> Values:
    if value.dtype == object:
        return np.array([item is None for item in value.ravel()], bool).reshape(value.shape)
    return np.isnan(value.astype(np.float64))


def _existing(metadata: pd.DataFrame, name: str, option: str) -> "pd.Series[Any]":
    if name not in metadata.columns:
        known = [str(column) for column in metadata.columns]
        close = nearest(name, known) or f"; it has {listing(known, 20)}"
        raise UserError(f"{option}: no column {name} in the set{close}.")
    return metadata[name]


def column_values(metadata: pd.DataFrame, name: str, option: str) -> Values:
    """A column as bool, float64 or texts (object, None where missing); dates as ISO 8601 texts; [n].

    Raises UserError naming `option` where there is no such column (with the nearest names), or its values are others.
    """
    column = _existing(metadata, name, option)
    if pd.api.types.is_bool_dtype(column.dtype) and not column.isna().any():
        return column.to_numpy(bool)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(np.float64, na_value=np.nan)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        column = column.map(lambda time: time.isoformat(), na_action="ignore")
    if pd.api.types.infer_dtype(column, skipna=True) == "boolean":  # yes and no, of which some are missing
        return column.astype(object).map(float, na_action="ignore").to_numpy(np.float64, na_value=np.nan)
    values = np.empty(len(column), object)
    for place, item in enumerate(column.astype(object)):
        if isinstance(item, bytes | list | tuple | np.ndarray | dict):
            raise UserError(f"{option}: column {name} holds neither numbers nor texts; of lists take one: {name}[0].")
        values[place] = None if pd.isna(item) else str(item)
    return values
