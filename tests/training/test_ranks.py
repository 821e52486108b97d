"""Shares of an epoch, and sums over processes where there is one."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.training.hardware import ranks
from darts_train.training.loading.patches import EpochSampler


@settings(max_examples=50, deadline=None)
@given(
    count=st.integers(1, 40),
    processes=st.integers(1, 5),
    batch=st.integers(1, 4),
    samples=st.none() | st.integers(1, 60),
    epoch=st.integers(0, 3),
)
def test_shares_are_equal_and_make_the_common_order(count, processes, batch, samples, epoch):
    whole = EpochSampler(count, 7, samples)
    whole.set_epoch(epoch)
    order, shares = list(whole), []
    for rank in range(processes):
        sampler = EpochSampler(count, 7, samples, share=(rank, processes))
        sampler.set_epoch(epoch)
        shares.append(list(sampler))
        assert len(shares[-1]) == len(sampler) == len(order) // processes
        sampler.skip = batch
        assert list(sampler) == shares[-1][batch:]
    together = [position for step in zip(*shares, strict=True) for position in step]
    assert together == order[: len(together)]  # so the patches of a step are neighbours in the order


def test_alone_nothing_changes():
    value, network = torch.tensor(3.0), torch.nn.BatchNorm2d(2)
    assert (ranks.rank(), ranks.count()) == (0, 1)
    ranks.add_up([value])
    ranks.share_statistics(network)
    assert float(ranks.mean(value)) == 3
    assert ranks.anywhere(True) is True
    assert ranks.anywhere(False) is False
