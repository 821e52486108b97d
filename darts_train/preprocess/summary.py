"""What preprocessing did, or would do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from darts_train.base.errors import listing


@dataclass(frozen=True)
class PreprocessSummary:
    """Result of a preprocessing command.

    Attributes:
        train_data_dir: the set.
        scenes: scenes in it; of a dry run, those that would be cut.
        patches: patches in it; of a dry run, at most.
        empty: patches without a foreground pixel; None of a dry run.
        bytes: size of the patches on the disk; of a dry run, before compression.
        left_out: (scene, reason) of those that could not be used.
        dropped: patches by the reason for which this run dropped them.
        clipped: values per band, met by this run, that the encoding could not say and that were set to its nearest.
        data_hash: hash of the set; None of a dry run.
        dry_run: nothing was written.
    """

    train_data_dir: Path
    scenes: int
    patches: int
    bytes: int
    empty: int | None = None
    left_out: tuple[tuple[str, str], ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    clipped: Mapping[str, int] = field(default_factory=dict)
    data_hash: str | None = None
    dry_run: bool = False

    def summary(self) -> str:
        """A few plain lines for the terminal."""
        size = f"{self.bytes / 1e6:.1f} MB"
        if self.dry_run:
            lines = [
                f"{self.train_data_dir}: would hold at most {self.patches} patches of {self.scenes} scenes, {size}"
            ]
        else:
            lines = [
                f"{self.train_data_dir}: {self.patches} patches ({self.empty} without a foreground pixel)"
                f" of {self.scenes} scenes, {size}"
            ]
        lines += [f"dropped {count}: {reason}" for reason, count in self.dropped.items() if count]
        for band, count in self.clipped.items():
            if count:
                lines.append(f"clipped {count} values of band {band}: beyond what its encoding can say")
        if self.left_out:
            reasons = [f"{scene} ({reason})" for scene, reason in self.left_out]
            lines.append(f"left out {len(reasons)}: {listing(reasons, 3)}")
        return "\n".join(lines)
