"""Parts of a description as plain tables, at most 80 columns wide."""

import math
from collections.abc import Iterator, Sequence

from darts_train.dataset.describing.bands import PERCENTS, BandProfile
from darts_train.dataset.describing.splits import FOLDS, FoldCount, SplitPreview
from darts_train.dataset.describing.tables import Distinct, RegionCount, SceneCount

WIDTH = 80
REGIONS = 20  # regions with a line of their own
BAND_HEADS = ("band", "least", *(f"{percent} %" for percent in PERCENTS), "greatest", "mean", "std", "no data")
SHORTEST_NAME = 8
REASONS = 10  # scenes that were left out, with their reason


def top_regions(regions: Sequence[RegionCount], limit: int = REGIONS) -> list[RegionCount]:
    """The largest regions, largest first where some are left out; these are summed up in a last row."""
    if len(regions) <= limit:
        return list(regions)
    ordered = sorted(regions, key=lambda region: (-region.patches, region.region))
    rest = ordered[limit:]
    names = ("positive", "empty", "positive_pixels", "labelled_pixels")
    others = RegionCount(f"{len(rest)} others", *(sum(getattr(region, name) for region in rest) for name in names))
    return [*ordered[:limit], others]


def scene_lines(scenes: SceneCount | None) -> Iterator[str]:
    """What became of the scenes, and why some were left out."""
    if scenes is None:
        return
    none = f" ({scenes.without_patches} of them gave no patch)" if scenes.without_patches else ""
    yield f"{counted(scenes.done, 'scene')} done{none}, {len(scenes.left_out)} left out"
    for scene, reason in scenes.left_out[:REASONS]:
        yield cut(f"  {cut(scene, 30)}: {' '.join(reason.split())}", WIDTH)
    if len(scenes.left_out) > REASONS:
        yield f"  and {len(scenes.left_out) - REASONS} more (scenes.parquet)"


def distinct_words(found: Distinct, span: bool = True) -> str:
    """A column in a few words: `12, 2020-06-01 to 2021-08-30, 3 patches without`."""
    if not found.values:
        return "none"
    ends = f", {found.first} to {found.last}" if span and found.values > 1 else f", {found.first}" if span else ""
    without = f", {counted(found.without, 'patch', 'patches')} without" if found.without else ""
    return f"{found.values}{ends}{without}"


def band_table(profiles: Sequence[BandProfile]) -> list[str]:
    """Bands with four digits, fewer where numbers are so small or large that the names would be squeezed out."""
    for digits in (4, 3, 2):
        rows = [band_cells(profile, digits) for profile in profiles]
        beside = sum(max(len(row[i]) for row in [BAND_HEADS, *rows]) + 2 for i in range(1, len(BAND_HEADS)))
        if beside <= WIDTH - SHORTEST_NAME:
            break
    return table(BAND_HEADS, rows)


def band_cells(profile: BandProfile, digits: int) -> tuple[str, ...]:
    """Name, least, quantiles, greatest, mean, spread and share without data; a dash where nothing is valid."""
    stats = profile.statistics
    numbers = (stats.minimum, *profile.quantiles, stats.maximum, stats.mean, stats.std)
    return (stats.name, *(figure(number, digits) for number in numbers), f"{stats.nodata_share:.1%}")


def figure(value: float, digits: int = 4) -> str:
    """A number in so many digits, without the dust of arithmetic around zero; a dash for NaN.

    Larger numbers are rounded to whole ones, as 45120 is shorter and easier to read than 4.512e+04.
    """
    if math.isnan(value):
        return "-"
    if 10**digits <= abs(value) < 1e7:
        return f"{value:.0f}"
    return "0" if abs(value) < 1e-12 else f"{value:.{digits}g}"


def split_lines(splits: SplitPreview) -> Iterator[str]:
    """The folds as a table, the test part once."""
    yield from wrap(f"splits: {splits.words}")
    if splits.impossible:
        yield from wrap(f"cannot be made: {splits.impossible}")
        return
    heads = ("fold", "train", "positive", "regions", "validate", "positive", "regions", "share pixels")
    yield from table(heads, [fold_cells(fold) for fold in splits.folds])
    if len(splits.folds) == FOLDS < splits.split.total_folds:
        yield f"(the first {len(splits.folds)} of {splits.split.total_folds} folds)"
    yield from wrap(words_of_test(splits))
    yield from wrap(words_of_distance(splits.folds))
    if any(fold.purged for fold in splits.folds):
        yield from wrap(words_of_purged(splits.folds))
    for line in splits.warnings:
        yield from wrap(line)


def fold_cells(fold: FoldCount) -> tuple[str, ...]:
    """One row: sizes, positives and regions of both parts, validation patches that share pixels with training."""
    parts = [
        cell
        for part in (fold.train, fold.val)
        for cell in (str(part.patches), percent_of(part.positive, part.patches), str(len(part.regions)))
    ]
    return (str(fold.fold), *parts, "unknown" if fold.val_leak is None else str(fold.val_leak))


def words_of_test(splits: SplitPreview) -> str:
    """The test part in a sentence."""
    if not splits.split.data_split_method:
        return "test: the same patches that train and validate"
    fold = splits.folds[0]
    leak = "an unknown number" if fold.test_leak is None else "none" if not fold.test_leak else str(fold.test_leak)
    patches, share = counted(fold.test.patches, "patch", "patches"), percent_of(fold.test.positive, fold.test.patches)
    return (
        f"test: {patches}, {share} with positives, "
        f"{counted(len(fold.test.regions), 'region')}; {leak} of them share pixels with the others"
    )


def words_of_distance(folds: Sequence[FoldCount]) -> str:
    """How far validation is from training: the least of all folds, or that nobody knows."""
    known = [(fold.val_km, fold.fold) for fold in folds if fold.val_km is not None]
    if not known:
        return "distance of validation from training: unknown, patches have no georeference"
    least, fold = min(known)
    return f"distance of validation from training: {least:.3g} km between the nearest centres (fold {fold})"


def words_of_purged(folds: Sequence[FoldCount]) -> str:
    """How many training patches each fold lost."""
    lost = ", ".join(f"{fold.purged:,}" for fold in folds)
    return f"left out of training because they share pixels with the other parts, by fold: {lost}"


def counted(count: int, one: str, many: str = "") -> str:
    """`1 patch`, `1,200 scenes`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def percent_of(count: int, total: int) -> str:
    """A share in whole percent; a dash where there is nothing to share."""
    return f"{count / total:.0%}" if total else "-"


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Columns as wide as their longest item, the first one cut where a line would pass 80; numbers to the right."""
    cells = [[str(item) for item in row] for row in [heads, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    widths[0] = max(1, min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(heads) - 1)))
    return [
        "  ".join(
            [cut(row[0], widths[0]).ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in cells
    ]


def wrap(text: str) -> list[str]:
    """Lines of at most 80 columns; those after the first are indented."""
    import textwrap

    return textwrap.wrap(text, WIDTH, subsequent_indent="  ")


def cut(text: str, width: int) -> str:
    """The text, its end replaced by an ellipsis where it is longer than `width`."""
    return text if len(text) <= width else text[: width - 1] + "…"
