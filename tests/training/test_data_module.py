import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.splits import SplitIndices
from darts_train.experiments.one_run.settings import run_fingerprint
from darts_train.experiments.settings import require_same
from darts_train.options.learning import Data, Hyperparameters, Split, Training
from darts_train.training.loading import held
from darts_train.training.loading.data_module import TrainDataModule, check_cache
from darts_train.training.loading.patches import EpochSampler, PatchDataset
from darts_train.training.loading.threaded_loader import AHEAD
from darts_train.training.seeds import ORDER, mixed_seed
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


def test_a_sampler_without_further_words_is_what_it_was():
    generator = torch.Generator().manual_seed(mixed_seed(7, ORDER, 3))
    sampler = EpochSampler(20, 7)
    sampler.set_epoch(3)
    assert list(sampler) == torch.randperm(20, generator=generator).tolist()


@pytest.mark.parametrize("samples", [1, 7, 10, 25])
def test_no_patch_comes_twice_before_all_came_once(samples):
    order = list(EpochSampler(10, 1, samples))
    assert len(order) == len(EpochSampler(10, 1, samples)) == samples
    for first in range(0, samples, 10):
        assert len(set(order[first : first + 10])) == len(order[first : first + 10])
    assert order[:10] == list(EpochSampler(10, 1))[:samples]


def test_draws_are_as_often_as_their_weights():
    weights = np.array([0, 1, 3, 0, 6, 0.0])
    order = list(EpochSampler(6, 5, 20000, weights))
    shares = np.bincount(order, minlength=6) / 20000
    assert shares[[0, 3, 5]].tolist() == [0, 0, 0]
    np.testing.assert_allclose(shares[[1, 2, 4]], [0.1, 0.3, 0.6], atol=0.015)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 2, 3, 4, 0])])
def test_drawing_is_a_function_of_seed_and_epoch_and_can_be_taken_up(weights):
    def order(epoch, skip=0):
        sampler = EpochSampler(5, 9, 12, weights)
        sampler.set_epoch(epoch)
        sampler.skip = skip
        return list(sampler)

    assert order(2) == order(2) != order(3)
    assert order(2, skip=5) == order(2)[5:]


def test_the_loader_draws_as_it_is_told(root):
    balanced = module(root, batch_size=4, balance=True, samples_per_epoch=400).train_dataloader()
    rows = epoch_of(balanced)
    positive = ~TrainData.open(root).metadata["empty"].to_numpy()
    assert len(rows) == 400
    assert positive[rows].mean() == pytest.approx(0.5, abs=0.08)
    first = "patch_id == 0 and sample_id == 'scene00'"
    assert set(epoch_of(module(root, sample_weights=first, samples_per_epoch=16).train_dataloader())) == {0}
    assert len(epoch_of(module(root, batch_size=4, samples_per_epoch=2).train_dataloader())) == 2


def test_new_ways_to_draw_are_another_run_and_old_ones_the_same(root):
    def fingerprint(**options):
        prepared = SimpleNamespace(
            data=SimpleNamespace(data_hash="d"), indices=SimpleNamespace(hash="s"), config={"model": 1}
        )
        return run_fingerprint(prepared, Hyperparameters(), Training(**options), 0, 42)

    plain = fingerprint()
    assert plain == fingerprint(num_workers=3, cache="memory")
    others = ({"balance": True}, {"sample_weights": "kelp"}, {"samples_per_epoch": 5})
    assert len({plain, *(fingerprint(**options) for options in others)}) == 4


def test_settings_younger_than_what_was_stored_are_their_defaults():
    require_same({"max_epochs": 5}, {"max_epochs": 5, "balance": False, "purge_overlap": False, "where": None}, "it")
    with pytest.raises(UserError, match="balance"):
        require_same({"max_epochs": 5}, {"max_epochs": 5, "balance": True}, "it")
