"""What a name means: a run, a cross-validation or a search, anywhere below the artifact directory."""

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.artifacts.listing import DEEPEST, Kind
from darts_train.artifacts.run_infos import RUN_INFOS_FILE
from darts_train.artifacts.run_record import RECORD_FILE
from darts_train.artifacts.tree import CROSS_VALIDATIONS, RUNS, parse_run_directory
from darts_train.base.errors import UserError, listing, nearest
from darts_train.base.files import require_directory

CV_FILE = "cv.json"
SEARCH_FILE = "sweep.db"
_TOPS = (RUNS, CROSS_VALIDATIONS)  # what lies here was asked for by name
NESTED_FILE = "nested.json"
FoundKind = Kind | Literal["nested"]
WORDS: dict[FoundKind, str] = {
    "run": "run", "cv": "cross-validation", "tune": "search", "nested": "nested cross-validation",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """Something that was trained: its kind, its name (a run's without its id), its directory."""

    kind: FoundKind
    name: str
    directory: Path

    @property
    def words(self) -> str:
        """`search x`."""
        return f"{WORDS[self.kind]} {self.name}"


def find(artifact_dir: Path, name: str, option: str = "--name") -> Found:
    """What is called `name`: a name, a run's name with its id, or a directory (as it is, or below `artifact_dir`).

    Of runs of one name, the one whose record changed last. Raises UserError, with the nearest names, where there is
    nothing of that name, where a directory holds none of them, and where several things are called so.
    """
    for place in (Path(name), artifact_dir / name):
        if place.is_dir() and (found := recognise(place.resolve())):
            return found
    require_directory(artifact_dir, "--artifact-dir")
    known = list(walk(artifact_dir))
    named = [found for found in known if name in (found.name, found.directory.name)]
    if {found.kind for found in named} == {"run"}:
        return max(named, key=lambda found: (found.directory / RECORD_FILE).stat().st_mtime)
    if len(named) == 1:
        return named[0]
    if named:
        places = listing(sorted(str(found.directory) for found in named))
        raise UserError(f"{option}: several are called {name}; give a directory: {places}.")
    raise UserError(f"{option}: {artifact_dir} has no run, cross-validation or search {name}{_hint(name, known)}.")


def recognise(directory: Path) -> Found | None:
    """What lies in a directory; None where it is nothing of ours."""
    if (directory / RECORD_FILE).is_file():
        parsed = parse_run_directory(directory)
        return Found("run", parsed[0] if parsed else directory.name, directory)
    if (directory / CV_FILE).is_file() or (directory / RUN_INFOS_FILE).is_file():
        return Found("cv", directory.name, directory)
    if (directory / NESTED_FILE).is_file():
        return Found("nested", directory.name, directory)
    name = _search_name(directory)
    return Found("tune", name, directory) if name else None


def walk(directory: Path, depth: int = 0) -> Iterator[Found]:
    """Everything below a directory, searches before their cross-validations before their runs."""
    try:
        children = sorted(path for path in directory.iterdir() if path.is_dir())
    except OSError:  # not ours to read, or gone since
        return
    for child in children:
        found = recognise(child) if child.name not in (RUNS, CROSS_VALIDATIONS) else None
        if found:
            yield found
        if depth < DEEPEST - 1 and (found is None or found.kind != "run"):
            yield from walk(child, depth + 1)


def _search_name(directory: Path) -> str | None:
    """The name of the search in a directory, that of an outer fold (`x/outer0`) is `x-outer0`; None without one."""
    for name in (directory.name, f"{directory.parent.name}-{directory.name}"):
        trial = next(directory.glob(f"{glob.escape(name)}-cv*/{CV_FILE}"), None)
        if trial is not None or (directory / f"{name}.parquet").is_file():
            return name
    return directory.name if (directory / SEARCH_FILE).is_file() else None


def _hint(name: str, known: list[Found]) -> str:
    names = sorted({found.name for found in known})
    tops = sorted({found.name for found in known if found.kind == "tune" or found.directory.parent.name in _TOPS})
    return nearest(name, names) or (f"; there are {listing(tops)}" if known else "; there is nothing")
