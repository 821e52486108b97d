"""The names inside a train data directory, and the removal of what the writer owns.

    config.toml        settings the set was made with, and its encoding
    data.zarr/         x [n, c, h, w] and y [n, h, w]; valid beside x of bytes
    metadata.parquet   row i = patch i; written last, so a set that has it is whole
    scenes.parquet     one row per scene, also of those that gave no patch
    labels.geojson     the label polygons
    columns.parquet    columns that were added to the finished set (groups, say)
    .journal/          config.toml, NNNNNN.json per committed tile, staging/ while it is written, lock

Only these names are ever removed; whatever else lies in the directory belongs to somebody else.
"""

from pathlib import Path

from darts_train.base.files import fsync_directory, remove_tree

CONFIG = "config.toml"
DATA = "data.zarr"
METADATA = "metadata.parquet"
SCENES = "scenes.parquet"
LABELS = "labels.geojson"
ADDED = "columns.parquet"
JOURNAL = ".journal"
LOCK = "lock"
STAGING = "staging"
PRODUCTS = (METADATA, ADDED, SCENES, LABELS, CONFIG)


def existing_products(root: Path) -> list[str]:
    """Names of the set's own files and of data.zarr that are in `root`; empty where `root` is not there."""
    return [name for name in (CONFIG, DATA, METADATA, SCENES, LABELS) if (root / name).exists()]


def sweep_leftovers(root: Path) -> None:
    """Remove the temporary files that killed writers left beside the set's own files, and no others."""
    for name in PRODUCTS:
        for leftover in root.glob(f".{name}.*.tmp"):
            leftover.unlink(missing_ok=True)


def remove_metadata(root: Path) -> None:
    """Remove metadata.parquet durably: from here on the set is unfinished. Nothing happens where it is absent."""
    path = root / METADATA
    if path.exists():
        path.unlink()
        fsync_directory(root)


def remove_set(root: Path) -> None:
    """Remove everything the writer owns in `root`, except the lock that the caller holds.

    The order keeps a killed removal harmless: without metadata the set is unfinished; the journal shrinks from its
    end, so that at every moment it says something true about a shorter set; data.zarr stays until the small files
    are gone, so that what is left is known for a set; the journal's config goes last.
    """
    remove_metadata(root)
    journal = root / JOURNAL
    for fragment in sorted(journal.glob("*.json"), reverse=True):
        fragment.unlink()
    for name in PRODUCTS:
        (root / name).unlink(missing_ok=True)
    sweep_leftovers(root)
    remove_tree(journal / STAGING)
    remove_tree(root / DATA)
    (journal / CONFIG).unlink(missing_ok=True)
    fsync_directory(root)
