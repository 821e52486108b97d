"""A checkpoint of a run as a model file: the command convert-lightning-checkpoint."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

from darts_train import __version__
from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path, require_writable
from darts_train.export.comparison import fixed_shapes, reference, sample_image, small_size
from darts_train.models.locate import locate_model
from darts_train.models.model_config import plain_config
from darts_train.models.model_file import (
    LoadedModel,
    load_lightning_checkpoint,
    load_model_file,
    save_model_file,
)
from darts_train.options.model_files import Convert


@dataclass(frozen=True)
class ConvertResult:
    """The model file that was written, and the checkpoint that it was made of."""

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
    """Write `{checkpoint_name}_{YYYY-MM-DD}.ckpt` of a checkpoint, of a run (its best), or of a cross-validation.

    The file holds `config` and `statedict`, loads with `weights_only=True`, and replaces one of the same name. Before
    it gets its name it is read back, and its network compared with the checkpoint's, bit for bit.

    Raises:
        UserError: the checkpoint cannot be read, the name is no file name, or the directory cannot be written.
        RuntimeError: the file read back is another network. Nothing is written.
    """
    name = convert.checkpoint_name
    if not name or name.startswith(".") or Path(name).name != name or "\0" in name:
        raise UserError(f"--checkpoint-name: {name!r} is not the name of a file; leave out directories.")
    require_writable(convert.out_directory, "--out-directory")
    source = locate_model(convert.lightning_checkpoint, "--lightning-checkpoint")
    _, state_dict = load_lightning_checkpoint(source)
    original = load_model_file(source)
    today = date.today().isoformat()
    path = convert.out_directory / f"{name}_{today}.ckpt"
    with atomic_path(path) as temporary:
        save_model_file(temporary, model_config(original, name, today), state_dict)
        _compare(original, load_model_file(temporary))
    return ConvertResult(path, source, original.spec.names, original.classes, path.stat().st_size / 1e6)


def model_config(model: LoadedModel, name: str, day: str) -> dict[str, Any]:
    """The config of the model file: that of the checkpoint in today's words, without where its weights began."""
    config = plain_config(model.config)
    config["model"].pop("encoder_weights", None)
    return {**config, "time": day, "name": name, "darts_train_version": __version__}


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
