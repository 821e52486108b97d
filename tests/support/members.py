"""Tiny networks as model files, each with what it sees of the same scenes: members of ensembles."""

from pathlib import Path

import numpy as np
import torch

from darts_train.artifacts.run_infos import RunRow, run_infos, write_run_infos
from darts_train.artifacts.run_record import RunRecord, write_record
from darts_train.artifacts.tree import parse_run_directory
from darts_train.base.files import write_json
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.splits import make_split
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.models.model_file import LoadedModel, load_model_file, make_model_config, save_model_file
from darts_train.options.learning import Split
from darts_train.raster.band import NODATA, Band
from tests.support.sets import BAND_NAMES

OPTIONS = (("encoder_channels", 4), ("encoder_depth", 1))
CLASSES = ("background", "positive")


def spec_of(names=BAND_NAMES[:3], kind="range", low=0.0, high=0.3, fill=0.0) -> InputSpecification:
    """Bands in the encoding of `tests.support.sets`."""
    return InputSpecification(tuple(Band(name, 1e-4, -0.1, low, high, True) for name in names), fill, kind)


def write_member(path: Path, seed: int, spec=None, classes=CLASSES, size=32, fit=None, **changes) -> Path:
    """An FCN with random weights whose logits are some units wide; `changes` go into the config."""
    torch.manual_seed(seed)
    spec = spec or spec_of()
    network = create_network("FCN", "dilated", None, len(spec.bands), len(classes), OPTIONS).eval()
    torch.nn.init.normal_(network.segmentation_head.weight, std=3.0)
    config = make_model_config("FCN", "dilated", None, spec, classes, size, 255, options=OPTIONS, fit=fit)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model_file(path, config | changes, network.state_dict())
    return path


def members(directory: Path, specs, **settings) -> list[LoadedModel]:
    """One loaded member per specification."""
    paths = [write_member(directory / f"m{i}.ckpt", i, spec, **settings) for i, spec in enumerate(specs)]
    return [load_model_file(path) for path in paths]


def codes(seed: int, bands: int = 3, size: int = 32, n: int = 2) -> np.ndarray:
    """Codes uint16 [n, bands, size, size] of values from -0.1 to 0.5, a tenth of them no data."""
    generator = np.random.default_rng(seed)
    found = generator.integers(0, 6000, (n, bands, size, size)).astype(np.uint16)
    found[generator.random(found.shape) < 0.1] = NODATA
    return found


def probabilities(model: LoadedModel, x: np.ndarray) -> np.ndarray:
    """What a model says of codes of its own bands."""
    with torch.no_grad():
        layer = InputLayer(model.spec, model.fit.marked)
        logits = model.whole(layer(torch.from_numpy(x.view(np.int16))))
    return (logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)).numpy()


def bright_member(path: Path, slope: float, bias: float, band: int = 0, **settings) -> Path:
    """A network whose logit is slope times one band, as it sees it, plus bias; discs of sets are bright in band 0."""
    write_member(path, 0, **settings)
    content = torch.load(path, weights_only=True)
    state = {
        name: torch.zeros_like(tensor) if name.endswith(("weight", "bias")) else tensor
        for name, tensor in content["statedict"].items()
    }
    state["encoder.0.0.weight"][0, band] = 1.0
    state["segmentation_head.weight"][:, 0], state["segmentation_head.bias"][:] = slope, bias
    save_model_file(path, content["config"], state)
    return path


def write_run(directory: Path, root: Path, fold: int, seed: int, member: tuple, split: Split, **changes) -> None:
    """A finished run of a set as training leaves it, but for its network: `member` are slope, bias and band."""
    data = TrainData.open(root)
    bright_member(directory / "checkpoints" / "best.ckpt", *member)
    indices = make_split(data.metadata, split, fold)
    indices.table(data.metadata).to_parquet(directory / "split.parquet")
    name, run_id = parse_run_directory(directory)
    record = RunRecord(
        run_name=name, run_id=run_id, status="finished", fingerprint="f", fold=fold, seed=seed, started="now",
        data_hash=data.data_hash, settings={"data": {"train_data_dir": str(root)}},
    )  # fmt: skip
    write_record(directory, record.model_copy(update=changes))


def write_cross_validation(directory: Path, root: Path, networks: dict, split: Split, score: float = 0.5) -> Path:
    """A finished cross-validation: `networks` by (fold, seed)."""
    rows = []
    for (fold, seed), member in networks.items():
        run = directory / f"{directory.name}-run-f{fold}s{seed}-aaaaaaaa"
        write_run(run, root, fold, seed, member, split)
        checkpoint = str(run / "checkpoints" / "best.ckpt")
        rows.append(RunRow(run.name[:-9], "aaaaaaaa", fold, seed, "finished", 1.0, checkpoint))
    write_run_infos(directory, run_infos(rows, [False] * len(rows), score, False))
    folds, seeds = (sorted({key[i] for key in networks}) for i in (0, 1))
    write_json(directory / "cv.json", {"settings": {"n_folds": len(folds), "seeds": seeds}})
    return directory
