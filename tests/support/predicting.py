"""The command predict with one list of settings, whichever group each of them is of."""

import dataclasses

from darts_train.inference.predict import PredictSummary, predict
from darts_train.options.predicting import Devices, Maps, Predict, SceneFiles, Submission, Windows

GROUPS = {
    "predict": Predict, "scenes": SceneFiles, "windows": Windows, "maps": Maps, "submission": Submission,
    "devices": Devices,
}  # fmt: skip


def predicted(**settings) -> PredictSummary:
    """What `predict` gives for settings by field name."""
    names = {name: {field.name for field in dataclasses.fields(group)} for name, group in GROUPS.items()}
    unknown = set(settings).difference(*names.values())
    assert not unknown, unknown
    return predict(
        **{name: group(**{k: v for k, v in settings.items() if k in names[name]}) for name, group in GROUPS.items()}
    )
