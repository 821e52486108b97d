"""Errors met while training, as the user reads them."""

import logging
import warnings

import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.training.errors import OutOfMemory, UntrainableError
from darts_train.training.fit import explained, quiet_lightning


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (
            UserError(
                "Caught UserError in DataLoader worker process 0.\nTraceback …\nx.UserError: patch 3 is damaged."
            ),
            UserError,
            "patch 3 is damaged.",
        ),
        (torch.OutOfMemoryError("CUDA out of memory."), OutOfMemory, "--batch-size 8"),
        (ValueError("Expected more than 1 value per channel when training"), UntrainableError, "larger --batch-size"),
        (ZeroDivisionError("a bug"), ZeroDivisionError, "a bug"),
    ],
)
def test_what_a_user_can_mend_is_said_in_one_line(error, kind, text):
    found = explained(error, 8)
    assert type(found) is kind
    assert text in str(found)
    assert "\n" not in str(found)


def test_lightning_is_quiet_for_a_while_only():
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    with quiet_lightning(), warnings.catch_warnings(record=True) as caught:
        assert log.level == logging.ERROR
        warnings.warn_explicit("chatter", UserWarning, "trainer.py", 1, module="lightning.pytorch.trainer")
    assert log.level == level
    assert not caught
