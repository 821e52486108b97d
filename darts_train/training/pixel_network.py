"""Boosted trees on single pixels, dressed as a network so that they are measured by the very code that measures one.

The trees see what a network sees: bands after normalisation, no data as its fill. They are never stored: scikit-learn
keeps them as pickles, which no command here opens, and fitting them again from the same options gives the same trees.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darts_train.base.errors import UserError
from darts_train.base.optional import require
from darts_train.dataset.pixel_table import PixelTable
from darts_train.options.baseline import PixelModel

LEAST = 1e-6  # of a probability, so that its logit and its loss are finite


class PixelNetwork(nn.Module):
    """A fitted classifier of pixels as a module: float [n, c, h, w] → logits float32 [n, 1 or k, h, w]."""

    def __init__(self, classifier: Any, present: NDArray[np.uint8], classes: int) -> None:
        """`present` [m]: the class index of each column of the classifier's probabilities."""
        super().__init__()
        self.classifier, self.present, self.classes = classifier, present, classes

    def forward(self, x: Tensor) -> Tensor:
        """Logit of the foreground for two classes, else the logarithm of each class's probability."""
        n, c, h, w = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(-1, c).numpy()
        probability = np.zeros((len(pixels), self.classes))
        probability[:, self.present] = self.classifier.predict_proba(pixels)
        p = torch.from_numpy(probability).clamp_(LEAST, 1 - LEAST)
        logits = torch.logit(p[:, 1:]) if self.classes == 2 else p.log()
        return logits.float().reshape(n, h, w, -1).permute(0, 3, 1, 2)


def fit_pixels(
    table: PixelTable, classes: int, model: PixelModel, rounds: int, seed: int, balanced: bool = False
) -> PixelNetwork:
    """Fit trees to the table; every pixel weighs as many as it stands for.

    `balanced` then makes the sum of weights of each class the same.

    Raises UserError where fewer than two classes are in the table, or XGBoost is asked for and not installed.
    """
    present, labels = np.unique(table.y, return_inverse=True)
    if len(present) < 2:
        raise UserError(
            f"the training patches have pixels of {len(present)} of {classes} classes; trees need two. "
            "Use another --fold, or more data."
        )
    classifier = make_classifier(model, rounds, seed)
    totals = np.bincount(labels, weights=table.weight)
    weight = table.weight * (totals.mean() / totals)[labels] if balanced else table.weight
    classifier.fit(table.x, labels, sample_weight=weight)
    return PixelNetwork(classifier, present, classes)


def make_classifier(model: PixelModel, rounds: int, seed: int) -> Any:
    """An unfitted classifier: learning rate 0.1, 31 leaves (scikit-learn's defaults), no early stopping.

    Early stopping would hold out single pixels, whose neighbours it trains on, and so never stop for a reason.
    Raises UserError where XGBoost is asked for and not installed.
    """
    if model == "xgboost":
        xgboost = require("xgboost", "xgboost", "--pixel-model xgboost")
        return xgboost.XGBClassifier(
            n_estimators=rounds,
            learning_rate=0.1,
            tree_method="hist",
            grow_policy="lossguide",
            max_leaves=31,
            max_depth=0,
            random_state=seed,
        )
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=rounds, early_stopping=False, random_state=seed)
