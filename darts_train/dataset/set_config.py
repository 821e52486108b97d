"""What a train data directory is: its bands and their encoding, patch size, classes, and the settings behind it.

Written as config.toml under `darts`; sub-headings are for the reader, leaf keys are unique over the file, so that
the same file can be given to the command again as `--config-file`. One text form serves both the file and the
comparison of two settings: what cannot be told apart in TOML (a path and its text, a tuple and a list, a missing
value and None) is not a difference. Reading is in `config_keys.py`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError, listing
from darts_train.dataset.columns import Column, check_columns
from darts_train.dataset.config_keys import ENCODING_KEYS, FORMAT_VERSION, OLDER_CLASSES, STORED_AS, parse_darts_table
from darts_train.dataset.schema import METADATA_SCHEMA
from darts_train.raster.band import IGNORE_INDEX, Band

_HEADING = "How this train data directory was made. Give it as --config-file to make it again."
_OWN_OPTIONS = frozenset({"bands", "patch_size", "classes"})


@dataclass(frozen=True)
class SetConfig:
    """Description of a train data directory.

    Attributes:
        bands: stored bands in the order of axis 1 of `x`, with their encodings.
        patch_size: side of a patch, pixels.
        classes: names of the class indices in `y`; the first is the background.
        ignore_index: value in `y` that counts nowhere.
        command: the command that made the set; empty for older sets.
        columns: further columns of metadata.parquet.
        settings: options of that command, plain values; None counts as absent.
        stored_as: how the codes lie in data.zarr: `uint16`, with a code for no data; `uint8`, which leaves none: then
            an array `valid` [n, h, w] is beside x; `uint8 by band`, with `valid` [n, c, h, w]. Read as uint16 always.
        older: True for a set without a stored encoding: float pixels, scaled to [0, 1] before they were stored.

    Raises UserError where bands or classes are missing or doubled, or a number is out of range.
    """

    bands: tuple[Band, ...]
    patch_size: int
    classes: tuple[str, ...] = OLDER_CLASSES
    ignore_index: int = IGNORE_INDEX
    command: str = ""
    columns: tuple[Column, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    stored_as: str = STORED_AS[0]
    older: bool = False

    def __post_init__(self) -> None:
        _check_names("bands", [band.name for band in self.bands], least=1)
        _check_names("classes", list(self.classes), least=2)
        check_columns(self.columns, METADATA_SCHEMA.names)
        if self.patch_size < 1:
            raise UserError(f"patch_size: {self.patch_size} is not a number of pixels above 0.")
        least = len(self.classes)
        if not least <= self.ignore_index <= 255:
            raise UserError(f"ignore_index: {self.ignore_index} must be from {least} (number of classes) to 255.")
        if self.stored_as not in STORED_AS:
            raise UserError(f"stored_as: {self.stored_as!r} is none of {listing(STORED_AS)}.")

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands, in stored order."""
        return tuple(band.name for band in self.bands)

    def encoding(self) -> dict[str, Any]:
        """What decides the meaning of the codes, as plain values (part of the data hash); not how they are stored."""
        names = {"bands": list(self.band_names), "patch_size": self.patch_size, "classes": list(self.classes)}
        return names | {key: value for key, value in _encoding_table(self).items() if key != "stored_as"}

    def to_toml(self) -> str:
        """Text of config.toml. Raises ValueError where a setting is a table, or named as a key of the set itself."""
        import tomlkit

        clash = [key for key in self.settings if key in (*ENCODING_KEYS, "command", "metadata_columns")]
        if clash:
            raise ValueError(f"settings must not hold {listing(clash)}: the set writes these keys itself")
        document = tomlkit.document()
        document.add(tomlkit.comment(_HEADING))
        darts = tomlkit.table(is_super_table=True)
        darts.add("preprocess", _table(_preprocess_table(self)))
        darts.add("encoding", _table(_encoding_table(self)))
        document.add("darts", darts)
        return tomlkit.dumps(document)

    @classmethod
    def from_toml(cls, text: str, source: str = "config.toml") -> "SetConfig":
        """Read the text of a config.toml, ours or an older one. `source` is named in every UserError raised."""
        try:
            darts = tomllib.loads(text).get("darts")
        except tomllib.TOMLDecodeError as error:
            raise UserError(f"{source}: not valid TOML: {error}.") from None
        if not isinstance(darts, dict):
            raise UserError(f"{source}: the table [darts] is missing.")
        try:
            return cls(**parse_darts_table(darts))
        except UserError as error:
            raise UserError(f"{source}: {error}") from None

    @classmethod
    def read(cls, path: Path) -> "SetConfig":
        """Read a config.toml. Raises UserError where it is absent, unreadable or wrong."""
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise UserError(f"{path}: not a text file (UTF-8).") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}.") from None
        return cls.from_toml(text, str(path))

    def differences(self, now: "SetConfig") -> list[str]:
        """Keys in which `now` differs from this one, as `key: value there, value now`; empty where none does."""
        old, new = (_preprocess_table(config) | _encoding_table(config) for config in (self, now))
        keys = [*old, *(key for key in new if key not in old)]
        return [
            f"{key}: {old.get(key, 'nothing')} there, {new.get(key, 'nothing')} now"
            for key in keys
            if old.get(key) != new.get(key)
        ]


def _check_names(what: str, names: list[str], least: int) -> None:
    if len(names) < least:
        raise UserError(f"{what}: at least {least} needed, {len(names)} given.")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise UserError(f"{what}: {listing(doubled)} given twice.")
    if not all(names):
        raise UserError(f"{what}: a name is empty.")


def _preprocess_table(config: SetConfig) -> dict[str, Any]:
    own: dict[str, Any] = {
        "command": config.command,
        "bands": list(config.band_names),
        "patch_size": config.patch_size,
        "classes": list(config.classes),
    }
    if config.columns:
        own["metadata_columns"] = list(map(str, config.columns))
    settings = {key: _plain(value) for key, value in config.settings.items() if key not in _OWN_OPTIONS}
    return own | {key: value for key, value in settings.items() if value is not None}


def _encoding_table(config: SetConfig) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "band_scales": [float(band.scale) for band in config.bands],
        "band_offsets": [float(band.offset) for band in config.bands],
        "band_low": [float(band.low) for band in config.bands],
        "band_high": [float(band.high) for band in config.bands],
        "optical_bands": [band.name for band in config.bands if band.optical],
        "ignore_index": config.ignore_index,
        **({} if config.stored_as == STORED_AS[0] else {"stored_as": config.stored_as}),
    }


def _table(values: Mapping[str, Any]) -> Any:
    import tomlkit

    table = tomlkit.table()
    for key, value in values.items():
        table.add(key, value)
    return table


def _plain(value: Any) -> Any:
    """Value as TOML can hold it: paths as text, tuples as lists. Tables are refused: only leaf keys count."""
    if isinstance(value, Path | str):
        return str(value).encode("utf-8", "replace").decode()  # a file name may hold bytes that are no UTF-8
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    raise ValueError(f"a setting must be text, a number, yes or no, or a list of these; not {type(value).__name__}")
