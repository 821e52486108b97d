"""Exports made for one program: an ONNX file as it takes it, and the file that it wants beside it."""

from darts_train.base.errors import UserError
from darts_train.export.sidecars.protocol import Bare, Sidecar
from darts_train.models.model_file import LoadedModel
from darts_train.options.exporting import Export
from darts_train.options.sidecars import Sidecars


def sidecar_of(model: LoadedModel, export: Export, options: Sidecars | None) -> Sidecar:
    """What is to be done for a program; nothing where none is named.

    Raises UserError, before any work, for options that do not go together, or with this model.
    """
    options = options or Sidecars()
    _check(export, options)
    if options.sidecar is not None:
        from darts_train.export.sidecars.habitat import HabitatMapper

        return HabitatMapper(model, export, options)
    if options.deepness:
        from darts_train.export.sidecars.deepness import Deepness

        return Deepness(model, export, options)
    return Bare(model, export)


def _check(export: Export, options: Sidecars) -> None:
    chosen = "--sidecar" if options.sidecar else "--deepness" if options.deepness else None
    if options.sidecar and options.deepness:
        raise UserError("--sidecar and --deepness make two different graphs; give one, then call again for the other.")
    wanted = {
        "--sidecar habitat-mapper": _given(options, "sidecar_name", "revision", "dependency_base_url", "species_model")
    }
    wanted["--deepness"] = _given(options, "deepness_resolution", "tiles_size")
    for needed, given in wanted.items():
        if given and chosen != needed.split()[0]:
            raise UserError(f"{given[0]} goes with {needed} alone; leave it out, or give that, too.")
    if chosen is None:
        return
    if not export.format.startswith("onnx"):
        raise UserError(f"{chosen}: the program reads ONNX, not {export.format}; leave --format out.")
    if export.out.suffix.lower() != ".onnx":
        raise UserError(f"--out: {export.out.name} must end in .onnx, or the program does not take it.")
    if export.graph_input != "normalised" or export.graph_padding or export.graph_activation:
        raise UserError(f"{chosen} decides what the graph does; leave --graph-… out.")


def _given(options: Sidecars, *names: str) -> list[str]:
    return [f"--{name.replace('_', '-')}" for name in names if getattr(options, name) is not None]
