"""The leakage certificate of a cross-validation as a table, where there is one."""

from typing import Any

from darts_train.reporting.content import Section, Table
from darts_train.reporting.words import setting

FOLDS = "folds"


def leakage_section(certificate: dict[str, Any]) -> Section | None:
    """One row per fold with whatever numbers the certificate has; None without one."""
    folds = certificate.get(FOLDS)
    rows = [fold for fold in folds if isinstance(fold, dict)] if isinstance(folds, list) else []
    if not rows:
        return None
    columns = [name for name in dict.fromkeys(key for row in rows for key in row) if _plain(rows, name)]
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    heads = [name.replace("_", " ") for name in columns]
    caption = "What validation and training patches share, and how far they are apart."
    return Section("Leakage", [Table(heads, cells, frozenset(range(len(columns))), caption=caption)])


def _plain(rows: list[dict[str, Any]], name: str) -> bool:
    return not any(isinstance(row.get(name), dict | list) for row in rows)


def _cell(value: Any) -> str:
    return "unknown" if value is None else setting(value)
