"""A model in another program's format: the command export-model."""

import json
from dataclasses import dataclass
from pathlib import Path

from darts_train.base.disk_room import told_when_full
from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path, require_writable, write_json
from darts_train.base.log import logger
from darts_train.export.description import describe
from darts_train.export.formats import writer_of
from darts_train.export.formats.protocol import Written
from darts_train.export.sidecars import sidecar_of
from darts_train.models.factory import check_patch_size
from darts_train.models.locate import locate_model
from darts_train.models.model_file import LoadedModel, load_model_file
from darts_train.options.exporting import Export
from darts_train.options.sidecars import Sidecars

_log = logger("export")


@dataclass(frozen=True)
class ExportResult:
    """What was written. `max_difference` is that of logits from torch's, relative to the largest where above 1.

    `metadata` is a file beside it, where the format cannot hold them itself. `notes` say what else is to be known.
    """

    path: Path
    model: Path
    max_difference: float
    free_sizes: bool
    megabytes: float
    metadata: Path | None = None
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """A few lines for the terminal."""
        sizes = "any batch, height and width" if self.free_sizes else "any batch, patches of one size"
        beside = [] if self.metadata is None else [f"metadata: {self.metadata}"]
        return "\n".join(
            [
                f"{self.path} ({self.megabytes:.1f} MB, {sizes})",
                f"largest difference from torch: {self.max_difference:.2g}",
                *self.notes,
                *beside,
            ]
        )


def export_model(export: Export, sidecars: Sidecars | None = None) -> ExportResult:
    """Write a model in the format that is asked for, after comparing what was made with the original.

    The model may be a model file, a run, or a cross-validation (its best run). `sidecars` names a program for which
    the ONNX file is made, and written a file that it wants beside it.

    Raises:
        UserError: before any work where the file is there already, the model cannot be read, or the settings do not
            go together; before anything is written where this network cannot be exported like this.
        ExportError: the exported network says something else than the original. Nothing is written.
    """
    _check_place(export)
    writer = writer_of(export.format)
    source = locate_model(export.model)
    if export.out.exists() and export.out.samefile(source):
        raise UserError(f"--out: {export.out} is the model itself; name another file.")
    model = load_model_file(source)
    check_patch_size(model.arch, model.encoder, model.side, f"{source}: patch_size", model.options)
    if export.out.suffix.lower() != writer.suffix:
        _log.warning("--out: other commands know a file of this format by its ending, %s.", writer.suffix)
    sidecar = sidecar_of(model, export, sidecars)
    written = sidecar.dress(writer(sidecar.model, sidecar.settings))
    beside = _save(export.out, model, written)
    notes = (*written.notes, *sidecar.write())
    _log.debug("%s exported to %s", source, export.out)
    size = export.out.stat().st_size / 1e6
    return ExportResult(export.out, source, written.max_difference, written.free_sizes, size, beside, notes)


def _check_place(export: Export) -> None:
    """Raise UserError, before any work, where the files cannot be written or are there already."""
    if export.out.is_dir():
        raise UserError(f"--out: {export.out} is a directory; name the file.")
    if export.calibration_data is not None and export.format != "onnx-int8":
        _log.warning("--calibration-data has no effect with --format %s.", export.format)
    places = [export.out] if export.format.startswith("onnx") else [export.out, metadata_path(export.out)]
    for place in places:
        if place.exists() and not export.overwrite:
            raise UserError(f"--out: {place} is there already; give --overwrite to replace it.")
    require_writable(export.out.parent, "--out")


def metadata_path(out: Path) -> Path:
    """Where the metadata of a file are that cannot hold them: `model.plan` → `model.plan.json`."""
    return out.with_name(f"{out.name}.json")


def _save(out: Path, model: LoadedModel, written: Written) -> Path | None:
    """Write the file whole or not at all, and its metadata beside it where it does not hold them."""
    beside = None if written.described else metadata_path(out)
    with told_when_full(out), atomic_path(out) as temporary:
        temporary.write_bytes(written.data)
        if beside is not None:
            facts = {**describe(model, written.max_difference, written.free_sizes), **written.facts}
            write_json(beside, json.loads(json.dumps(facts)))
    return beside
