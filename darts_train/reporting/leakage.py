"""The leakage certificate (`leakage.json`) as a table, where there is one."""

from typing import Any

from darts_train.reporting.content import Block, Section, Table, Text

HEADS = {
    "part": "part", "beside": "apart from", "patches": "patches", "pixels": "shared pixels",
    "overlapping": "patches with them", "ground": "patches on shared ground", "scenes": "shared scenes",
    "groups": "shared groups", "metres": "nearest, m",
}  # fmt: skip


def leakage_section(certificate: dict[str, Any]) -> Section | None:
    """One row for each pair of parts of each fold; None without a certificate, or with one of another form."""
    folds = certificate.get("folds")
    rows = [
        [_fold(fold), *(_cell(shared.get(name)) for name in HEADS)]
        for fold in (folds if isinstance(folds, list) else [])
        if isinstance(fold, dict) and isinstance(fold.get("shared"), list)
        for shared in fold["shared"]
        if isinstance(shared, dict)
    ]
    if not rows:
        return None
    free = certificate.get("leak_free") is True
    text = "Leak-free: nothing is shared." if free else "Not leak-free: something is shared, or it is not known."
    blocks: list[Block] = [Text(text), Table(("fold", *HEADS.values()), rows, frozenset(range(3, 10)))]
    return Section("Leakage", blocks)


def _fold(fold: dict[str, Any]) -> str:
    outer, inner = fold.get("outer"), fold.get("fold")
    said = [*([] if outer is None else [f"outer {outer}"]), *([] if inner is None else [f"{inner}"])]
    return ", ".join(said)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int | float) else str(value)
