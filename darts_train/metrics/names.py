"""What the metrics are called, in files and by users.

A name is `stage/Metric`, such as `val/JaccardIndex`; a metric of one class adds it: `val/JaccardIndex_water`.
Users write `val_iou`, `val0/JaccardIndex`, `dice` or `val/iou_epoch/water` and mean the same; `canonical_metric` says
what. A `dice` elsewhere may be a mean that includes the background; here it is the F1 score of the foreground.
"""

import re
from collections.abc import Collection, Mapping

from darts_train.base.errors import UserError, nearest

COUNT_METRICS = (
    "Accuracy",
    "Precision",
    "Specificity",
    "Recall",
    "F1Score",
    "JaccardIndex",
    "CohenKappa",
    "HammingDistance",
)
CURVE_METRICS = ("AUROC", "AveragePrecision")  # need the whole distribution
CLASS_METRICS = ("Precision", "Specificity", "Recall", "F1Score", "JaccardIndex")  # also one per class, as the curves'
INSTANCE_METRICS = (
    "InstanceAccuracy",
    "InstancePrecision",
    "InstanceRecall",
    "InstanceF1Score",
    "InstanceAveragePrecision",
)
BOUNDARY_METRIC = "InstanceBoundaryIoU"  # over all outlines; it is known under this name, though not per object
TEST_METRICS = (*INSTANCE_METRICS, BOUNDARY_METRIC)  # of objects; costly, so measured in tests only
SCORES = ("loss", *COUNT_METRICS, *CURVE_METRICS)
METRICS = tuple(f"val/{name}" for name in SCORES)  # what a binary run reports of its best checkpoint
MONITOR = "val/JaccardIndex"

ALIASES = {
    "acc": "Accuracy",
    "pixelaccuracy": "Accuracy",
    "iou": "JaccardIndex",
    "iouscore": "JaccardIndex",
    "jaccard": "JaccardIndex",
    "jaccardscore": "JaccardIndex",
    "miou": "JaccardIndex",
    "meaniou": "JaccardIndex",
    "dice": "F1Score",
    "dicescore": "F1Score",
    "f1": "F1Score",
    "fscore": "F1Score",
    "sensitivity": "Recall",
    "kappa": "CohenKappa",
    "hamming": "HammingDistance",
    "auc": "AUROC",
    "rocauc": "AUROC",
    "ap": "AveragePrecision",
    "auprc": "AveragePrecision",
}
_KNOWN = {name.lower(): name for name in SCORES} | ALIASES
_IN_TESTS = {name.lower(): name for name in TEST_METRICS} | {"boundaryiou": BOUNDARY_METRIC}
_STAGE = re.compile(r"(?P<stage>train|val|test)(?:id|idation)?\d*[/_](?P<rest>.+)", re.IGNORECASE)
_EPOCH = re.compile(r"_epoch(?:$|/(?=.))", re.IGNORECASE)  # what others add to what was pooled: iou_epoch/water


def canonical_metric(name: str) -> str:
    """The name under which a metric is reported: `val_iou`, `val0/dice`, `recall` → `val/…`.

    Without a stage it is `val`. Raises UserError, with the nearest names, for what is no metric; for `train/…`, as
    training metrics are those of single steps and do not belong to a checkpoint; and for metrics of objects, which only
    tests have.
    """
    match = _STAGE.fullmatch(name.strip())
    stage, rest = (match["stage"].lower(), match["rest"]) if match else ("val", name.strip())
    rest = _EPOCH.sub(lambda end: "_" if end[0].endswith("/") else "", rest)
    found = _metric_and_class(rest, _KNOWN, (*CLASS_METRICS, *CURVE_METRICS))
    in_tests = _metric_and_class(rest, _IN_TESTS, TEST_METRICS)
    if in_tests:
        raise UserError(f"{name!r} is measured in tests only, as test/{in_tests}, and scores no run.")
    if found is None:
        raise UserError(f"{name!r} is not a metric{nearest(rest.lower(), _KNOWN)}; there are: {', '.join(METRICS)}.")
    if stage == "train":
        raise UserError(f"{name!r} is logged for single steps and scores nothing; use val/{found}.")
    return f"{stage}/{found}"


def class_metric(metric: str, class_name: str) -> str:
    """Name of a metric of one class: `JaccardIndex_water`."""
    return f"{metric}_{class_name}"


def _metric_and_class(text: str, known: Mapping[str, str], with_class: Collection[str]) -> str | None:
    """`f1_score_Water` → `F1Score_Water`; the longest beginning that is a metric counts, the rest is a class."""
    parts = text.split("_")
    for end in range(len(parts), 0, -1):
        metric = known.get(re.sub(r"[\s-]", "", "".join(parts[:end])).lower())
        if metric is None:
            continue
        if end == len(parts):
            return metric
        return class_metric(metric, "_".join(parts[end:])) if metric in with_class else None
    return None
