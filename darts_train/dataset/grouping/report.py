"""What came out of grouping: for the terminal, and as JSON."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from darts_train.base.errors import listing

SHOWN = 8  # groups in the summary
SIZES = ((1, 1), (2, 2), (3, 5), (6, 10), (11, 100), (101, 1000), (1001, None))
CLEAR = 0.3  # radians: a narrower gap is no hint
LEVELS = (0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99)


@dataclass(frozen=True)
class Group:
    """One group.

    Attributes:
        name: `site-` and its alphabetically first member.
        members: samples, or `sample#patch`, alphabetical.
        patches: their number.
        pixels: labelled pixels of each class, by part of the split (`""` where there is no split column).
    """

    name: str
    members: tuple[str, ...]
    patches: int
    pixels: Mapping[str, Mapping[str, int]]

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of the split that it has patches in, alphabetical; those without a value are none."""
        return tuple(sorted(part for part in self.pixels if part))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "size": len(self.members),
            "patches": self.patches,
            "members": list(self.members),
            "pixels": {part: dict(counts) for part, counts in self.pixels.items()},
        }


@dataclass(frozen=True)
class Likeness:
    """What the search for alike units saw.

    Attributes:
        embedding: `descriptor`, or the encoder.
        similarity: least cosine of a pair.
        nearest: cosine of each known unit with the most alike other one, ascending.
        unknown: units without a direction (flat, or hardly a valid pixel), which are like no other.
        chance: the cosine that fewer than one pair of unrelated units would reach; None where it is unknown.
        gap: above it, the widest range of cosines in which no unit has its nearest one; None where none is above.
    """

    embedding: str
    similarity: float
    nearest: tuple[float, ...]
    unknown: int
    chance: float | None
    gap: tuple[float, float] | None = None

    def share_above(self, level: float) -> float:
        """Share of known units with another one at least so alike; 0 where there is none."""
        return sum(value >= level for value in self.nearest) / max(len(self.nearest), 1)

    def to_json(self) -> dict[str, Any]:
        """Plain values, with quantiles in place of all cosines."""
        percents = (0, 5, 25, 50, 75, 95, 100)
        known = [round(float(q), 4) for q in np.percentile(self.nearest, percents)] if self.nearest else []
        return {
            "embedding": self.embedding,
            "similarity": self.similarity,
            "unknown": self.unknown,
            "chance": None if self.chance is None else round(self.chance, 4),
            "gap": None if self.gap is None else [round(end, 4) for end in self.gap],
            "nearest_quantiles": {f"{p}%": q for p, q in zip(percents, known, strict=False)},
            "share_with_one_above": {f"{level:g}": round(self.share_above(level), 4) for level in LEVELS},
        }

    def lines(self) -> list[str]:
        """For the terminal."""
        shares = "  ".join(f"{level:g}: {self.share_above(level):.0%}" for level in LEVELS)
        said = [f"share with another one at least so alike ({self.embedding}):  {shares}"]
        if self.chance is not None:
            below = " (this is below it: look at --sheet)" if self.similarity < self.chance else ""
            said.append(f"unrelated ones reach {self.chance:.2f} by chance; --similarity is {self.similarity:g}{below}")
        if self.gap is not None and self._is_clear(*self.gap):
            low, high = self.gap
            said.append(f"none has its nearest between {low:.2f} and {high:.2f}: any --similarity there finds the same")
        if self.unknown:
            said.append(f"{self.unknown} are flat or without data in these bands: similarity says nothing of them")
        return said

    def _is_clear(self, low: float, high: float) -> bool:
        """Whether a gap is a hint: wide, and not all below the similarity that was asked."""
        return math.acos(low) - math.acos(high) >= CLEAR and high >= self.similarity


