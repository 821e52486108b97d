"""quickstart.json: what is done, and when a directory is refused."""

import json

import pytest

from darts_train.base.errors import UserError
from darts_train.quickstart.state import STATE_FILE, State

SETTINGS = {"all_classes": False, "random_seed": 42, "recipe": {"epochs": 3, "space": {"learning_rate": [1e-3]}}}


def test_a_step_is_done_while_its_outputs_are_there(tmp_path):
    state = State.open(tmp_path, SETTINGS)
    (tmp_path / "map.tif").touch()
    state.add("predict", 2.0, ("map.tif",), {"classes": "map.tif"})
    again = State.open(tmp_path, SETTINGS)
    assert again.done("predict")
    assert again.result("predict") == {"classes": "map.tif"}
    (tmp_path / "map.tif").unlink()
    assert not again.done("predict")
    assert not again.done("train")


def test_time_adds_up_over_calls(tmp_path):
    state = State.open(tmp_path, SETTINGS)
    state.add("train", 10.0, None, {})
    assert not state.done("train")
    again = State.open(tmp_path, SETTINGS)
    again.add("train", 5.0, (), {})
    assert again.seconds("train") == 15.0
    assert again.done("train")


@pytest.mark.parametrize("change", [{"all_classes": True}, {"random_seed": 7}, {"recipe": {"epochs": 4}}])
def test_other_settings_are_refused_and_named(tmp_path, change):
    State.open(tmp_path, SETTINGS).write()
    with pytest.raises(UserError, match=f"other settings: {next(iter(change))}"):
        State.open(tmp_path, SETTINGS | change)


def test_a_directory_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="not empty"):
        State.open(tmp_path, SETTINGS)


def test_a_file_in_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="not empty"):
        State.open(tmp_path / "file", SETTINGS)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": 1, "steps": {}}', json.dumps({"settings": {}})])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / STATE_FILE).write_text(text)
    with pytest.raises(UserError, match=STATE_FILE):
        State.open(tmp_path, SETTINGS)
