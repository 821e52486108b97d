"""Which image belongs to which labels: from a table, or from two directories by the stems of their files."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from darts_train.base.errors import UserError, listing, nearest
from darts_train.base.files import require_directory, require_file
from darts_train.base.log import logger
from darts_train.options.preprocessing import Raster
from darts_train.scenes.polygons import VECTOR_SUFFIXES
from darts_train.scenes.scene import NO_REGION

RASTER_SUFFIXES = (".tif", ".tiff", ".vrt", ".png", ".jpg", ".jpeg", ".jp2", ".img", ".bmp", ".webp")
_COLUMNS = ("image", "label", "region", "group", "date", "sample_id")
_log = logger("preprocess")


@dataclass(frozen=True)
class Pair:
    """An image and its labels (None: there are none), and what is known about them. `source` is the image as named."""

    image: Path
    label: Path | None
    sample_id: str
    source: str
    region: str = NO_REGION
    group: str | None = None
    date: str | None = None


def find_pairs(raster: Raster) -> list[Pair]:
    """All pairs, in the order of the table, or of the names of the images.

    Raises UserError where not exactly one of both forms is given, a file or a column is missing, or two pairs have
    one id.
    """
    directories = (raster.image_dir, raster.label_dir)
    if (raster.table is None) == (directories == (None, None)):
        raise UserError("Give either --table, or --image-dir and --label-dir.")
    if raster.table is not None:
        pairs = _from_table(require_file(raster.table, "--table"))
    elif raster.image_dir is None or raster.label_dir is None:
        raise UserError("--image-dir and --label-dir belong together; one of them is missing.")
    else:
        images = require_directory(raster.image_dir, "--image-dir")
        pairs = _from_directories(images, require_directory(raster.label_dir, "--label-dir"))
    _refuse_doubles(pairs)
    return pairs


def _from_table(path: Path) -> list[Pair]:
    import pandas as pd

    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)
    except (ValueError, OSError) as error:
        raise UserError(f"--table: {path} cannot be read ({str(error).splitlines()[0]}).") from None
    for column in ("image", "label"):
        if column not in table:
            raise UserError(f"--table: {path} has no column {column}{nearest(column, table.columns)}.")
    unknown = [str(column) for column in table.columns if column not in _COLUMNS]
    if unknown:
        _log.warning("%s: columns %s are not used; known are %s", path, listing(unknown), ", ".join(_COLUMNS))
    if table.empty:
        raise UserError(f"--table: {path} has no row.")
    rows = table.reindex(columns=list(_COLUMNS)).to_dict("records")
    return [_row(path, number, {str(k): _text(v) for k, v in row.items()}) for number, row in enumerate(rows, start=1)]


def _text(value: object) -> str | None:
    """A cell as text; None where it is empty. Days come as timestamps from parquet."""
    if value is None or value != value:  # NaN and NaT are not themselves
        return None
    text = (value.isoformat() if hasattr(value, "isoformat") else str(value)).strip()
    return text.removesuffix("T00:00:00") or None


def _row(table: Path, number: int, cells: dict[str, str | None]) -> Pair:
    image, label = cells["image"], cells["label"]
    if image is None or label is None:
        raise UserError(f"--table: {table} row {number}: {'image' if image is None else 'label'} is empty.")
    for name in (image, label):
        if not (table.parent / name).is_file():
            raise UserError(f"--table: {table} row {number}: no file {table.parent / name}.")
    return Pair(
        image=table.parent / image,
        label=table.parent / label,
        sample_id=cells["sample_id"] or Path(image).stem,
        source=image,
        region=cells["region"] or NO_REGION,
        group=cells["group"],
        date=cells["date"],
    )


def _from_directories(images: Path, labels: Path) -> list[Pair]:
    if images.resolve() == labels.resolve():
        raise UserError(
            f"--label-dir is the same as --image-dir, {images}; keep images and labels apart, or use --table."
        )
    found = _files(images, RASTER_SUFFIXES)
    if not found:
        raise UserError(f"--image-dir: no image in {images} ({', '.join(RASTER_SUFFIXES)}).")
    by_stem: dict[str, list[Path]] = {}
    for path in _files(labels, (*RASTER_SUFFIXES, *VECTOR_SUFFIXES)):
        by_stem.setdefault(path.stem, []).append(path)
    stems = {path.stem for path in found}
    spare = [stem for stem in by_stem if stem not in stems]
    if spare:
        _log.warning("%s: %d labels have no image (%s)", labels, len(spare), listing(spare, 3))
    for stem in sorted(stems):
        if len(by_stem.get(stem, ())) > 1:
            raise UserError(
                f"--label-dir: {labels} has several labels of {stem}: {listing(p.name for p in by_stem[stem])}."
            )
    return [Pair(path, by_stem.get(path.stem, [None])[0], path.stem, path.name) for path in found]


def _files(directory: Path, suffixes: Iterable[str]) -> list[Path]:
    """Files with one of the suffixes, by name; hidden ones are nobody's."""
    chosen = tuple(suffixes)
    files = (path for path in directory.iterdir() if path.is_file() and not path.name.startswith("."))
    return sorted(path for path in files if path.suffix.lower() in chosen)


def _refuse_doubles(pairs: list[Pair]) -> None:
    first: dict[str, Pair] = {}
    for pair in pairs:
        if pair.sample_id in first:
            raise UserError(
                f"Two images have the id {pair.sample_id}: {first[pair.sample_id].image} and {pair.image};"
                " give them a sample_id each in a --table."
            )
        first[pair.sample_id] = pair
