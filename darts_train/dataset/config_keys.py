"""Reading the `darts` table of a config.toml, ours or of older make, into the parts of a SetConfig.

Sets of older make say only `bands` and `patch_size`, anywhere below `darts`. `bands` came in three forms over the
years: a list of names, a list of tables with a `name`, and a table from name to factor. Their pixels were scaled to
[0, 1] before they were stored, so their bands decode to themselves, and y is 0, 1 and 2 (ignore).
"""

import math
from collections.abc import Mapping
from typing import Any

from darts_train.base.errors import UserError
from darts_train.dataset.columns import parse_columns
from darts_train.raster.band import Band

FORMAT_VERSION = 1
OLDER_IGNORE_INDEX = 2
OLDER_CLASSES = ("background", "positive")
_NUMBERS = ("band_scales", "band_offsets", "band_low", "band_high")
ENCODING_KEYS = ("format_version", *_NUMBERS, "optical_bands", "ignore_index", "stored_as")
STORED_AS = ("uint16", "uint8", "uint8 by band")


def parse_darts_table(darts: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of SetConfig. Raises UserError naming the key that is missing or wrong."""
    leaves = _leaves(darts)
    return _ours(leaves) if "format_version" in leaves else _older(darts, leaves)


def _leaves(table: Mapping[str, Any]) -> dict[str, Any]:
    """Leaf keys of nested tables, `-` as `_`; a later one wins."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= _leaves(value)
        else:
            found[key.replace("-", "_")] = value
    return found


def _ours(leaves: dict[str, Any]) -> dict[str, Any]:
    version = leaves["format_version"]
    if version != FORMAT_VERSION:
        raise UserError(f"format_version is {version}, this version reads {FORMAT_VERSION}; update darts-train.")
    own = {"command", "bands", "patch_size", "classes", "metadata_columns", *ENCODING_KEYS}
    return {
        "bands": _bands(leaves),
        "patch_size": _integer(leaves, "patch_size"),
        "classes": tuple(_names(leaves, "classes")),
        "ignore_index": _integer(leaves, "ignore_index"),
        "stored_as": str(leaves.get("stored_as", STORED_AS[0])),
        "command": str(leaves.get("command", "")),
        "columns": parse_columns(_names(leaves, "metadata_columns") if "metadata_columns" in leaves else ()),
        "settings": {key: value for key, value in leaves.items() if key not in own},
    }


def _bands(leaves: dict[str, Any]) -> tuple[Band, ...]:
    names, optical = _names(leaves, "bands"), set(_names(leaves, "optical_bands"))
    columns = [_numbers(leaves, key, len(names)) for key in _NUMBERS]
    try:
        return tuple(
            Band(name, scale, offset, low, high, optical=name in optical)
            for name, scale, offset, low, high in zip(names, *columns, strict=True)
        )
    except ValueError as error:
        raise UserError(f"{error}.") from None


def _older(darts: Mapping[str, Any], leaves: dict[str, Any]) -> dict[str, Any]:
    found = _find(darts, "bands")
    if isinstance(found, dict):
        found = list(found)
    if isinstance(found, list):
        found = [item.get("name") if isinstance(item, dict) else item for item in found]
    names = _names({} if found is None else {"bands": found}, "bands")
    return {
        "bands": tuple(Band(name, scale=1.0, offset=0.0, low=0.0, high=1.0) for name in names),
        "patch_size": _integer(leaves, "patch_size"),
        "ignore_index": OLDER_IGNORE_INDEX,
        "classes": OLDER_CLASSES,
        "settings": {key: value for key, value in leaves.items() if key not in ("bands", "patch_size")},
        "older": True,
    }


def _find(table: Mapping[str, Any], key: str) -> Any:
    """Value of `key` anywhere in nested tables, the last one; None where it is nowhere."""
    found = table.get(key)
    for name, value in table.items():
        if name != key and isinstance(value, dict):
            inner = _find(value, key)
            found = found if inner is None else inner
    return found


def _names(leaves: Mapping[str, Any], key: str) -> list[str]:
    value = leaves.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UserError(f"{key} must be a list of names{_absent(leaves, key)}.")
    return value


def _numbers(leaves: Mapping[str, Any], key: str, count: int) -> list[float]:
    value = leaves.get(key)
    if not isinstance(value, list) or not all(_is_number(item) for item in value):
        raise UserError(f"{key} must be a list of finite numbers{_absent(leaves, key)}.")
    if len(value) != count:
        raise UserError(f"{key} holds {len(value)} numbers for {count} bands.")
    return [float(item) for item in value]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _integer(leaves: Mapping[str, Any], key: str) -> int:
    value = leaves.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{key} must be a whole number{_absent(leaves, key)}.")
    return value


def _absent(leaves: Mapping[str, Any], key: str) -> str:
    return "" if key in leaves else "; it is missing"
