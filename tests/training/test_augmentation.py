import itertools

import pytest
import torch

from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.raster.band import Band
from darts_train.training.augmentation import (
    augmented_batch,
    missing_values,
    photometric,
    random_symmetry,
    step_generator,
)

CPU = torch.device("cpu")


def batch(n=64, c=3, size=8, seed=0):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (n, size, size), generator=g, dtype=torch.uint8)
    x = torch.randint(-(2**15), 2**15, (n, c, size, size), generator=g, dtype=torch.int16)
    return x, y


def all_symmetries(t):
    turned = [torch.rot90(t, k, (-2, -1)) for k in range(4)]
    return [*turned, *(u.flip(-1) for u in turned)]


def test_image_and_labels_move_alike_and_no_value_changes():
    x, y = batch()
    x[:, 0] = y.to(torch.int16)
    moved_x, moved_y = random_symmetry(x, y, step_generator(1, 0, CPU))
    assert moved_x.dtype == torch.int16
    assert moved_y.dtype == torch.uint8
    assert torch.equal(moved_x[:, 0], moved_y.to(torch.int16))
    for before, after in zip(x, moved_x, strict=True):
        assert any(torch.equal(after, candidate) for candidate in all_symmetries(before))


def test_all_eight_symmetries_are_about_equally_frequent():
    y = torch.arange(16, dtype=torch.uint8).reshape(1, 4, 4).repeat(1600, 1, 1)
    _, moved = random_symmetry(y[:, None], y, step_generator(3, 0, CPU))
    found = [sum(torch.equal(m, candidate) for m in moved) for candidate in all_symmetries(y[0])]
    assert sum(found) == 1600
    assert min(found) > 140  # 200 expected, standard deviation 13


def test_a_step_repeats_itself_and_others_differ():
    x, y = batch()
    moves = [
        random_symmetry(x, y, step_generator(seed, step, CPU))[0] for seed, step in [(1, 5), (1, 5), (1, 6), (2, 5)]
    ]
    assert torch.equal(moves[0], moves[1])
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(moves[1:], 2))


def test_patches_draw_for_themselves():
    x = torch.full((40, 1, 4, 4), 0.5)
    touched = photometric(x, torch.zeros_like(x, dtype=torch.bool), [True], 0.0, step_generator(0, 0, CPU))
    unchanged = sum(torch.equal(patch, x[0]) for patch in touched)
    assert 2 <= unchanged <= 20  # a quarter is touched by neither
    assert len({float(patch.mean()) for patch in touched}) > 20


def test_only_optical_bands_are_touched_and_stay_in_range():
    x = torch.rand(32, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    touched = photometric(x, torch.zeros_like(x, dtype=torch.bool), [True, False, True], 0.0, step_generator(0, 1, CPU))
    assert torch.equal(touched[:, 1], x[:, 1])
    assert not torch.equal(touched[:, 0], x[:, 0])
    assert touched.min() >= 0
    assert touched.max() <= 1
    assert (touched[:, 0] / x[:, 0]).log().abs().median() < 0.3


@pytest.mark.parametrize("fill", [0.0, -1.0])
def test_no_data_stays_no_data(fill):
    x = torch.rand(16, 2, 8, 8)
    missing = torch.rand(16, 2, 8, 8) < 0.3
    x[missing] = fill
    touched = photometric(x, missing, [True, True], fill, step_generator(0, 2, CPU))
    assert (touched[missing] == fill).all()


def test_without_an_optical_band_nothing_is_drawn():
    x = torch.rand(2, 2, 4, 4)
    assert photometric(x, torch.zeros_like(x, dtype=torch.bool), [False, False], 0.0, step_generator(0, 0, CPU)) is x


def test_missing_values_of_codes_and_of_floats():
    assert missing_values(torch.tensor([-1, 0, 5], dtype=torch.int16)).tolist() == [True, False, False]
    assert missing_values(torch.tensor([float("nan"), 0.0])).tolist() == [True, False]


def test_brightness_is_a_share_of_what_has_data():
    x = torch.full((64, 2, 4, 4), 0.2)
    x[:, 1] = 0.4
    missing = torch.zeros_like(x, dtype=torch.bool)
    missing[..., 0] = True
    x[missing] = 0.0
    touched = photometric(x, missing, [True, True], 0.0, step_generator(0, 3, CPU))
    ratio = (touched / x)[..., 1:]
    assert ratio.min() >= (1 - 0.2 - 0.2) * 0.9 - 1e-6
    assert ratio.max() <= (1 + 0.2 + 0.2) * 1.1 + 1e-6
    plain = ratio.std(dim=(-2, -1)) < 1e-6  # patches without noise: both bands by the same factor
    both = plain.all(dim=1)
    assert both.sum() > 5
    torch.testing.assert_close(ratio[both, 0].mean((-2, -1)), ratio[both, 1].mean((-2, -1)))


@pytest.mark.parametrize("optical", [[True] * 3, [True, False, True], [False] * 3])
@pytest.mark.parametrize("size", [1, 7, 16, 150])
@pytest.mark.parametrize("gaps", ["none", "some", "all"])
@pytest.mark.parametrize("zeros", [None, torch.tensor([-0.5, 0.1, -2.0])[:, None, None]])
def test_patch_by_patch_gives_the_bits_of_the_whole_batch(optical, size, gaps, zeros):
    bands = tuple(Band(f"b{i}", 1e-4, -0.1, 0.0, 1.0, flag) for i, flag in enumerate(optical))
    layer, generator = InputLayer(InputSpecification.from_set(bands, None, 0.25)), torch.Generator().manual_seed(size)
    codes = torch.randint(-(2**15), 2**15, (6, 3, size, size), generator=generator, dtype=torch.int16)
    codes[codes == -1] = 5
    if gaps != "none":
        codes[::2, :, : size if gaps == "all" else size // 2] = -1
    y = torch.randint(0, 3, (6, size, size), generator=generator, dtype=torch.uint8)
    floats = torch.where(codes == -1, torch.nan, codes / 2**15)
    for x in (codes, floats):
        for step in range(2):
            draws = step_generator(3, step, CPU)
            moved, classes = random_symmetry(x, y, draws)
            expected = photometric(layer(moved), missing_values(moved), optical, 0.25, draws, zeros)
            found, found_classes = augmented_batch(x, y, layer, optical, 0.25, step_generator(3, step, CPU), zeros)
            assert torch.equal(found, expected)
            assert torch.equal(found_classes, classes)
            assert size == 1 or found_classes.stride() == classes.stride()  # sums over them follow memory
