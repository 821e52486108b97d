"""The memory of what was best, without a network; whole runs are in tests/experiments."""

import pickle
from pathlib import Path

import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.metrics.names import MONITOR
from darts_train.training.checkpoints.checkpoint import (
    BEST,
    LAST,
    PREVIOUS,
    AtomicCheckpointIO,
    KeepCheckpoints,
    read_checkpoint,
)


class Epochs:
    """Plays validations to a keeper, and saves what it wants saved."""

    def __init__(self, keeper):
        self.keeper, self.epoch, self.order = keeper, 0, []

    def end(self, score=None):
        names = [] if score is None else self.keeper._judge({MONITOR: score}, self.epoch, 10 * self.epoch)
        self.keeper._save(self.save, [*names, LAST])
        self.keeper._remove_forgotten()
        self.epoch += 1
        return names

    def save(self, path):
        path.write_text(f"epoch {self.epoch}")


def keeper(directory: Path, **options) -> Epochs:
    directory.mkdir(exist_ok=True)
    return Epochs(KeepCheckpoints(directory, "abc", **options))


def files(directory):
    return {path.name: path.read_text() for path in directory.iterdir()}


def test_best_and_last_are_regular_files(tmp_path):
    epochs = keeper(tmp_path, save_top_k=0)
    for score in (0.1, 0.5, 0.3):
        epochs.end(score)
    assert files(tmp_path) == {BEST: "epoch 1", LAST: "epoch 2", PREVIOUS: "epoch 0"}  # `save` here keeps none
    assert len({path.stat().st_ino for path in tmp_path.iterdir()}) == 3
    assert not any(path.is_symlink() for path in tmp_path.iterdir())


def test_best_is_saved_before_last(tmp_path):
    epochs = keeper(tmp_path)
    assert epochs.end(0.2)[0] == BEST
    assert BEST not in epochs.end(0.2)  # of equals the earliest


def test_the_top_two_stay(tmp_path):
    epochs = keeper(tmp_path, save_top_k=2)
    for score in (0.1, 0.5, 0.3, 0.5):
        epochs.end(score)
    named = sorted(name for name in files(tmp_path) if name.startswith("epoch="))
    assert named == ["epoch=1-step=10-val_iou=0.50.ckpt", "epoch=3-step=30-val_iou=0.50.ckpt"]


@pytest.mark.parametrize(("top_k", "count"), [(0, 0), (1, 1), (-1, 4)])
def test_how_many_are_kept(tmp_path, top_k, count):
    epochs = keeper(tmp_path, save_top_k=top_k)
    for score in (0.1, 0.5, 0.3, 0.4):
        epochs.end(score)
    assert len([name for name in files(tmp_path) if name.startswith("epoch=")]) == count


def test_a_first_score_of_zero_is_a_best(tmp_path):
    keeper(tmp_path).end(0.0)
    assert (tmp_path / BEST).is_file()


def test_patience_counts_validations_not_epochs(tmp_path):
    epochs = keeper(tmp_path, patience=2)
    for score in (0.5, None, 0.4, None):
        epochs.end(score)
    assert not epochs.keeper._exhausted()
    epochs.end(0.5)
    assert epochs.keeper._exhausted()


def test_no_patience_never_stops(tmp_path):
    epochs = keeper(tmp_path, patience=0)
    for _ in range(20):
        epochs.end(0.1)
    assert not epochs.keeper._exhausted()


def test_memory_is_restored_and_is_plain(tmp_path):
    epochs = keeper(tmp_path, save_top_k=2)
    for score in (0.1, 0.5):
        epochs.end(score)
    state = epochs.keeper.state_dict()
    torch.save(state, tmp_path / "state")
    other = KeepCheckpoints(tmp_path, "abc", save_top_k=2)
    other.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert (other.best_score, other.top, other.best_metrics) == (0.5, epochs.keeper.top, {MONITOR: 0.5})
    assert other.seconds >= state["seconds"] > 0


def test_another_runs_memory_is_not_taken(tmp_path):
    epochs = keeper(tmp_path)
    epochs.end(0.9)
    other = KeepCheckpoints(tmp_path, "xyz")
    other.load_state_dict(epochs.keeper.state_dict())
    assert other.best_score == -float("inf")
    assert other.top == []


def test_what_a_killed_run_left_is_removed(tmp_path):
    epochs = keeper(tmp_path)
    epochs.end(0.2)
    (tmp_path / "epoch=7-step=70-val_iou=0.90.ckpt").touch()
    epochs.keeper._remove_forgotten()
    assert not (tmp_path / "epoch=7-step=70-val_iou=0.90.ckpt").exists()


def test_a_checkpoint_replaces_another_whole_or_not_at_all(tmp_path):
    io, path = AtomicCheckpointIO(), tmp_path / "deep" / LAST
    io.save_checkpoint({"state_dict": {}, "epoch": 1}, path)
    with pytest.raises(Exception, match="pickle"):
        io.save_checkpoint({"state_dict": {}, "bad": lambda: None}, path)
    assert io.load_checkpoint(path)["epoch"] == 1
    assert [p.name for p in path.parent.iterdir()] == [LAST]


class Bomb:
    def __reduce__(self):
        return (Path("/tmp/never").touch, ())


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04half"])
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "x.ckpt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.ckpt is cut off or is no checkpoint\.$"):
        read_checkpoint(path)


@pytest.mark.parametrize("protocol", [None, 2, 4])
def test_nothing_is_unpickled(tmp_path, protocol):
    path = tmp_path / "x.ckpt"
    content = {"state_dict": {}, "epoch": 0, "hyper_parameters": Bomb()}
    torch.save(content, path) if protocol is None else path.write_bytes(pickle.dumps(content, protocol))
    with pytest.raises(UserError, match=r"x\.ckpt holds [\w.]+, neither .*; it was not unpickled\.$"):
        read_checkpoint(path)
    assert not Path("/tmp/never").exists()


def test_a_file_of_other_content_is_refused(tmp_path):
    torch.save({"weights": torch.zeros(1)}, tmp_path / "x.ckpt")
    with pytest.raises(UserError, match="not a checkpoint of a training run"):
        read_checkpoint(tmp_path / "x.ckpt")
    with pytest.raises(UserError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "y.ckpt")
