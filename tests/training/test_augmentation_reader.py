"""Pipelines that Albumentations runs itself. Needs the package, but for what is told where it is missing."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.splits import SplitIndices
from darts_train.raster.band import IGNORE_INDEX, NODATA, Band
from darts_train.training.augmentation.albumentations_library import Building, pipeline_text, pipeline_tree
from darts_train.training.augmentation.albumentations_probe import trained_size
from darts_train.training.augmentation.reader import (
    AugmentedPatches,
    NumberedSampler,
    ReaderPipeline,
    image_bands,
)
from darts_train.training.loading.data_module import TrainDataModule
from darts_train.training.loading.patches import EpochSampler, PatchDataset
from tests.support.pipelines import HAKAI, node, p1, p3, p4, tree
from tests.support.sets import make_set

pytest.importorskip("albumentations")

SIZE = 48
COLOURS = tuple(Band(name, 1.0, 0.0, 0.0, 255.0, True) for name in ("blue", "green", "red"))
INFRARED = Band("nir", 1.0, 0.0, 0.0, 255.0, True)
SLOPE = Band("slope", 0.01, 0.0, 0.0, 90.0)


def pipeline(content, bands=COLOURS, seed=3):
    return ReaderPipeline(Building(content, "file", "file"), bands, IGNORE_INDEX, seed)


def certain(name, **arguments):
    return tree(node(name, p=1.0, **arguments))


def drawn_patch(bands=COLOURS, size=SIZE):
    """A dark patch with a bright L, which is the label: neither flips nor quarter turns leave it where it is."""
    rng = np.random.default_rng(0)
    y = np.zeros((size, size), np.uint8)
    y[size // 6 : size // 2, size // 6 : size // 4] = 1
    y[size // 2 : size // 2 + size // 8, size // 6 : 2 * size // 3] = 1
    x = rng.normal(60, 4, (len(bands), size, size)) + 130 * y
    return x.round().astype(np.uint16), y


@settings(max_examples=30, deadline=None)
@given(
    low=st.floats(-50, 50),
    codes=st.integers(1, 65534),
    scale=st.sampled_from([1e-4, 0.01, 1.0, 3.7]),
    first=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_what_is_within_the_range_comes_back_code_for_code(low, codes, scale, first, seed):
    start = int(first * (65534 - codes))
    band = Band("red", scale, low - start * scale, low, low + codes * scale, True)
    x = np.random.default_rng(seed).integers(start, start + codes, (1, 4, 4), endpoint=True).astype(np.uint16)
    x[0, 0, 0] = NODATA
    found, _ = pipeline(certain("NoOp"), (band,))(x, np.zeros((4, 4), np.uint8), seed)
    assert np.array_equal(found, x)


@pytest.mark.parametrize("name", HAKAI)
def test_labels_move_with_the_picture(name):
    bands = {"P3": 8, "P4": 4}.get(name, 3)
    bands = (*COLOURS, INFRARED, *(dataclasses.replace(INFRARED, name=f"nir{i}") for i in range(4)))[:bands]
    x, y = drawn_patch(bands)
    made = pipeline(HAKAI[name](SIZE), bands)
    moved, agreement = 0, []
    for draw in range(12):
        found, labels = made(x, y, draw)
        assert (found.shape, found.dtype) == (x.shape, np.uint16)
        assert (labels.shape, labels.dtype) == (y.shape, np.uint8)
        assert set(np.unique(labels)) <= {0, 1, IGNORE_INDEX}
        valid = (labels != IGNORE_INDEX) & (found != NODATA).all(axis=0)
        bright = found.astype(float).mean(axis=0)[valid] > 125
        if (labels == 1).any() and draw:
            agreement.append((bright == (labels[valid] == 1)).mean())
        moved += not np.array_equal(labels, y)
    assert moved > 6
    assert np.median(agreement) > 0.97
    assert (bright == (y[valid] == 1)).mean() < 0.97  # it would not agree with labels that stayed


def test_two_draws_differ_and_one_is_the_same():
    x, y = drawn_patch()
    first, again, other = (pipeline(p1(SIZE))(x, y, draw) for draw in (1, 1, 2))
    assert all(map(np.array_equal, first, again))
    assert not np.array_equal(first[0], other[0])


def test_transforms_are_drawn_apart():
    flips = tree(node("HorizontalFlip", p=0.5), node("VerticalFlip", p=0.5), node("CLAHE", p=0.0))
    x, y = drawn_patch()
    made = pipeline(flips)
    seen = {made(x, y, draw)[1].tobytes() for draw in range(24)}
    assert seen == {y[::a, ::b].tobytes() for a, b in itertools.product((1, -1), repeat=2)}


def test_the_colours_are_red_green_and_blue_whatever_their_order():
    bands = (INFRARED, *COLOURS, SLOPE)
    assert image_bands(bands) == (3, 2, 1, 0)
    x, y = drawn_patch(bands)
    x[3] += 50  # reddish
    grey = pipeline(certain("ToSepia"), bands)(x, y, 1)[0]
    alone = pipeline(certain("ToSepia"), COLOURS)(x[1:4], y, 1)[0]
    assert np.array_equal(grey[1:4], alone)
    assert np.array_equal(grey[[0, 4]], x[[0, 4]])
    assert (grey[3] > grey[1]).all()


def test_bands_that_are_not_light_move_and_keep_their_values():
    bands = (*COLOURS, SLOPE)
    x, y = drawn_patch(bands)
    content = tree(node("VerticalFlip", p=1.0), node("RandomToneCurve", scale=0.5, p=1.0), node("Blur", p=1.0))
    found, labels = pipeline(content, bands)(x, y, 1)
    assert np.array_equal(labels, y[::-1])
    assert np.array_equal(found[3], x[3, ::-1])
    assert not np.array_equal(found[0], x[0, ::-1])


@pytest.mark.parametrize("floats", [False, True])
def test_no_data_stays_no_data_and_nothing_leaks_from_it(floats):
    bands = (*COLOURS, SLOPE)
    x, y = drawn_patch(bands)
    x[:, :, :8] = NODATA
    x[1, 40:] = NODATA  # of one band alone
    y[:3] = IGNORE_INDEX
    x = np.where(x == NODATA, np.nan, x / 255).astype(np.float32) if floats else x
    missing = np.isnan(x) if floats else x == NODATA
    made = pipeline(tree(node("HorizontalFlip", p=1.0), node("GaussianBlur", sigma_limit=[2, 2], p=1.0)), bands)
    found, labels = made(x, y, 1)
    assert found.dtype == x.dtype
    assert np.array_equal(np.isnan(found) if floats else found == NODATA, missing[:, :, ::-1])
    assert np.array_equal(labels, y[:, ::-1])
    ground = found[0, 30:38, 20:-8] * (255 if floats else 1)
    assert abs(np.median(ground) - 60) < 12  # next to no data too: 65535 would have been seen
    beside = found[0, 42:, -9] * (255 if floats else 1)
    assert (beside < 110).all()


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "Affine", "scale": [0.5, 0.5]},
        {"name": "Affine", "scale": [0.5, 0.5], "fill_mask": 0, "fill": 255},
        {"name": "ShiftScaleRotate", "shift_limit": [0.3, 0.3], "scale_limit": [0, 0], "border_mode": 0},
        {"name": "PadIfNeeded", "min_height": 80, "min_width": 80},
        {"name": "RandomCrop", "height": 80, "width": 80, "pad_if_needed": True},
        {"name": "CoarseDropout", "fill_mask": -100, "fill": 127},
        {
            "name": "XYMasking",
            "num_masks_x": 1,
            "num_masks_y": 1,
            "mask_x_length": 9,
            "mask_y_length": 9,
            "fill_mask": 0,
        },
    ],
)
def test_what_comes_from_outside_is_no_data_and_ignored(arguments):
    bands = (*COLOURS, *(dataclasses.replace(SLOPE, name=f"s{i}") for i in range(6)))
    x, y = drawn_patch(bands)
    found, labels = pipeline(certain(**arguments), bands)(x, y, 1)
    outside = (found == NODATA).all(axis=0)
    assert outside.mean() > 0.02
    assert np.array_equal(labels == IGNORE_INDEX, outside)
    assert np.array_equal((found == NODATA).any(axis=0), outside)


def test_labels_stay_under_holes_without_a_fill_of_labels():
    x, y = drawn_patch()
    hole = {"num_holes_range": [1, 1], "hole_height_range": [20, 20], "hole_width_range": [20, 20]}
    found, labels = pipeline(certain("CoarseDropout", fill=51, **hole))(x, y, 1)
    assert np.array_equal(labels, y)
    assert (found == 51).all(axis=0).sum() == 400


def test_objects_that_are_removed_become_background():
    bands = (*COLOURS, SLOPE)
    x, y = drawn_patch(bands)
    y[-5:] = IGNORE_INDEX
    found, labels = pipeline(certain("MaskDropout", max_objects=[1, 1], fill=0, fill_mask=0), bands)(x, y, 1)
    assert np.array_equal(labels, np.where(y == 1, 0, y))
    assert (found[:3, y == 1] == 0).all()
    assert np.array_equal(found[3], x[3])


def size_after(*nodes, bands=COLOURS, size=SIZE):
    return trained_size((pipeline_text(tree(*nodes), "file"),), bands, size)


def test_the_size_is_known_before_training():
    assert [trained_size((pipeline_text(p(SIZE), "f"),), (*COLOURS, INFRARED), SIZE) for p in (p1, p3, p4)] == [
        SIZE
    ] * 3
    scale = node("RandomScale", scale_limit=[-0.5, 0.5], p=0.5)
    pad = node("PadIfNeeded", min_height=32, min_width=32, p=1.0)
    crop = node("RandomCrop", height=32, width=32, p=1.0)
    assert size_after(scale, pad, crop) == 32
    assert size_after(node("OneOf", p=1.0, transforms=[crop, node("Resize", height=32, width=32, p=1.0)])) == 32
    assert trained_size(("D4",), COLOURS, SIZE) == trained_size(None, COLOURS, SIZE) == SIZE


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([node("RandomScale", scale_limit=[-0.5, 0.5], p=0.5)], "it makes some of .* × .* and .* PadIfNeeded"),
        ([node("CenterCrop", height=32, width=32, p=0.5)], "32 × 32 and 48 × 48"),
        ([node("RandomCrop", height=32, width=40, p=1.0)], "32 × 40"),
        ([node("RandomCrop", height=64, width=64, p=1.0)], r"transforms\[0\]: RandomCrop, on 48 × 48 pixels: "),
        ([node("OneOf", p=0.1, transforms=[node("FDA", p=0.5)])], r"transforms\[0\].transforms\[0\]: FDA.*metadata"),
    ],
)  # fmt: skip
def test_sizes_that_cannot_be_trained_on(nodes, words):
    with pytest.raises(UserError, match=words) as error:
        size_after(*nodes)
    assert "\n" not in str(error.value)


def test_colours_need_red_green_and_blue():
    with pytest.raises(UserError, match=r"transforms\[0\]: CLAHE needs the optical bands red, green and blue"):
        size_after(node("CLAHE", p=0.1), bands=(*COLOURS[:2], INFRARED))


def test_a_text_among_the_augmentations():
    text = pipeline_text(p1(32), "file")
    assert pipeline_tree((text,)) == p1(32)["transform"]
    assert pipeline_tree(("D4",)) is pipeline_tree(None) is None
    for wrong in ((text, "D4"), ("albumentations:{",), ("albumentations:[]",)):
        with pytest.raises(UserError, match="--augmentations: albumentations: must be"):
            pipeline_tree(wrong)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    make_set(path, patches=10, size=32, nodata=True)
    return path


def epoch_of(root, epoch=0, skip=0, **settings):
    """The batches of an epoch; `skip` positions were trained on before a restart."""
    data, rows = TrainData.open(root), np.arange(10)
    reader = ReaderPipeline(Building(p1(32), "f", "f"), data.bands, IGNORE_INDEX, 42)
    loader = TrainDataModule(data, SplitIndices(rows, rows[:2], rows[:0]), batch_size=4, reader=reader, **settings)
    batches = loader.train_dataloader()
    batches.sampler.set_epoch(epoch)
    batches.sampler.order.skip = skip
    return list(batches)


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a[name], b[name]) for a, b in zip(one, other, strict=True) for name in a
    )


def test_batches_are_the_same_whoever_reads_them(root):
    alone = epoch_of(root, num_workers=0)
    assert {name: (part.dtype, tuple(part.shape)) for name, part in alone[0].items()} == {
        "x": (torch.int16, (4, 3, 32, 32)),
        "y": (torch.uint8, (4, 32, 32)),
        "index": (torch.int64, (4,)),
    }
    assert same(alone, epoch_of(root, num_workers=3))
    assert same(alone, epoch_of(root, num_workers=2, cache="memory"))
    assert same(alone[1:], epoch_of(root, num_workers=2, skip=4))
    later = epoch_of(root, epoch=1)
    first = dict(zip(alone[0]["index"].tolist(), alone[0]["x"], strict=True))
    pairs = [(first[i], x) for b in later for i, x in zip(b["index"].tolist(), b["x"], strict=True) if i in first]
    assert pairs
    assert sum(torch.equal(one, other) for one, other in pairs) < len(pairs)


def test_sizes_that_differ_in_a_batch_are_told(root):
    data, rows = TrainData.open(root), np.arange(4)
    crops = tree(node("CenterCrop", height=16, width=16, p=0.5))
    part = PatchDataset(data, rows)
    made = AugmentedPatches(part, ReaderPipeline(Building(crops, "f", "f"), data.bands, IGNORE_INDEX, 42))
    with pytest.raises(UserError, match="16 × 16 and 32 × 32 pixels"):
        [made.__getitems__([(row, epoch, row) for row in rows]) for epoch in range(4)]


def test_places_are_numbered_also_after_a_restart():
    sampler = EpochSampler(5, seed=1)
    numbered = NumberedSampler(sampler)
    numbered.set_epoch(2)
    whole = list(numbered)
    sampler.skip = 3
    assert list(numbered) == whole[3:]
    assert [(epoch, number) for _, epoch, number in whole] == [(2, i) for i in range(5)]
    assert sorted(position for position, _, _ in whole) == list(range(5))
    assert len(numbered) == 5
