"""What is looked at before the first epoch: hours later is too late to learn that fold 3 has no patches."""

from dataclasses import dataclass

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.experiments.searching.sampling import point
from darts_train.experiments.settings import Settings
from darts_train.experiments.space.search_space import SearchSpace
from darts_train.options.learning import Data, Device

PROBED_POINTS = 8  # of a search; each builds a network without memory, a second at most
_log = logger("experiments")


@dataclass(frozen=True)
class TrainDataFacts:
    """What a search needs to know of its train data."""

    data_hash: str
    classes: tuple[str, ...]


def open_train_data(data: Data) -> TrainDataFacts:
    """Look into the train data directory. Raises UserError where it is none, or lacks a band that is asked for."""
    from darts_train.dataset.reader import TrainData

    train_data = TrainData.open(data.train_data_dir, data.bands)
    return TrainDataFacts(train_data.data_hash, tuple(train_data.config.classes))


def check_settings(settings: Settings, folds: int, device: Device) -> None:
    """Check data, network, device, and the split of every fold that will be run. Raises UserError.

    What leaks from training into validation or test of the first fold is told; the others are alike.
    """
    for fold in range(folds):
        _check_fold(settings, fold, device)
    _warn_of_leakage(settings)


def check_space(settings: Settings, space: SearchSpace, folds: int, device: Device) -> None:
    """Check a search: every name of a network or a loss it may try, its first points, and all folds of one that works.

    Some pairs of architecture and encoder do not go together. A trial of such a pair fails and the search goes on, so
    they are only told of; but where none of the first points works, the first one's UserError is raised.
    """
    _check_names(settings, space)
    errors: list[UserError] = []
    working = None
    probed = min(PROBED_POINTS, space.size or PROBED_POINTS)
    for values in (point(space, number) for number in range(probed)):
        try:
            _check_fold(settings.replace(values), 0, device)
            working = working or values
        except UserError as error:
            errors.append(error)
    if working is None:
        raise errors[0]
    check_settings(settings.replace(working), folds, device)
    for problem in dict.fromkeys(map(str, errors)):
        _log.warning("trials of this kind will fail, and the search go on: %s", problem)


def _check_fold(settings: Settings, fold: int, device: Device) -> None:
    from darts_train.experiments.run import validate_run_settings

    validate_run_settings(settings.data, settings.split, settings.hyperparameters, device, fold)


def _warn_of_leakage(settings: Settings) -> None:
    from darts_train.dataset.reader import TrainData
    from darts_train.dataset.splitting.leakage import warn_split_leakage
    from darts_train.dataset.splitting.splits import make_split

    opened, split = TrainData.open(settings.data.train_data_dir), settings.split
    size = opened.config.patch_size
    warn_split_leakage(opened.metadata, make_split(opened.metadata, split, 0, size), split, size)


def _check_names(settings: Settings, space: SearchSpace) -> None:
    from darts_train.models.factory import check_names
    from darts_train.training.augmentation.text import parse_steps
    from darts_train.training.deriving import open_sources
    from darts_train.training.losses.terms import parse_terms

    choices, own = space.choices(), settings.hyperparameters
    for arch in choices.get("model_arch", (own.model_arch,)):
        for encoder in choices.get("model_encoder", (own.model_encoder,)):
            check_names(arch, encoder)
    for loss in choices.get("loss", ()):
        parse_terms(loss)
    for derived in () if "bands" in choices else choices.get("derive_bands", ()):
        open_sources(settings.replace({"derive_bands": derived}).data)
    for steps in (*choices.get("augment", ()), *choices.get("augmentations", ())):
        if isinstance(steps, tuple):
            parse_steps(steps)
