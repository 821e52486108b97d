"""Options of the report about what was trained."""

from dataclasses import dataclass
from pathlib import Path

from darts_train.options.fields import OptionGroup, option


@dataclass(frozen=True, kw_only=True)
class Report(OptionGroup):
    """A page about a run, a cross-validation or a search."""

    name: str = option("Run, cross-validation, tune or sweep: its name, or its directory.")
    output: Path | None = option("HTML file; none: report.html in its directory.", None)
    markdown: bool = option("Write the same as Markdown beside it, with pictures.", False)
