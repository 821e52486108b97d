"""`darts report`: one page about a run, a cross-validation or a search."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_train.artifacts.baselines import read_baselines
from darts_train.artifacts.lookup import Found, find
from darts_train.base.errors import UserError
from darts_train.base.files import require_writable
from darts_train.base.provenance import now, package_versions
from darts_train.options.learning import Artifacts
from darts_train.options.report import Report
from darts_train.reporting.content import Page

PAGE_FILE = "report.html"
SUFFIXES = (".html", ".htm")


@dataclass(frozen=True)
class ReportResult:
    """Where the page lies; `markdown` is None where it was not asked for."""

    what: str
    page: Path
    markdown: Path | None

    def summary(self) -> str:
        """Two or three lines."""
        return "\n".join([f"report of {self.what}", f"page: {self.page}",
                          *([f"Markdown: {self.markdown}"] if self.markdown else [])])  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"what": self.what, "page": str(self.page), "markdown": str(self.markdown) if self.markdown else None}


def report(report: Report, artifacts: Artifacts) -> ReportResult:
    """Write the report of what is called `report.name`: an HTML file that needs nothing beside it, and no network.

    Args:
        report: what it is about, and where it goes.
        artifacts: the directory below which a name is looked for.

    Returns:
        Where the files lie. What is still going on is shown as far as it is.

    Raises:
        UserError: there is nothing of that name, or several things are; the page cannot be written where it is wanted.
    """
    found = find(artifacts.artifact_dir, report.name)
    path = report.output or found.directory / PAGE_FILE
    _check_output(path)
    page = _page(found, artifacts.artifact_dir)
    # only now: templates take a while to be imported
    from darts_train.reporting.markdown import write_markdown
    from darts_train.reporting.page import write_page

    try:
        write_page(path, page)
        text = write_markdown(path.with_suffix(".md"), page) if report.markdown else None
    except OSError as error:
        raise UserError(f"--output: {error.filename or path} cannot be written: {error.strerror}.") from None
    return ReportResult(found.words, path, text)


def _check_output(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"--output: {path} must end in .html.")
    if path.is_dir():
        raise UserError(f"--output: {path} is a directory; name a file in it.")
    require_writable(path.parent, "--output")


def _page(found: Found, artifact_dir: Path) -> Page:
    baselines = read_baselines(artifact_dir)
    version = package_versions().get("darts-train", "")
    footer = [f"Made {now()} with darts-train {version} from {found.directory}."]
    if found.kind == "run":
        from darts_train.reporting.evidence import read_run
        from darts_train.reporting.run_report import run_page

        return run_page(read_run(found.directory), baselines, footer)
    if found.kind == "cv":
        from darts_train.reporting.cv_report import cv_page
        from darts_train.reporting.evidence import read_cross_validation

        return cv_page(read_cross_validation(found.directory), baselines, footer)
    if found.kind == "nested":
        from darts_train.reporting.nested_report import nested_page

        return nested_page(found.directory, footer)
    from darts_train.reporting.search_evidence import read_search
    from darts_train.reporting.search_report import search_page

    return search_page(read_search(found.directory, found.name), baselines, footer)
