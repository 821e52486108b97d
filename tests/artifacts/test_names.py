import random
import re

import pytest

from darts_train.artifacts import names
from darts_train.base.errors import UserError


@pytest.mark.parametrize("count", [1, 2, 3, 4, 10])
def test_seeds_are_a_prefix_of_the_reference(count):
    reference = [42, 21, 69, 1824, 409, 4506, 4012, 3657, 2286, 1679]
    assert names.cv_seeds(count) == reference[:count]


def test_seeds_do_not_repeat_and_end():
    seeds = names.cv_seeds(names.MOST_SEEDS)
    assert len(set(seeds)) == names.MOST_SEEDS
    assert all(names.cv_seeds(count) == seeds[:count] for count in range(1, names.MOST_SEEDS, 97))
    with pytest.raises(UserError, match="--n-randoms"):
        names.cv_seeds(names.MOST_SEEDS + 1)


def test_names_of_the_hierarchy():
    assert names.cv_name("t", 3) == "t-cv3"
    assert names.run_name(names.cv_name("t", 3), 2, 69) == "t-cv3-run-f2s69"
    assert names.retrain_name("t") == "t-retrain"


def test_run_id_is_eight_characters_and_ignores_the_global_seed():
    random.seed(42)
    first = names.new_run_id()
    random.seed(42)
    assert re.fullmatch(r"[a-z0-9]{8}", first)
    assert names.new_run_id() != first


def test_random_name_avoids_what_is_taken():
    everything = {f"{a}-{n}" for a in names.ADJECTIVES for n in names.NOUNS}
    free = names.random_name(everything)
    assert free not in everything
    assert names.check_name(free, "--x") == free


@pytest.mark.parametrize("name", ["a", "Große-Fahrt_2", "v1.2+x=3", "0"])
def test_good_names(name):
    assert names.check_name(name, "--cv-name") == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "_runs", "-x", "a b", "a\n", "a\0", "x" * 101])
def test_names_that_are_no_directory(name):
    with pytest.raises(UserError, match="--cv-name"):
        names.check_name(name, "--cv-name")
