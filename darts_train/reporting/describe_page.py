"""The page of a train data directory: a description becomes the content of a page."""

import math
from collections.abc import Sequence

from darts_train.base.provenance import now, package_versions
from darts_train.dataset.describing.bands import PERCENTS, BandProfile
from darts_train.dataset.describing.description import Description
from darts_train.dataset.describing.splits import FOLDS, FoldCount
from darts_train.dataset.describing.text import (
    REGIONS,
    counted,
    distinct_words,
    figure,
    percent_of,
    top_regions,
    words_of_distance,
    words_of_purged,
    words_of_test,
)
from darts_train.dataset.reader import TrainData
from darts_train.figures.maps import class_colour, hex_colour
from darts_train.figures.stacked import small_bar, small_histogram, stacked_bars
from darts_train.reporting.content import Block, Charts, Drawing, Headline, Page, Section, Table, Text
from darts_train.reporting.describe_map import (
    Outlines,
    by_part,
    by_positive,
    by_region,
    draw_map,
    draw_windows,
    read_outlines,
)
from darts_train.reporting.describe_patches import patch_sections
from darts_train.reporting.describe_samples import sheet

POSITIVE, EMPTY = "var(--series-2, #d55e00)", "var(--rest, #b8c4ce)"
REASONS = 50  # scenes that were left out, with their reason
POSITIVES = "By share of positive pixels"
NAMES = 6  # regions of a part by name


def page(data: TrainData, found: Description) -> Page:
    """The page. Reads the patches of the sample sheet again, and no others."""
    outlines = read_outlines(data.metadata)
    sections = [_bands(found), _classes(found)]
    if found.patches:
        samples = Section("Sample patches", [sheet(data, found.positive_pixels)])
        sections += [_regions(found), _map(data, found, outlines), samples, *patch_sections(found)]
        sections.append(_splits(data, found, outlines))
    sections.append(_origin(found))
    version = package_versions().get("darts-train", "")
    return Page(
        title=f"Train data: {found.directory.resolve().name}",
        lead=_lead(found),
        headlines=_headlines(found),
        sections=sections,
        footer=[f"Made {now()} with darts-train {version} from {found.directory}.", f"Data hash {found.data_hash}"],
    )


def _lead(found: Description) -> str:
    if not found.patches:
        return "This set has no patches. Why its scenes gave none is said at the end of this page."
    size = f"{found.patch_size} × {found.patch_size}"
    return (
        f"{counted(found.patches, 'patch', 'patches')} of {size} pixels with {counted(len(found.bands), 'band')} and "
        f"{len(found.classes)} classes, cut from {counted(found.scenes, 'scene')}."
    )


def _headlines(found: Description) -> list[Headline]:
    positive = sum(each.share for each in found.classes[1:])
    of_all = f"{found.positive:,} of {found.patches:,}"
    left_out = f"{len(found.scene_count.left_out)} left out" if found.scene_count else "that gave patches"
    return [
        Headline("Patches", f"{found.patches:,}", f"{found.patch_size} × {found.patch_size} pixels"),
        Headline("Patches with positives", percent_of(found.positive, found.patches), of_all),
        Headline("Positive pixels", f"{positive:.2%}", f"of the labelled; {found.ignored_share:.1%} are ignored"),
        Headline("Scenes", f"{found.scenes:,}", left_out),
        Headline("Regions", f"{len(found.regions):,}", f"largest: {_largest(found)}" if found.regions else ""),
    ]


def _largest(found: Description) -> str:
    return max(found.regions, key=lambda region: region.patches).region


def _bands(found: Description) -> Section:
    columns = (
        "band", "distribution", "least", *(f"{p} %" for p in PERCENTS), "greatest", "mean", "std", "no data",
    )  # fmt: skip
    rows = [_band_row(profile) for profile in found.profiles]
    caption = (
        f"Histograms from the {PERCENTS[0]}st to the {PERCENTS[-1]}th percentile, over all pixels of "
        f"{found.statistics_of} that hold data; values in the units of the bands."
    )
    return Section("Bands", [Table(columns, rows, frozenset(range(2, len(columns))), caption=caption)])


def _band_row(profile: BandProfile) -> list[str | Drawing]:
    stats, histogram = profile.statistics, profile.histogram
    low, high = figure(profile.quantiles[0], 3), figure(profile.quantiles[-1], 3)
    drawing = Drawing(small_histogram(histogram.counts, low, high, stats.name)) if histogram.counts else "no data"
    numbers = (stats.minimum, *profile.quantiles, stats.maximum, stats.mean, stats.std)
    return [stats.name, drawing, *(figure(number) for number in numbers), f"{stats.nodata_share:.2%}"]


def _classes(found: Description) -> Section:
    rows: list[list[str | Drawing]] = []
    for index, each in enumerate(found.classes):
        colour = hex_colour(class_colour(index)) if index else EMPTY
        bar = Drawing(small_bar(each.share, colour, each.name))
        patches = f"{each.patches:,} ({percent_of(each.patches, found.patches)})"
        rows.append([f"{index}", each.name, bar, f"{each.share:.3%}", f"{each.pixels:,}", patches])
    columns = ("", "class", "share", "of labelled pixels", "pixels", "patches that have it")
    caption = f"{found.ignored_share:.2%} of all pixels are ignored: they belong to no class."
    return Section("Classes", [Table(columns, rows, frozenset({3, 4, 5}), caption=caption)])


