import threading
import time

import numpy as np
import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splits import SplitIndices
from darts_train.options.learning import Data, Split, Training
from darts_train.training import held
from darts_train.training.data_module import TrainDataModule, check_cache
from darts_train.training.patches import EpochSampler, PatchDataset
from darts_train.training.threaded_loader import AHEAD
from tests.support.sets import make_old_set, make_set


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    make_set(path, patches=10, size=16, nodata=True)
    return path


def module(root, count=10, **settings):
    rows = np.arange(count)
    return TrainDataModule(TrainData.open(root), SplitIndices(rows, rows[:4], rows), **settings)


def epoch_of(loader, epoch=0):
    loader.sampler.set_epoch(epoch)
    return [index for batch in loader for index in batch["index"].tolist()]


def test_batches_hold_codes(root):
    batch = next(iter(module(root, batch_size=4).val_dataloader()))
    assert {name: (tuple(t.shape), t.dtype) for name, t in batch.items()} == {
        "x": ((4, 3, 16, 16), torch.int16),
        "y": ((4, 16, 16), torch.uint8),
        "index": ((4,), torch.int64),
    }
    x, y = TrainData.open(root).read(2)
    np.testing.assert_array_equal(batch["x"][2].numpy().view(np.uint16), x)
    np.testing.assert_array_equal(batch["y"][2].numpy(), y)


def test_older_sets_give_floats(tmp_path):
    batch = PatchDataset(TrainData.open(make_old_set(tmp_path / "old")), np.array([1]))[0]
    assert batch["x"].dtype == torch.float32
    assert batch["x"].isnan().any()


def test_memory_holds_the_same_patches(root):
    disk, memory = (module(root, batch_size=4, in_memory=flag).val_dataloader() for flag in (False, True))
    for one, other in zip(disk, memory, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_cache_directory_gives_the_same_batches(root, tmp_path, workers):
    loaders = [
        module(root, batch_size=4, num_workers=workers, cache=cache).train_dataloader()
        for cache in (None, str(tmp_path / "cache"))
    ]
    for one, other in zip(*loaders, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert len(list((tmp_path / "cache").glob("*.patches"))) == 1


def test_in_memory_is_the_cache_memory(root):
    assert module(root, in_memory=True).cache == Training(in_memory=True).kept_in == "memory"
    assert Training(cache="memory", in_memory=True).kept_in == "memory"
    with pytest.raises(UserError, match="give one of them"):
        Training(in_memory=True, cache="somewhere")


@pytest.mark.parametrize("cache", ["memroy", "inside"])
def test_places_that_are_none_are_refused(root, cache):
    with pytest.raises(UserError, match=r"nearest: memory|inside the train data"):
        module(root, cache=str(root / "x") if cache == "inside" else cache)


def test_in_memory_equal_parts_are_read_once(root):
    data = TrainData.open(root)
    rows = np.arange(5)
    shared = TrainDataModule(data, SplitIndices(rows, rows, rows), in_memory=True)
    assert shared.part("train") is shared.part("val")


@pytest.mark.parametrize("workers", [1, 3, "auto"])
@pytest.mark.parametrize("cache", [None, "memory", "device"])
def test_batches_are_the_same_whoever_reads_them(root, workers, cache):
    alone = list(module(root, batch_size=3).train_dataloader())
    helped = module(root, batch_size=3, num_workers=workers, cache=cache).train_dataloader()
    for _ in range(2):  # an epoch again starts its threads again
        for one, other in zip(alone, helped, strict=True):
            assert all(torch.equal(one[name], other[name]) for name in one)


def test_threads_end_with_an_epoch_that_was_left(root):
    before = threading.active_count()
    batches = iter(module(root, batch_size=1, num_workers=2).train_dataloader())
    next(batches)
    assert threading.active_count() > before
    batches.close()
    assert threading.active_count() == before


def test_an_error_of_a_thread_is_raised_as_it_is(root, monkeypatch):
    loader = module(root, batch_size=4, num_workers=2).train_dataloader()

    def broken(_):
        raise UserError("patch 3 is damaged")

    monkeypatch.setattr(loader.dataset.data, "read_many", broken)
    with pytest.raises(UserError, match=r"^patch 3 is damaged$"):
        list(loader)


def test_few_batches_are_ahead(root, monkeypatch):
    loader = module(root, batch_size=1, num_workers=2).train_dataloader()
    read, reads = loader.dataset.data.read_many, []
    monkeypatch.setattr(loader.dataset.data, "read_many", lambda rows: (reads.append(1), read(rows))[1])
    batches = iter(loader)
    next(batches)
    time.sleep(0.05)
    assert len(reads) <= 1 + 2 * AHEAD
    batches.close()


@pytest.mark.parametrize(("free", "fits"), [(10**9, True), (9000, False), (None, True)])
def test_patches_without_room_in_memory_are_refused(root, monkeypatch, free, fits):
    monkeypatch.setattr(held, "available_memory", lambda: free)
    data, rows = TrainData.open(root), np.arange(10)
    for call in (
        lambda: check_cache("memory", data, SplitIndices(rows, rows[:2], rows)),
        lambda: module(root, cache="memory").part("train"),
    ):
        if fits:
            call()
        else:
            with pytest.raises(UserError, match=r"need 0\.0 GB; this machine has 0\.0 GB free, .* use --cache with"):
                call()


def test_what_the_device_holds_is_there(root):
    made = module(root, cache="device", device=torch.device("cpu"))
    batch = next(iter(made.val_dataloader()))
    assert batch["x"].device == made.part("val").rows.device == torch.device("cpu")
    assert made.threads == 0


def test_every_epoch_has_an_order_of_its_own(root):
    loader = module(root, batch_size=5, seed=1).train_dataloader()
    first, second = epoch_of(loader, 0), epoch_of(loader, 1)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert epoch_of(module(root, batch_size=5, seed=1).train_dataloader(), 1) == second
    assert epoch_of(module(root, batch_size=5, seed=2).train_dataloader(), 1) != second


@pytest.mark.parametrize(("count", "batch_size", "seen"), [(10, 4, 8), (10, 5, 10), (3, 8, 3), (8, 8, 8), (9, 8, 8)])
def test_the_last_batch_is_dropped_only_where_there_is_another(root, count, batch_size, seen):
    assert len(epoch_of(module(root, count=count, batch_size=batch_size).train_dataloader())) == seen


def test_validation_leaves_out_nothing(root):
    loader = module(root, batch_size=3).val_dataloader()
    assert [b["index"].tolist() for b in loader] == [[0, 1, 2], [3]]


def test_options_open_and_split(root):
    made = TrainDataModule.from_options(Data(train_data_dir=root, bands=("red",)), Split(total_folds=2), fold=1)
    assert next(iter(made.val_dataloader()))["x"].shape[1] == 1
    assert not set(made.indices.train) & set(made.indices.val)


def test_a_fold_that_is_not_there_is_refused(root):
    with pytest.raises(UserError, match="fold"):
        TrainDataModule.from_options(Data(train_data_dir=root), Split(total_folds=2), fold=2)


def test_a_sampler_of_nothing_is_empty():
    assert list(EpochSampler(0, 42)) == []
