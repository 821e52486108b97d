"""A checkpoint of a run as a model file: the command convert-lightning-checkpoint."""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

from darts_train import __version__
from darts_train.base.errors import UserError
from darts_train.base.files import require_writable
from darts_train.export.description import weights_hash
from darts_train.export.graphs.comparison import fixed_shapes, reference, sample_image, small_size
from darts_train.export.model_files.forms import target, write_form
from darts_train.export.model_files.lineage import lineage_of, provenance
from darts_train.models.legacy import norm_factors
from darts_train.models.locate import locate_model
from darts_train.models.model_config import plain_config
from darts_train.models.model_file import LoadedModel, load_model_file, model_of, read_parts
from darts_train.models.safetensors_file import FILE_HASH
from darts_train.options.model_files import Convert

LONGEST_NAME = 200  # bytes: disks take 255, of which the date, a suffix and the name of the file in work have some


@dataclass(frozen=True)
class ConvertResult:
    """The model file (or folder) that was written, and the checkpoint that it was made of."""

    path: Path
    checkpoint: Path
    bands: tuple[str, ...]
    classes: tuple[str, ...]
    megabytes: float

    def summary(self) -> str:
        """A few lines for the terminal."""
        return (
            f"{self.path} ({self.megabytes:.1f} MB), the same network as {self.checkpoint}\n"
            f"bands: {', '.join(self.bands)}\nclasses: {', '.join(self.classes)}"
        )


def convert_lightning_checkpoint(convert: Convert) -> ConvertResult:
    """Write a model file of a checkpoint, of a run (its best), of a cross-validation, or of a model file.

    `{checkpoint_name}_{YYYY-MM-DD}.ckpt` holds `config` and `statedict` and loads with `weights_only=True`; the same
    name with `.safetensors` has its config in a JSON file beside it; without a suffix it is a folder as Hugging Face
    has them, with a model card. Before it gets its name it is read back, and its network compared with the
    checkpoint's, bit for bit.

    Raises:
        UserError: the checkpoint cannot be read, the name is no file name, the directory cannot be written, or the
            file is there already.
        RuntimeError: the file read back is another network. Nothing is written.
    """
    name = convert.checkpoint_name
    if not name or name.startswith(".") or Path(name).name != name or min(name) < " ":
        raise UserError(f"--checkpoint-name: {name!r} is not the name of a file; leave out directories.")
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise UserError(f"--checkpoint-name: {name[:40]}… is longer than {LONGEST_NAME} bytes; shorten it.")
    require_writable(convert.out_directory, "--out-directory")
    today = date.today().isoformat()
    path = target(convert, today)
    source = locate_model(convert.lightning_checkpoint, "--lightning-checkpoint")
    config, weights = read_parts(source)
    original = model_of(source, config, weights)
    lineage = lineage_of(source)
    said = config.get("provenance")  # of a model file: where it came from itself
    origin = provenance(source, lineage, weights_hash(original.network.state_dict()))
    origin |= said if isinstance(said, dict) else {}
    written = {**model_config(original, name, today), "provenance": origin}
    megabytes = write_form(convert, path, written, weights, lineage, lambda place: _check(original, place))
    return ConvertResult(path, source, original.spec.names, original.classes, megabytes)


def model_config(model: LoadedModel, name: str, day: str) -> dict[str, Any]:
    """The config of the model file: that of the checkpoint in today's words, without where its weights began."""
    config = plain_config(model.config)
    config["model"].pop("encoder_weights", None)
    config.pop(FILE_HASH, None)
    factors = norm_factors(model.spec)
    if factors is not None:
        config["norm_factors"] = factors
    return {**config, "time": day, "name": name, "darts_train_version": __version__}


def _check(original: LoadedModel, place: Path) -> None:
    _compare(original, load_model_file(place))


def _compare(original: LoadedModel, written: LoadedModel) -> None:
    """Raise RuntimeError where two models differ in a weight or, on one and the same image, in a logit."""
    ours, theirs = original.network.state_dict(), written.network.state_dict()
    same = ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    size = small_size(original)
    image = sample_image(original, (1, size, size) if size < original.side else fixed_shapes(original)[0])
    if not same or not (reference(original.network, image) == reference(written.network, image)).all():
        raise RuntimeError("the file that was written holds another network than the checkpoint; it was removed")
    if any(getattr(original, fact) != getattr(written, fact) for fact in ("spec", "classes", "threshold", "fit")):
        raise RuntimeError("the file that was written describes its network otherwise than the checkpoint")
