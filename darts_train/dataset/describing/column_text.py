"""Columns of a set and suspicious patches for the terminal, at most 80 columns wide, and as plain values for JSON."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from darts_train.dataset.describing.columns import GroupSizes, PatchTable
from darts_train.dataset.describing.suspects import Suspects
from darts_train.dataset.describing.text import counted, figure, percent_of, table, wrap

NAMED = 5  # suspicious patches that are named, values of a text column
LINES = 20  # columns with a line of their own


def column_lines(found: PatchTable) -> Iterator[str]:
    """Numbers as a table; then flags, texts and groups, a line each."""
    numbers = [each for each in found.numbers if each.known]
    if numbers:
        heads = ("of each patch", "mean", "std", "least", "50 %", "greatest")
        values = [(c.mean, c.std, c.quartiles[0], c.quartiles[2], c.quartiles[4]) for c in numbers[:LINES]]
        rows = [(c.name, *(figure(v, 3) for v in five)) for c, five in zip(numbers, values, strict=False)]
        yield from table(heads, rows)
        if len(numbers) > LINES:
            yield f"and {len(numbers) - LINES} more columns (--json)"
    for flag in found.flags[:LINES]:
        missing = f", {flag.missing:,} without" if flag.missing else ""
        yield from wrap(f"{flag.name}: {percent_of(flag.yes, flag.yes + flag.no)} of the patches{missing}")
    for text in found.texts[:LINES]:
        named = ", ".join(f"{value} {count:,}" for value, count in text.frequent[:NAMED])
        more = f" and {text.values - NAMED:,} more" if text.values > NAMED else ""
        yield from wrap(f"{text.name}: {named or 'no value'}{more}")
    if found.groups is not None:
        yield from wrap(f"groups: {group_words(found.groups)}")
    yield ""


def group_words(groups: GroupSizes) -> str:
    """How many groups there are, and how large: `12 groups, 3 of one patch; the largest has 40 patches`."""
    largest = groups.largest[0][1]
    without = f"; {counted(groups.without, 'patch', 'patches')} without" if groups.without else ""
    return (
        f"{counted(groups.groups, 'group')}, {groups.single:,} of one patch; the largest has "
        f"{counted(largest, 'patch', 'patches')}{without}"
    )


def suspect_lines(found: Sequence[Suspects]) -> Iterator[str]:
    """A line for each rule, with the worst patches and the condition that leaves all of them out."""
    for each in found:
        named = ", ".join(f"{patch} ({share:.0%})" for patch, share in _worst(each))
        rest = "" if len(each.patches) <= NAMED else ", …"
        out = f"; left out by --where '{each.where}'" if each.where else ""
        yield from wrap(f"{counted(len(each.patches), 'patch', 'patches')} {each.why}: {named}{rest}{out}")
    if found:
        yield ""


def plain_columns(found: PatchTable) -> dict[str, Any]:
    """Plain values for JSON; NaN becomes None."""
    plain = {key: value for key, value in asdict(found).items() if key not in ("shares", "groups")}
    plain["group_sizes"] = None if found.groups is None else _plain_groups(found.groups)
    return {key: _without_nan(value) for key, value in plain.items()}


def _worst(found: Suspects) -> list[tuple[int, float]]:
    return list(zip(found.patches, found.shares, strict=True))[:NAMED]


def _plain_groups(groups: GroupSizes) -> dict[str, Any]:
    sizes = {str(size): number for size, number in groups.sizes.items()}
    return {"groups": groups.groups, "sizes": sizes, "largest": groups.largest, "without": groups.without}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
