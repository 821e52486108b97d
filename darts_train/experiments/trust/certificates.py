"""Leakage certificates of what is about to be trained."""

import dataclasses

from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.certificate import Certificate, Certifier, certify
from darts_train.dataset.splitting.outer_fold import outer_fold
from darts_train.dataset.splitting.splits import make_split
from darts_train.experiments.settings import Settings
from darts_train.options.learning import FoldMethod


def certify_folds(settings: Settings, folds: int) -> Certificate:
    """The certificate of the first `folds` folds. Raises UserError where one of them cannot be made."""
    opened, split = TrainData.open(settings.data.train_data_dir), settings.split
    size = opened.config.patch_size
    return certify(
        opened.metadata, size, split, [make_split(opened.metadata, split, fold, size) for fold in range(folds)]
    )


def certify_outer(settings: Settings, method: FoldMethod, outer_folds: int, folds: int) -> list[Certificate]:
    """Of each outer fold its certificate: the outer fold itself, then the first `folds` folds within it.

    Raises UserError where a fold cannot be made.
    """
    opened = TrainData.open(settings.data.train_data_dir)
    size = opened.config.patch_size
    certifier = Certifier(opened.metadata, size)
    found = []
    for outer in range(outer_folds):
        split = outer_fold(settings.split, method, outer, outer_folds)
        whole = dataclasses.replace(split, fold_method=None)
        certificates = [certifier.fold(make_split(opened.metadata, whole, 0, size), whole, None, outer)]
        for fold in range(folds):
            certificates.append(certifier.fold(make_split(opened.metadata, split, fold, size), split, fold, outer))
        found.append(Certificate(tuple(certificates)))
    return found
