"""From a place to its model: a file as it is, a run's best checkpoint, a cross-validation's best run."""

from pathlib import Path

from darts_train.artifacts.kept import require_kept
from darts_train.artifacts.run_infos import RUN_INFOS_FILE, read_run_infos
from darts_train.artifacts.tree import run_directory
from darts_train.base.errors import UserError, listing

MONITOR = "val/JaccardIndex"  # what chose best.ckpt within a run chooses among runs as well
BEST_CHECKPOINT = Path("checkpoints") / "best.ckpt"
FOLDER_WEIGHTS, FOLDER_CONFIG = "model.safetensors", "config.json"  # of a folder as Hugging Face has them
MODEL_SUFFIXES = (".ckpt", ".onnx", ".safetensors")


def locate_model(place: Path, option: str = "--model") -> Path:
    """The model file that `place` means.

    A file is itself. A folder as Hugging Face has them means its `model.safetensors`, whatever else lies there. A run
    directory means its `checkpoints/best.ckpt`; a cross-validation directory means the best
    checkpoint of the finished, stable run with the greatest val/JaccardIndex (the first of equal ones); any other
    directory means the one model file in it. Raises UserError where there is none, more than one,
    or one that a search did not keep.
    """
    if not place.exists():
        raise UserError(f"{option}: {place} does not exist.")
    if not place.is_dir():
        return place
    if (place / FOLDER_WEIGHTS).is_file() and (place / FOLDER_CONFIG).is_file():
        return place / FOLDER_WEIGHTS
    if (place / BEST_CHECKPOINT).is_file():
        return place / BEST_CHECKPOINT
    require_kept(place, option)
    if (place / RUN_INFOS_FILE).is_file():
        return _best_of_cross_validation(place, option)
    files = sorted(path for path in place.iterdir() if path.suffix in MODEL_SUFFIXES and not path.name.startswith("."))
    if len(files) == 1:
        return files[0]
    if files:
        raise UserError(f"{option}: {place} holds several models ({listing(path.name for path in files)}); name one.")
    raise UserError(
        f"{option}: {place} has no {BEST_CHECKPOINT}, no {RUN_INFOS_FILE} and no model file; has its run finished?"
    )


def _best_of_cross_validation(directory: Path, option: str) -> Path:
    infos = read_run_infos(directory)
    wanted = {"run_name", "run_id", "status", "is_unstable", MONITOR}
    if not wanted <= set(infos.columns):
        missing = listing(sorted(wanted - set(infos.columns)))
        raise UserError(f"{option}: {directory / RUN_INFOS_FILE} lacks {missing}.")
    good = infos[(infos["status"] == "finished") & ~infos["is_unstable"].astype(bool)].dropna(subset=[MONITOR])
    for row in good.sort_values(MONITOR, ascending=False, kind="stable").to_dict("records"):
        checkpoint = run_directory(directory, row["run_name"], row["run_id"]) / BEST_CHECKPOINT
        if checkpoint.is_file():
            return checkpoint
        require_kept(checkpoint.parents[1], option)
        raise UserError(f"{option}: {checkpoint} of the best run is gone; name the model file of another run.")
    raise UserError(f"{option}: none of the {len(infos)} runs in {directory} is finished and stable.")
