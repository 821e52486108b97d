"""Statistics of bands as files that other programs read: hakai's channel_stats.npz, and the JSON of the kelp tools.

Both hold values in the units of the bands, divided by `--max-pixel-val`. They differ in what they count: the NPZ file
has the sample deviation (n - 1) of the pixels in which any band is above 0, as hakai's program makes it; the JSON file
has the numbers of all pixels that hold data.
"""

import fnmatch
import io
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError, listing
from darts_train.base.files import require_writable, write_bytes, write_json
from darts_train.dataset.describing.bands import BandProfile
from darts_train.dataset.lit_pixels import LitNumbers
from darts_train.options.preprocessing import Describe

OPTION = "--stats-file"
UNIT = {"mean": 0.0, "std": 1.0, "min": 0.0, "max": 1.0, "q01": 0.0, "q99": 1.0}  # the kelp tools' QA and masks


def wants_lit(describe: Describe) -> bool:
    """Whether the file is one that leaves black pixels out."""
    return describe.stats_file is not None and describe.stats_file.suffix.lower() == ".npz"


def check_stats_file(describe: Describe, root: Path, bands: Sequence[str]) -> None:
    """Refuse, before anything is read, a file that would change the set, replace another, or say nothing.

    Raises UserError naming the option.
    """
    path = describe.stats_file
    if path is None:
        return
    if path.suffix.lower() not in (".npz", ".json"):
        raise UserError(f"{OPTION}: {path} must end in .npz (mean, std) or .json (with range and quantiles).")
    if path.is_dir():
        raise UserError(f"{OPTION}: {path} is a directory; name a file in it.")
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise UserError(
            f"{OPTION}: {path} lies in the train data directory, which stays as it is; choose another place."
        )
    if path.exists() and not describe.overwrite:
        raise UserError(f"{OPTION}: {path} exists; choose another name, or give --overwrite.")
    require_writable(path.parent, OPTION)
    _check_unit_bands(describe, bands)


def _check_unit_bands(describe: Describe, bands: Sequence[str]) -> None:
    if describe.unit_bands and wants_lit(describe):
        raise UserError("--unit-bands is for a .json file; leave it out.")
    unknown = [pattern for pattern in describe.unit_bands or () if not fnmatch.filter(bands, pattern)]
    if unknown:
        raise UserError(f"--unit-bands: no band {listing(unknown)} in the set, which has {listing(bands, 20)}.")


def write_stats(describe: Describe, profiles: Sequence[BandProfile], lit: Sequence[LitNumbers] | None) -> str:
    """Write the file that is asked for, atomically, and return a line that says what it holds.

    Raises UserError where a band has no pixel to be counted, or the file cannot be written.
    """
    path, by = describe.stats_file, describe.max_pixel_val
    assert path is not None
    divided = f", divided by {by:g}" if by != 1 else ""
    try:
        if lit is not None:
            _write_npz(path, profiles, lit, by)
            words = f"mean and std of {max(each.pixels for each in lit):,} pixels that are not black{divided}"
        else:
            write_json(path, _plain(profiles, describe))
            words = f"mean, std, range and quantiles of all pixels with data{divided}"
    except OSError as error:
        raise UserError(f"{OPTION}: {path} cannot be written: {error.strerror}.") from None
    return f"{path}: {words}"


def _write_npz(path: Path, profiles: Sequence[BandProfile], lit: Sequence[LitNumbers], by: float) -> None:
    few = [p.statistics.name for p, each in zip(profiles, lit, strict=True) if math.isnan(each.std)]
    if few:
        raise UserError(
            f"{OPTION}: band {listing(few)} has no two pixels in which any band is above 0; nothing is written."
        )
    buffer = io.BytesIO()
    mean, std = (np.array([getattr(each, key) / by for each in lit], np.float32) for key in ("mean", "std"))
    np.savez(buffer, mean=mean, std=std)
    write_bytes(path, buffer.getvalue())


def _plain(profiles: Sequence[BandProfile], describe: Describe) -> dict[str, dict[str, float]]:
    found = {}
    for profile in profiles:
        s, (q01, _, q99) = profile.statistics, profile.quantiles
        if any(fnmatch.fnmatchcase(s.name, pattern) for pattern in describe.unit_bands or ()):
            found[s.name] = UNIT
            continue
        if not s.valid:
            raise UserError(f"{OPTION}: band {s.name} has no data anywhere; nothing is written.")
        numbers = {"mean": s.mean, "std": s.std, "min": s.minimum, "max": s.maximum, "q01": q01, "q99": q99}
        found[s.name] = {key: value / describe.max_pixel_val for key, value in numbers.items()}
    return found
