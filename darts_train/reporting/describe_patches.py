"""Sections of the page of a set about its patches one by one: columns, flags, groups, correlations, odd patches."""

from collections.abc import Sequence

from darts_train.dataset.describing.column_text import group_words
from darts_train.dataset.describing.columns import GroupSizes, NumberColumn, PatchTable, TextColumn, histogram
from darts_train.dataset.describing.description import Description
from darts_train.dataset.describing.suspects import Suspects
from darts_train.dataset.describing.text import counted, figure, percent_of
from darts_train.figures.eda import correlation_matrix, histogram_chart
from darts_train.figures.stacked import small_histogram, stacked_bars
from darts_train.reporting.content import Block, Charts, Drawing, Section, Table, Text

YES, NO, UNKNOWN = "var(--series-1, #0072b2)", "var(--rest, #93a0ad)", "var(--series-5, #9a6a00)"
VALUES = 15  # of a column of texts
HISTOGRAMS = 8  # columns that are drawn large
SHOWN = 12  # suspicious patches that are named, by rule
WIDE = 9  # columns from which on the matrix takes the whole width
TITLES = {
    "positive": "has a positive pixel",
    "qa_ok": "good quality everywhere",
    "high_corrupted_pixels_pct": "more than 40 % corrupted",
    "qa_corrupted_pixels_pct": "pixels of bad quality",
    "dem_has_nans": "lacks elevation somewhere",
    "dem_nan_pixels_pct": "pixels without elevation",
    "dem_zero_pixels_pct": "pixels at elevation 0",
    "water_pixels_pct": "pixels of water",
    "almost_all_water": "more than 98 % water",
    "valid_fraction": "labelled pixels",
    "positive_fraction": "positive pixels",
    "nodata_fraction": "pixels without data",
    "zero_fraction": "black pixels",
}
FIRST = ("qa_corrupted_pixels_pct", "dem_nan_pixels_pct", "nodata_fraction")  # drawn large after the classes


def patch_sections(found: Description) -> list[Section]:
    """The sections, those left out that would be empty."""
    table = found.columns
    sections = [_numbers(table)]
    if table.flags or table.texts:
        sections.append(_kinds(table, found.patches))
    if table.groups is not None:
        sections.append(_groups(table.groups))
    if table.correlations is not None:
        sections.append(_correlations(table))
    if found.suspects:
        sections.append(_suspects(found.suspects))
    return sections


def _numbers(table: PatchTable) -> Section:
    shown = [column for column in table.numbers if column.known]
    columns = ("", "distribution", "mean", "std", "least", "25 %", "50 %", "75 %", "greatest")
    rows = [_number_row(column) for column in shown]
    caption = (
        "Shares are of all pixels of a patch. Histograms of the share of a class are of the patches that have it; all "
        "other numbers are of all patches. Black pixels are 0 in all bands."
    )
    blocks: list[Block] = [Table(columns, rows, frozenset(range(2, len(columns))), caption=caption)]
    charts = [_chart(column, column.name in table.shares) for column in _large(table)]
    return Section("Patches in numbers", [*blocks, *([Charts(charts)] if charts else [])])


def _number_row(column: NumberColumn) -> list[str | Drawing]:
    shown = column.histogram
    low, high = (figure(value, 3) for value in (shown.low, shown.high))
    drawing = Drawing(small_histogram(shown.counts, low, high, column.name)) if len(shown.counts) > 1 else "one value"
    numbers = (column.mean, column.std, *column.quartiles)
    without = f" ({column.missing:,} without)" if column.missing else ""
    return [_title(column.name) + without, drawing, *(figure(number, 3) for number in numbers)]


def _large(table: PatchTable) -> list[NumberColumn]:
    """Columns that are drawn large: shares of classes, those of quality, then the others, as far as they vary."""
    order = {name: place for place, name in enumerate((*table.shares, *FIRST))}
    varying = [column for column in table.numbers if len(column.histogram.counts) > 1]
    return sorted(varying, key=lambda column: order.get(column.name, len(order)))[:HISTOGRAMS]


def _chart(column: NumberColumn, share: bool) -> str:
    shown, with_it = column.histogram, sum(column.histogram.counts)
    title = _title(column.name)
    title = title[:1].upper() + title[1:]
    if share:
        title = f"{title}, in {counted(with_it, 'patch', 'patches')} of {column.known:,} that have it"
    return histogram_chart(shown.counts, shown.low, shown.high, title, column.name, "patches")


