"""What reports say of single runs: tests, pictures, environment."""

from collections.abc import Sequence
from dataclasses import MISSING
from pathlib import Path

from darts_train.reporting.commands import GROUPS
from darts_train.reporting.content import Block, Picture, Pictures, Section, Table, Text
from darts_train.reporting.evidence import RunEvidence
from darts_train.reporting.words import figure, setting

PICTURES, LARGEST = 6, 1_500_000  # samples of a page; bytes of one
REGIONS = 30
TEST_SCORES = ("JaccardIndex", "F1Score", "Precision", "Recall", "Accuracy")
VERSIONS = ("darts-train", "torch", "lightning", "segmentation-models-pytorch", "timm", "numpy")


def tested_blocks(run: RunEvidence) -> list[Block]:
    """The test of a run: metrics, and every region. Empty where it was not tested."""
    metrics = run.test.get("metrics")
    if not isinstance(metrics, dict):
        return []
    rows = [[name.removeprefix("test/"), figure(_number(value))] for name, value in metrics.items()]
    regions = run.test.get("per_region")
    blocks: list[Block] = []
    if isinstance(regions, dict) and regions:
        blocks.append(_region_table(regions))
    blocks.append(Table(("metric on the test part", "value"), rows, frozenset({1})))
    found = run.test.get("interval")
    if isinstance(found, dict):
        low, high = figure(_number(found.get("low"))), figure(_number(found.get("high")))
        blocks.append(Text(f"IoU over {found.get('scenes')} scenes: bootstrap interval {low} to {high}."))
    return blocks


def _region_table(regions: dict[str, dict[str, object]]) -> Table:
    """Regions from the hardest to the easiest; those without positives, whose IoU is unknown, last."""
    known = sorted(regions.items(), key=lambda item: (_number(item[1].get("JaccardIndex")) is None,
                                                      _number(item[1].get("JaccardIndex")) or 0.0))  # fmt: skip
    rows = [
        [name, f"{int(_number(each.get('patches')) or 0):,}", f"{int(_number(each.get('positive_pixels')) or 0):,}",
         *(figure(_number(each.get(score))) for score in TEST_SCORES)]
        for name, each in known[:REGIONS]
    ]  # fmt: skip
    columns = ("region", "patches", "positive pixels", "IoU", "F1", "precision", "recall", "accuracy")
    more = f" {len(known) - REGIONS} easier regions are left out." if len(known) > REGIONS else ""
    caption = f"Regions of the test part, the hardest first.{more}"
    return Table(columns, rows, frozenset(range(1, 8)), caption=caption)


def pictures_section(runs: Sequence[RunEvidence], title: str = "Sample pictures") -> Section | None:
    """Pictures of predictions of the first run that has some; None where none has."""
    for run in runs:
        samples = _samples(run.directory / "figures")
        if samples:
            part = "the test part" if samples[0].parent.name == "test-samples" else "the validation"
            caption = f"Patches of {part} of {run.record.run_name}, as its figures show them."
            return Section(title, [Pictures([_picture(path) for path in samples], caption=caption, large=True)])
    return None


def _samples(figures: Path) -> list[Path]:
    """Samples of the test before those of the last validation; small files, by name."""
    for folder in ("test-samples", "val*-samples"):
        found = sorted(figures.glob(f"{folder}/sample_*.png"))
        last = max((_step(path) for path in found), default="")
        found = [path for path in found if _step(path) == last or folder == "test-samples"]
        found = [path for path in found if path.stat().st_size <= LARGEST]
        if found:
            return found[:PICTURES]
    return []


def _step(path: Path) -> str:
    """`000120` of `sample_120_3.png`, so that steps compare as numbers."""
    parts = path.stem.split("_")
    return parts[1].zfill(12) if len(parts) == 3 else ""


def _picture(path: Path) -> Picture:
    _, *numbers = path.stem.split("_")
    title = f"Patch {numbers[-1]}" + (f", step {numbers[0]}" if len(numbers) == 2 else "")
    return Picture(title, path.read_bytes(), f"prediction beside the labels: {title}")


def environment_section(run: RunEvidence, title: str = "Data and environment") -> Section:
    """What a run was made of: data, split, machine, versions."""
    record = run.record
    data = record.settings.get("data") or {}
    rows = [
        ["train data", str(data.get("train_data_dir", "–"))],
        ["data hash", record.data_hash],
        ["split hash", record.split_hash or "–"],
        ["started", record.started],
        ["ended", record.ended or "–"],
        *([name, value] for name, value in record.host.items()),
        *([name, record.versions[name]] for name in VERSIONS if name in record.versions),
    ]
    return Section(title, [Table(("", ""), rows)])


def settings_section(run: RunEvidence) -> Section:
    """The settings of a run that are not at their defaults as a table, the others in a paragraph."""
    changed: list[list[str]] = []
    kept: list[str] = []
    for group, kind in GROUPS.items():
        for name, value in (run.record.settings.get(group) or {}).items():
            field = kind.__dataclass_fields__.get(name)  # type: ignore[attr-defined]
            default = None if field is None or field.default is MISSING else field.default
            given = tuple(value) if isinstance(value, list) else value
            if given == default:
                kept.append(f"{name} {setting(value)}")
            else:
                changed.append([name, setting(value), setting(default)])
    blocks: list[Block] = [Table(("setting", "value", "default"), changed)] if changed else []
    blocks += [Text(f"At their defaults: {'; '.join(kept)}.")] if kept else []
    return Section("Settings", blocks)


def _number(value: object) -> float | None:
    """A number of a JSON file; None for what is not one."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
