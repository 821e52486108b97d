"""Pictures beside the training: written, handed over by the caller's thread, and never a reason to stop."""

import logging
import threading

import pytest

from darts_train.training.pictures import painter as painter_module
from darts_train.training.pictures.painter import Painter
from darts_train.training.tracking.trackers import WandbTracker


class Tracker(WandbTracker):
    """Remembers what it was given, and by which thread."""

    def __init__(self):
        self.seen = []

    def log_image(self, key, path):
        self.seen.append((key, path.read_bytes(), threading.current_thread() is threading.main_thread()))


def test_pictures_are_drawn_aside_and_handed_over_here(tmp_path):
    tracker, threads = Tracker(), []
    painter = Painter([tracker])
    for i in range(3):
        painter.paint(tmp_path / f"{i}.png", lambda i=i: threads.append(threading.get_ident()) or bytes([i]), f"k{i}")
    painter.close()
    assert tracker.seen == [(f"k{i}", bytes([i]), True) for i in range(3)]
    assert set(threads) != {threading.get_ident()}
    assert len(set(threads)) == 1


def test_a_picture_that_fails_is_said_once_and_the_last(tmp_path, caplog):
    painter = Painter()
    with caplog.at_level(logging.WARNING, logger="darts"):
        painter.paint(tmp_path / "a.png", lambda: 1 / 0, "a")
        painter.collect(wait=True)
        painter.paint(tmp_path / "b.png", lambda: b"never", "b")
        painter.close()
    assert painter.broken
    assert [record.getMessage() for record in caplog.records] == [
        "figures failed and are left out from here on: division by zero"
    ]
    assert not list(tmp_path.iterdir())


def test_where_a_run_breaks_off_what_has_not_begun_is_left_out(tmp_path):
    tracker, go = Tracker(), threading.Event()
    painter = Painter([tracker])
    painter.paint(tmp_path / "a.png", lambda: b"a" if go.wait(10) else b"", "a")
    painter.paint(tmp_path / "b.png", lambda: b"b", "b")
    threading.Timer(0.1, go.set).start()
    painter.close(wait=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert tracker.seen == []


def test_few_wait_to_be_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(painter_module, "WAITING", 2)
    painter = Painter()
    for i in range(5):
        painter.paint(tmp_path / f"{i}.png", lambda: b"x", "k")
        assert len(painter._orders) <= 2
    painter.close()
    assert len(list(tmp_path.iterdir())) == 5


def test_nothing_painted_needs_no_thread(monkeypatch):
    monkeypatch.setattr(painter_module, "ThreadPoolExecutor", lambda **_: pytest.fail("a thread"))
    Painter().close()
