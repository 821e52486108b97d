"""What an epoch says about itself, with clocks that the test moves."""

from types import SimpleNamespace

import pytest
import torch

from darts_train.training import health
from darts_train.training.health import EpochHealth
from darts_train.training.loading.clock import DataClock
from darts_train.training.names import DATA_WAIT, SAMPLES_PER_SECOND

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


class Clock:
    """Both clocks: the host's in seconds, and a device that is busy until `busy_until`."""

    def __init__(self) -> None:
        self.now = self.busy_until = 0.0

    def perf_counter(self) -> float:
        return self.now

    def event(self, enable_timing: bool) -> "Event":
        assert enable_timing
        return Event(self)


class Event:
    """Happens when the device has done what was queued before it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def record(self) -> None:
        self.at = max(self.clock.now, self.clock.busy_until)

    def query(self) -> bool:
        return self.clock.now >= self.at

    def synchronize(self) -> None:
        self.clock.now = max(self.clock.now, self.at)

    def elapsed_time(self, later: "Event") -> float:
        assert later.query()
        return (later.at - self.at) * 1000


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(health.time, "perf_counter", made.perf_counter)
    monkeypatch.setattr(torch.cuda, "Event", made.event)
    return made


def batches(clock, seconds):
    for wait in seconds:
        clock.now += wait
        yield {"y": torch.zeros(4)}


def test_only_the_time_until_a_batch_comes_is_waiting(clock):
    waits = DataClock(CPU)
    for _ in waits.over(batches(clock, [1.0, 0.5, 0.0])):
        clock.now += 10
    assert waits.take() == pytest.approx(1.5)
    assert waits.take() == 0


def test_a_busy_device_does_not_wait(clock):
    waits = DataClock(CUDA)
    for _ in waits.over(batches(clock, [1.0, 2.0, 5.0])):
        clock.busy_until = clock.now + 3.0  # queued; the host asks for the next batch at once
    assert waits.take() == pytest.approx(1.0 + 0.0 + 2.0)


def test_a_loader_that_is_left_is_closed(clock):
    source = batches(clock, [1.0, 1.0])
    timed = DataClock(CPU).over(source)
    next(timed)
    timed.close()
    assert next(source, None) is None


def test_an_epoch_counts_neither_validation_nor_the_epoch_before(clock, caplog):
    watch, module, waits = EpochHealth(), SimpleNamespace(), DataClock(CPU)
    trainer = SimpleNamespace(train_dataloader=SimpleNamespace(clock=waits), current_epoch=1)
    for _ in range(2):
        watch.on_train_epoch_start(trainer, module)
        for batch in waits.over(batches(clock, [1.0, 1.0])):
            clock.now += 1.5
            watch.on_train_batch_end(trainer, module, None, batch, 0)
        watch.on_validation_start(trainer, module)
        clock.now += 100
        watch.on_validation_end(trainer, module)
        with caplog.at_level("INFO", logger="darts"):
            watch.on_train_epoch_end(trainer, module)
        assert module.health == {DATA_WAIT: pytest.approx(0.4), SAMPLES_PER_SECOND: pytest.approx(8 / 5)}
    (record,) = caplog.records  # said once
    assert "40 %" in record.getMessage()


def test_a_loader_without_a_clock_is_no_error(clock):
    watch, module = EpochHealth(), SimpleNamespace()
    trainer = SimpleNamespace(train_dataloader=[], current_epoch=0)
    watch.on_train_epoch_start(trainer, module)
    watch.on_train_epoch_end(trainer, module)
    assert module.health == {DATA_WAIT: 0.0, SAMPLES_PER_SECOND: 0.0}