def _kinds(table: PatchTable, patches: int) -> Section:
    blocks: list[Block] = []
    if table.flags:
        rows = [
            (_title(flag.name), (flag.yes, flag.no, flag.missing), percent_of(flag.yes, flag.yes + flag.no))
            for flag in table.flags
        ]
        legend = [("yes", YES), ("no", NO)]
        if any(flag.missing for flag in table.flags):
            legend.append(("unknown", UNKNOWN))
        bars = stacked_bars(rows, (YES, NO, UNKNOWN), "Patches by flag", "patches")
        blocks.append(Charts([bars], legend=legend))
    charts = [_text_chart(text, patches) for text in table.texts if 1 < text.values < patches]
    if charts:
        blocks.append(Charts(charts))
    alone = [f"{text.name} is {text.frequent[0][0]} in all patches" for text in table.texts if text.values == 1]
    if alone:
        blocks.append(Text("; ".join(alone) + "."))
    return Section("Patches by kind", blocks)


def _text_chart(text: TextColumn, patches: int) -> str:
    rows = [(shortened(value), (count,), percent_of(count, patches)) for value, count in text.frequent[:VALUES]]
    hidden = text.values - len(rows)
    title = f"Patches by {text.name}" + (f", the {len(rows)} most frequent of {text.values:,}" if hidden else "")
    return stacked_bars(rows, (YES,), title, "patches")


def _groups(groups: GroupSizes) -> Section:
    """Sizes of all groups and of those of more than one patch, and the largest by name."""
    words = group_words(groups)
    charts = [_sizes(groups, 1, f"Sizes of {counted(groups.groups, 'group')}")]
    several = groups.groups - groups.single
    if several and groups.single:
        charts.append(_sizes(groups, 2, f"Sizes of the {counted(several, 'group')} of more than one patch"))
    rows = [(shortened(name), (count,), f"{count:,}") for name, count in groups.largest]
    if groups.groups > 1 and groups.largest[0][1] > 1:
        named = "Patches of each group" if len(rows) == groups.groups else f"The {len(rows)} largest groups"
        charts.append(stacked_bars(rows, (YES,), named, "patches"))
    text = f"{words[:1].upper()}{words[1:]}. Patches of one group should stay together in a split."
    return Section("Groups", [Text(text), Charts([chart for chart in charts if chart])])


def _sizes(groups: GroupSizes, least: int, title: str) -> str:
    import numpy as np

    kept = {size: number for size, number in groups.sizes.items() if size >= least}
    if len(kept) < 2:
        return ""
    shown = histogram(np.repeat(list(kept), list(kept.values())).astype(float))
    return histogram_chart(shown.counts, shown.low, shown.high, title, "patches of a group", "groups")


def _correlations(table: PatchTable) -> Section:
    assert table.correlations is not None
    names = table.correlations.names
    width = 520.0 if len(names) < WIDE else 1000.0  # letters are as large as in the other charts
    chart = correlation_matrix([_title(name) for name in names], table.correlations.matrix, "Pearson's r", width)
    caption = (
        "Read a column downwards from its name, a row leftwards. Warm: one grows with the other; cold: against it."
    )
    return Section("What goes with what", [Charts([chart], caption, wide=len(names) >= WIDE)])


def _suspects(found: Sequence[Suspects]) -> Section:
    rows: list[list[str | Drawing]] = []
    for each in found:
        named = list(zip(each.patches, each.samples, each.shares, strict=True))[:SHOWN]
        words = ", ".join(f"{patch} of {sample} ({share:.0%})" for patch, sample, share in named)
        more = f" and {len(each.patches) - SHOWN:,} more" if len(each.patches) > SHOWN else ""
        out = f". Left out by --where '{each.where}'" if each.where else ""
        rows.append([each.why, f"{len(each.patches):,}", words + more + out])
    columns = ("", "patches", "the worst of them, by number, scene and share")
    caption = "Nothing is wrong with these by itself: look at them before a network does. --json lists all."
    return Section("Patches worth a look", [Table(columns, rows, frozenset({1}), caption=caption)])


def shortened(name: str, letters: int = 34) -> str:
    """A name whose middle is left out where it is longer: names of one kind often differ at their end."""
    end = letters // 2
    return name if len(name) <= letters else f"{name[: letters - end - 1].rstrip()}…{name[-end:].lstrip()}"


def _title(name: str) -> str:
    return shortened(TITLES.get(name, name.replace("_", " ")), 30)
