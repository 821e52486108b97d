"""What an export for one program does besides the export: it asks the writer, dresses the graph, writes a file."""

from pathlib import Path
from typing import Protocol

from darts_train.export.formats.protocol import Written
from darts_train.models.model_file import LoadedModel
from darts_train.options.exporting import Export


class Sidecar(Protocol):
    """An export for one program. `model` and `settings` are what the writer is to be asked for."""

    model: LoadedModel
    settings: Export

    def dress(self, written: Written) -> Written:
        """The file as the program takes it. Raises ExportError where it then says something else."""
        ...

    def write(self) -> tuple[str, ...]:
        """Write what belongs beside the file, which is there by now; lines for the user."""
        ...


class Bare:
    """An export for nobody in particular."""

    def __init__(self, model: LoadedModel, settings: Export) -> None:
        self.model, self.settings = model, settings

    def dress(self, written: Written) -> Written:
        """The file as it is."""
        return written

    def write(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


def json_beside(out: Path, name: str) -> Path:
    """Where a JSON of this name lies."""
    return out.with_name(f"{name}.json")
