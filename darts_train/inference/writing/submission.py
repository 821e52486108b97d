"""What a competition wants of a prediction: all maps in one flat, uncompressed tar, and pictures to look at first."""

import re
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from darts_train.base.errors import UserError, listing
from darts_train.base.files import atomic_path
from darts_train.inference.scene_maps import SceneMap
from darts_train.inference.writing.rasters import NODATA, Mosaic, copy_raster, open_map
from darts_train.options.predicting import Submission
from darts_train.scenes.raster_file import grid_of

TAR, PREVIEWS = "submission.tar", "previews"
_SCENE = "{scene}"
_PERCENT = {0: 0.0, 100: 1.0, 101: 0.0, NODATA: 0.0}


def member_names(submission: Submission, scene_ids: Sequence[str], channels: int = 1) -> list[str]:
    """Names of the scenes in the tar. Raises UserError for a pattern that names no scene, for a name that comes twice,
    and for soft labels of more than one channel.
    """
    if submission.soft_labels and channels > 1:
        raise UserError(f"--soft-labels: the model has {channels} classes; soft labels are of one foreground class.")
    pattern = submission.submission or ""
    if _SCENE not in pattern or "/" in pattern or not re.fullmatch(r"[^{}]*\{scene\}[^{}]*", pattern):
        raise UserError(f"--submission: {pattern} must be a file name with {_SCENE} once, such as {_SCENE}_kelp.tif.")
    names = [pattern.replace(_SCENE, name.removesuffix(submission.submission_suffix)) for name in scene_ids]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise UserError(f"--submission-suffix: without it scenes share a name: {listing(double)}.")
    return names


def write_submission(out_dir: Path, maps: Sequence[SceneMap], submission: Submission) -> str:
    """Write submission.tar of all maps; returns a line that says what is in it.

    Members are GeoTIFFs of class indices uint8, or with --soft-labels of the foreground's probability float32; no data
    is 0. The same maps give the same bytes.
    """
    names = member_names(submission, [found.scene_id for found in maps])
    positive = pixels = 0
    with (
        atomic_path(out_dir / TAR) as path,
        TemporaryDirectory(dir=out_dir, prefix=".submission.") as place,
        tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, found in sorted(zip(names, maps, strict=True), key=lambda pair: pair[0]):
            _write_member(Path(place), found, submission.soft_labels)
            _add(tar, Path(place) / "member.tif", name)
            counts = _counts(found.classes)
            positive, pixels = positive + int(counts[1:NODATA].sum()), pixels + int(counts.sum())
    share = 100 * positive / max(1, pixels)
    return f"{out_dir / TAR}: {len(maps)} map{'s' * (len(maps) > 1)}, {share:.2f} % of their pixels positive"


def _write_member(place: Path, found: SceneMap, soft: bool) -> None:
    source = found.probabilities if soft else found.classes
    with open_map(source) as dataset:
        grid = grid_of(dataset)
    link = place / "source.tif"
    link.unlink(missing_ok=True)
    link.symlink_to(source.absolute())
    table = _PERCENT if soft else {i: float(i) for i in range(NODATA)} | {NODATA: 0.0}
    kind = "Float32" if soft else "Byte"
    whole = Mosaic(grid, ((link, grid.height),), ("",), {}, None, table, kind)
    copy_raster(whole.write(place / "member.vrt"), place / "member.tif", "GTiff", compress="deflate")


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    """Add a file under a name, without owner and time."""
    entry = tarfile.TarInfo(name)
    entry.size = path.stat().st_size
    with path.open("rb") as file:
        tar.addfile(entry, file)


def _counts(path: Path) -> np.ndarray:
    """Pixels [256] of each class index of a map."""
    counts = np.zeros(256, np.int64)
    with open_map(path) as dataset:
        for _, window in dataset.block_windows(1):
            counts += np.bincount(dataset.read(1, window=window).ravel(), minlength=256)
    return counts


def write_previews(out_dir: Path, maps: Sequence[SceneMap], count: int) -> None:
    """Put the pictures of the first scenes, by name, into one directory."""
    place = out_dir / PREVIEWS
    place.mkdir(exist_ok=True)
    for found in sorted(maps, key=lambda one: one.scene_id)[:count]:
        with atomic_path(place / f"{found.scene_id}.png") as path:
            shutil.copyfile(found.quicklook, path)