@dataclass(frozen=True)
class GroupReport:
    """Groups of a set.

    Attributes:
        unit: sample or patch.
        units: their number.
        cues: pairs that each cue found; of columns, the units that share their values with another.
        groups: all of them, the largest first, then by name.
        classes: names of the classes.
        max_group: the largest that is welcome.
        likeness: None where similarity was not asked.
        tightened: the highest similarity that large groups were held to, and the pairs that came apart; or None.
        split_column: the column that groups were compared with, or None.
        written: whether the set has them now.
        files: the sheet and the report, where they were written.
    """

    unit: str
    units: int
    cues: Mapping[str, int]
    groups: Sequence[Group]
    classes: Sequence[str]
    max_group: int
    likeness: Likeness | None = None
    tightened: tuple[float, int] | None = None
    split_column: str | None = None
    written: bool = False
    files: Sequence[Path] = field(default_factory=tuple)

    @property
    def oversized(self) -> list[Group]:
        """Groups of more units than is welcome."""
        return [group for group in self.groups if len(group.members) > self.max_group]

    @property
    def straddling(self) -> list[Group]:
        """Groups with patches in several parts of the split."""
        return [group for group in self.groups if len(group.parts) > 1]

    @property
    def histogram(self) -> dict[str, int]:
        """Number of groups by size."""
        sizes = Counter(len(group.members) for group in self.groups)
        return {_size(low, high): n for low, high in SIZES if (n := _between(sizes, low, high))}

    def to_dict(self) -> dict[str, Any]:
        """Plain values; of groups, those of two or more, and those that straddle."""
        told = [group for group in self.groups if len(group.members) > 1 or len(group.parts) > 1]
        return {
            "unit": self.unit,
            "units": self.units,
            "groups": len(self.groups),
            "cues": dict(self.cues),
            "sizes": self.histogram,
            "max_group": self.max_group,
            "oversized": [group.name for group in self.oversized],
            "tightened": None
            if self.tightened is None
            else {"similarity": round(self.tightened[0], 4), "parted_pairs": self.tightened[1]},
            "likeness": None if self.likeness is None else self.likeness.to_json(),
            "split_column": self.split_column,
            "straddling": [group.name for group in self.straddling],
            "written": self.written,
            "larger_groups": [group.to_json() for group in told],
        }

    def summary(self) -> str:
        """Lines for the terminal."""
        cues = ", ".join(f"{count} {_CUE_WORDS[cue]}" for cue, count in self.cues.items())
        what = _plural(self.units, self.unit)
        lines = [f"{what} in {_plural(len(self.groups), 'group')}: {cues}"]
        lines.append("groups by size:  " + "  ".join(f"{size}: {count}" for size, count in self.histogram.items()))
        lines += self.likeness.lines() if self.likeness else []
        lines += self._large_lines()
        lines += [f"  {len(g.members):5d}  {g.name}  ({listing(g.members, 4)})" for g in self._shown]
        lines += self._split_lines()
        end = "column group is written" if self.written else "nothing was written to the set (--dry-run)"
        return "\n".join([*lines, end + "".join(f"; {path}" for path in self.files)])

    @property
    def _shown(self) -> list[Group]:
        return [group for group in self.groups[:SHOWN] if len(group.members) > 1]

    def _large_lines(self) -> list[str]:
        lines = []
        if self.tightened is not None:
            similarity, parted = self.tightened
            lines.append(
                f"larger groups were held to a similarity of up to {similarity:.4g}: "
                f"{parted} pairs above the first one are now in different groups and may leak"
            )
        if self.oversized:
            names = listing([f"{group.name} ({len(group.members)})" for group in self.oversized], 3)
            lines.append(
                f"{_plural(len(self.oversized), 'group')} of more than {self.max_group} kept whole: {names}; look at "
                "--sheet, raise --similarity, or choose other --bands"
            )
        return lines

    def _split_lines(self) -> list[str]:
        if self.split_column is None:
            return []
        if not self.straddling:
            return [f"no group has patches in two parts of column {self.split_column}"]
        lines = [f"{_plural(len(self.straddling), 'group')} with patches in several parts ({self.split_column}):"]
        for group in self.straddling[:SHOWN]:
            parts = "; ".join(f"{part} {_pixels(group.pixels[part], self.classes)}" for part in group.parts)
            lines.append(f"  {group.name}: {parts}")
        return lines


_CUE_WORDS = {
    "footprint": "pairs share ground",
    "similarity": "pairs look alike",
    "columns": "have the values of another one",
}


def _plural(count: int, word: str) -> str:
    plural = word + ("es" if word.endswith("ch") else "s")
    return f"{count} {word if count == 1 else plural}"


def _pixels(counts: Mapping[str, int], classes: Sequence[str]) -> str:
    return ", ".join(f"{counts.get(name, 0)} px {name}" for name in classes[1:])


def _size(low: int, high: int | None) -> str:
    return f"{low}+" if high is None else f"{low}" if low == high else f"{low}-{high}"


def _between(sizes: Mapping[int, int], low: int, high: int | None) -> int:
    return sum(count for size, count in sizes.items() if size >= low and (high is None or size <= high))
