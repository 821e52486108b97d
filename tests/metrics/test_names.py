import pytest

from darts_train.base.errors import UserError
from darts_train.metrics.names import METRICS, MONITOR, canonical_metric


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("val/JaccardIndex", "val/JaccardIndex"),
        ("val0/JaccardIndex", "val/JaccardIndex"),
        ("val_iou", "val/JaccardIndex"),
        ("val/iou", "val/JaccardIndex"),
        ("iou", "val/JaccardIndex"),
        ("val/dice", "val/F1Score"),
        ("val_dice", "val/F1Score"),
        ("val/f1", "val/F1Score"),
        ("f1_score", "val/F1Score"),
        ("Recall", "val/Recall"),
        (" val/AUROC ", "val/AUROC"),
        ("average_precision", "val/AveragePrecision"),
        ("val/loss", "val/loss"),
        ("test/JaccardIndex", "test/JaccardIndex"),
        ("val/JaccardIndex_thaw_slump", "val/JaccardIndex_thaw_slump"),
        ("val_iou_Ice Wedge", "val/JaccardIndex_Ice Wedge"),
        ("jaccard_index_water", "val/JaccardIndex_water"),
        ("val/iou_epoch", "val/JaccardIndex"),
        ("val/recall_epoch/macro", "val/Recall_macro"),
        ("val_iou_epoch", "val/JaccardIndex"),
        ("val/iou_kelp", "val/JaccardIndex_kelp"),
        ("valid/dice_score", "val/F1Score"),
        ("validation_mean_iou", "val/JaccardIndex"),
        ("val/AUROC_ice", "val/AUROC_ice"),
    ],
)
def test_what_users_write_and_what_they_mean(written, meant):
    assert canonical_metric(written) == meant


def test_every_metric_is_its_own_name():
    assert [canonical_metric(name) for name in METRICS] == list(METRICS)
    assert MONITOR in METRICS


@pytest.mark.parametrize("wrong", ["val/JacardIndex", "loss_water", "iouu_ice", "", "val/"])
def test_what_is_no_metric_is_refused(wrong):
    with pytest.raises(UserError, match="not a metric"):
        canonical_metric(wrong)


def test_the_refusal_names_the_nearest():
    with pytest.raises(UserError, match="nearest: jaccardindex"):
        canonical_metric("val/JacardIndex")


def test_training_metrics_score_nothing():
    with pytest.raises(UserError, match="use val/JaccardIndex"):
        canonical_metric("train/iou")


@pytest.mark.parametrize(
    "name", ["test/InstanceF1Score", "val/instance_f1_score", "boundary_iou", "InstanceRecall_water"]
)
def test_metrics_of_objects_score_nothing(name):
    with pytest.raises(UserError, match="measured in tests only"):
        canonical_metric(name)