def _regions(found: Description) -> Section:
    shown = top_regions(found.regions)
    named = shown[:REGIONS]  # the others together would dwarf them
    bars = [(r.region, (r.positive, r.empty), percent_of(r.positive, r.patches)) for r in named]
    legend = [("with a positive pixel", POSITIVE), ("without", EMPTY)]
    title = "Patches of each region" if named == shown else f"Patches of the {len(named)} largest regions"
    charts = Charts([stacked_bars(bars, (POSITIVE, EMPTY), title, "patches")], legend=legend)
    rows = [
        [r.region, f"{r.patches:,}", f"{r.positive:,}", percent_of(r.positive, r.patches), f"{r.positive_share:.2%}"]
        for r in shown
    ]
    columns = ("region", "patches", "with positives", "share", "positive pixels")
    return Section("Regions", [charts, Table(columns, rows, frozenset(range(1, 5)))])


def _map(data: TrainData, found: Description, outlines: Outlines | None) -> Section:
    title = "Where the patches lie"
    region, share = by_region(data.metadata), by_positive(found.positive_pixels, found.patch_size)
    maps = [] if outlines is None else [draw_map(outlines, region, "By region"), draw_map(outlines, share, POSITIVES)]
    windows = draw_windows(data.metadata, found.patch_size, share, f"{POSITIVES}, in each scene")
    blocks: list[Block] = [Charts(maps)] if maps else []
    if windows is not None:
        caption = "Windows of the patches in the pixels of their scenes, all in one scale; darker where they overlap."
        blocks.append(Charts([windows], f"{caption} Of many scenes only the first are shown."))
    note = _map_note(outlines)
    return Section(title, [*blocks, *([Text(note)] if note else [])] or [Text("The set does not say this.")])


def _map_note(outlines: Outlines | None) -> str:
    if outlines is None:
        return "The patches have no georeference, so there is no map."
    unknown = f"{outlines.unknown:,} patches have no georeference and are not shown. " if outlines.unknown else ""
    thinned = f"{outlines.thinned:,} patches, drawn at random, are not shown. " if outlines.thinned else ""
    return unknown + thinned


def _splits(data: TrainData, found: Description, outlines: Outlines | None) -> Section:
    splits = found.splits
    blocks: list[Block] = [Text(f"What this configuration makes of the set: {splits.words}.")]
    if splits.first is None:
        return Section("Splits", [*blocks, Text(f"It cannot be made: {splits.impossible}")])
    columns = (
        "fold", "train", "positive", "regions", "validate", "positive", "regions", "leaking",
    )  # fmt: skip
    caption = (
        "Positive: patches with a positive pixel. Leaking: validation patches that share pixels of a scene with "
        "training patches."
    )
    rows = [_fold_row(fold) for fold in splits.folds]
    blocks += [
        Table(columns, rows, frozenset({1, 2, 4, 5, 7}), caption=caption),
        Text(_sentence(f"{words_of_test(splits)}.")),
    ]
    blocks.append(Text(_sentence(f"{words_of_distance(splits.folds)}.")))
    if any(fold.purged for fold in splits.folds):
        blocks.append(Text(_sentence(f"{words_of_purged(splits.folds)}.")))
    if len(splits.folds) == FOLDS < splits.split.total_folds:
        blocks.append(Text(f"The first {FOLDS} of {splits.split.total_folds} folds are shown."))
    blocks += [Text(_sentence(f"{leak_words(splits.folds)} {' '.join(splits.warnings)}"))]
    parts = by_part(found.patches, splits.first)
    windows = draw_windows(data.metadata, found.patch_size, parts, "Fold 0, in each scene")
    charts = [] if outlines is None else [draw_map(outlines, parts, "Fold 0")]
    charts += [] if windows is None else [windows]
    return Section("Splits", [*blocks, *([Charts(charts)] if charts else [])])


def _fold_row(fold: FoldCount) -> list[str]:
    cells = [str(fold.fold)]
    for part in (fold.train, fold.val):
        cells += [f"{part.patches:,}", percent_of(part.positive, part.patches), _names(part.regions)]
    if fold.val_leak is None:
        return [*cells, "unknown"]
    return [*cells, f"{fold.val_leak:,} ({percent_of(fold.val_leak, fold.val.patches)})"]


def leak_words(folds: Sequence[FoldCount]) -> str:
    """What leaks, and what helps, in a sentence or two."""
    if any(fold.val_leak is None for fold in folds):
        return "The set does not say where its windows lie, so it is unknown whether validation sees training pixels."
    worst = max(folds, key=lambda fold: (fold.val_leak or 0) / max(fold.val.patches, 1))
    if not worst.val_leak:
        return "No validation patch shares a pixel with a training patch."
    return (
        f"In fold {worst.fold}, {worst.val_leak:,} of {worst.val.patches:,} validation patches share pixels with "
        "training patches: their scores will be too good. Fold by region or group, give --purge-overlap, or make the "
        "set with --overlap 0."
    )


def _origin(found: Description) -> Section:
    rows = [
        ["dates of acquisition", distinct_words(found.dates)],
        ["groups", distinct_words(found.groups, span=False)],
    ]
    scenes = found.scene_count
    if scenes is None:
        return Section("Scenes", [Table(("", ""), [["scenes", f"{found.scenes:,}"], *rows])])
    done = [["scenes done", f"{scenes.done:,}"], ["of these without a patch", f"{scenes.without_patches:,}"]]
    blocks: list[Block] = [Table(("", ""), [*done, ["scenes left out", f"{len(scenes.left_out):,}"], *rows])]
    if scenes.left_out:
        hidden = len(scenes.left_out) - REASONS
        caption = f"And {hidden:,} more, in scenes.parquet." if hidden > 0 else ""
        blocks.append(Table(("scene left out", "reason"), scenes.left_out[:REASONS], caption=caption))
    return Section("Scenes", blocks)


def _names(regions: Sequence[str]) -> str:
    if len(regions) <= NAMES and math.fsum(map(len, regions)) <= 60:
        return ", ".join(regions)
    return f"{len(regions)} regions"


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].upper() + text[1:]
