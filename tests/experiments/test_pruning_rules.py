import dataclasses
import itertools
import math
import random
import statistics

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.experiments.pruning.decision import after_run, at_validation
from darts_train.experiments.pruning.done import gain_of_doubling
from darts_train.experiments.pruning.epoch_rule import allowed
from darts_train.experiments.pruning.fold_rule import compare, pooled_variance, signed_rank, standard_error
from darts_train.experiments.pruning.record import Record, incumbent
from darts_train.experiments.pruning.rule import PruningRule, rule_of
from darts_train.options.pruning import Pruning

FOLDS = [(fold, 42) for fold in range(5)]
HARD = (0.0, 0.1, -0.05, 0.02, -0.1)  # how much easier a fold is
WOBBLE = (0.01, -0.01, 0.005, 0.0, -0.005)
FOLD_RULE = PruningRule()
EPOCH_RULE = PruningRule(folds=False, epochs=True, min_epochs=2, patience=0)
score = st.floats(0.05, 0.95)


def trial(number, mean, turn=0, folds=5, complete=True):
    runs = {key: mean + HARD[i] + WOBBLE[(i + turn) % 5] for i, key in enumerate(FOLDS[:folds])}
    return Record(number, runs, complete=complete)


def running(number, mean, folds):
    return trial(number, mean, number, folds, complete=False)


def watched(number, scores, key=FOLDS[0], ended=False):
    curve = tuple(enumerate(scores, start=1))
    return Record(number, {key: scores[-1]} if ended else {}, {key: curve})


EARLIER = [trial(n, mean, n) for n, mean in enumerate((0.5, 0.6, 0.7, 0.65))]


def test_a_hopeless_trial_is_stopped_after_its_first_fold_and_the_words_say_why():
    reason = after_run(running(9, 0.5, 1), EARLIER, FOLDS, FOLD_RULE)
    assert reason.startswith("fold 0, seed 42: 0.49")
    assert "against 0.7050 of trial 2" in reason
    assert "after 1 of 5 runs the mean differs by -0.2" in reason


def test_a_trial_that_is_as_good_goes_on():
    for folds in range(1, 6):
        assert after_run(running(9, 0.7, folds), EARLIER, FOLDS, FOLD_RULE) is None
        assert after_run(running(9, 0.8, folds), EARLIER, FOLDS, FOLD_RULE) is None


def test_a_hard_fold_is_no_reason():
    alone = Record(9, {FOLDS[4]: EARLIER[2].runs[FOLDS[4]]})  # far below the mean of every trial
    assert alone.score < min(record.score for record in EARLIER[1:])
    assert after_run(alone, EARLIER, FOLDS, FOLD_RULE) is None


def test_nothing_is_stopped_before_there_is_something_to_compare_with():
    assert after_run(running(9, 0.1, 3), EARLIER[:3], FOLDS, FOLD_RULE) is None
    assert after_run(running(9, 0.1, 3), EARLIER[:3], FOLDS, PruningRule(warmup=3)) is not None
    pruned = [dataclasses.replace(record, complete=False) for record in EARLIER]
    assert after_run(running(9, 0.1, 3), pruned, FOLDS, FOLD_RULE) is None


def test_a_trial_that_has_done_everything_is_not_in_question():
    assert after_run(running(9, 0.1, 5), EARLIER, FOLDS, FOLD_RULE) is None
    assert after_run(running(9, 0.1, 2), EARLIER, FOLDS, EPOCH_RULE) is None  # not asked for


def test_an_unstable_run_ends_a_trial():
    reason = after_run(Record(9, {FOLDS[0]: -math.inf}), EARLIER, FOLDS, FOLD_RULE)
    assert "unstable against 0.7050 of trial 2; it is unstable, so it cannot be chosen" in reason


def test_words_show_what_the_user_knows_where_less_is_better():
    negated = [Record(r.number, {key: value - 1 for key, value in r.runs.items()}, {}, True) for r in EARLIER]
    candidate = Record(9, {FOLDS[0]: -0.6})
    reason = after_run(candidate, negated, FOLDS, FOLD_RULE, lower=True)
    assert "fold 0, seed 42: 0.6000 against 0.2950 of trial 2" in reason
    assert "the mean differs by +0.3050" in reason


@given(st.lists(score, min_size=25, max_size=25), st.floats(0.01, 0.2), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_what_beats_the_best_on_every_fold_is_never_stopped(values, gain, done):
    others = [Record(n, dict(zip(FOLDS, values[5 * n : 5 * n + 5], strict=True)), {}, True) for n in range(5)]
    best = incumbent(others)
    assert best.score == max(record.score for record in others)
    candidate = Record(9, {key: best.runs[key] + gain for key in FOLDS[:done]})
    assert after_run(candidate, others, FOLDS, FOLD_RULE) is None


@given(st.lists(score, min_size=25, max_size=25), st.integers(1, 4), st.permutations(range(5)), st.floats(-0.5, 0.5))
@settings(max_examples=50, deadline=None)
def test_neither_the_order_of_trials_nor_how_hard_folds_are_matters(values, done, order, harder):
    others = [Record(n, dict(zip(FOLDS, values[5 * n : 5 * n + 5], strict=True)), {}, True) for n in range(5)]
    candidate = Record(9, dict(zip(FOLDS[:done], values[:done], strict=True)))
    found = compare(candidate, others, FOLDS, FOLD_RULE)
    assert compare(candidate, [others[i] for i in order], FOLDS, FOLD_RULE) == found
    key = FOLDS[0]

    def shift(record):
        return dataclasses.replace(record, runs={k: v + harder * (k == key) for k, v in record.runs.items()})

    shifted = compare(shift(candidate), [shift(record) for record in others], FOLDS, FOLD_RULE)
    assert shifted.difference == pytest.approx(found.difference, abs=1e-9)
    assert shifted.error == pytest.approx(found.error, abs=1e-6)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=10), st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_the_standard_error_shrinks_to_none_at_the_end(differences, prior):
    n = len(differences)
    errors = [standard_error(differences, prior, planned) for planned in range(n, n + 20)]
    assert errors[0] == 0
    assert errors == sorted(errors)
    own = statistics.variance(differences) if n > 1 else 0.0
    pooled = (4 * prior + (n - 1) * own) / (4 + n - 1)
    assert errors[10] == pytest.approx(math.sqrt(pooled * (1 / n - 1 / (n + 10))), abs=1e-9)


def test_the_pooled_variance_is_that_of_most_trials():
    lost = Record(7, {key: 0.1 * i for i, key in enumerate(FOLDS)}, {}, True)
    best = incumbent(EARLIER)
    assert pooled_variance([*EARLIER, lost], best) < 0.001
    assert pooled_variance([best], best) == 0


def test_the_signed_rank_test_needs_pairs():
    assert signed_rank([-0.1] * 5) is None
    assert signed_rank([0.0] * 9) is None
    assert signed_rank([-0.1 - 0.01 * i for i in range(6)]) == pytest.approx(1 / 64)
    assert signed_rank([0.1 + 0.01 * i for i in range(6)]) == 1


def test_many_pairs_that_are_a_little_worse_end_a_trial():
    keys = list(itertools.product(range(5), (42, 21, 69)))
    noise = random.Random(1)
    others = [Record(n, {key: 0.6 + noise.gauss(0, 0.05) for key in keys}, {}, True) for n in range(6)]
    best = incumbent(others)
    candidate = Record(9, {key: best.runs[key] - 0.005 - 0.001 * i for i, key in enumerate(keys[:8])})
    found = compare(candidate, others, keys, FOLD_RULE)
    assert found.signed_rank < 0.01
    assert found.hopeless(1e9)


@pytest.mark.parametrize(
    ("max_epochs", "rule", "rungs"),
    [
        (18, PruningRule(epochs=True), (2, 6)),
        (100, PruningRule(epochs=True), (11, 33)),
        (18, PruningRule(epochs=True, min_epochs=4, reduction=2), (4, 8)),
        (3, PruningRule(epochs=True, reduction=1.1), (2,)),
        (18, PruningRule(), ()),
        (1, PruningRule(epochs=True), ()),
    ],
)
def test_rungs(max_epochs, rule, rungs):
    assert rule.rungs(max_epochs) == rungs


def test_of_a_rung_the_best_share_goes_on():
    others = [watched(n, [0.1 * n, 0.1 * n]) for n in range(8)]
    at = lambda value: at_validation(watched(9, [0.0, value]), others, FOLDS, 18, EPOCH_RULE)  # noqa: E731
    assert at(0.55) is None  # third of nine
    reason = at(0.45)
    assert reason.startswith("fold 0, seed 42: 0.4500 after 2 epochs is behind 3 of 8 other trials; 0.5000 would")
    assert reason.endswith("(best: trial 7)")
    assert at_validation(watched(9, [0.0]), others, FOLDS, 18, EPOCH_RULE) is None  # no rung yet
    assert at_validation(watched(9, [0, 0]), others, FOLDS[::-1], 18, EPOCH_RULE) is None  # another run
    assert at_validation(watched(9, [0, 0]), others[:3], FOLDS, 18, EPOCH_RULE) is None  # too few came so far
    assert at_validation(watched(9, [0, 0]), others, FOLDS, 2, EPOCH_RULE) is None  # its last epoch
    later = Record(9, {FOLDS[0]: 0.0}, {FOLDS[0]: ((1, 0.0), (2, 0.0))})
    assert at_validation(later, others, FOLDS, 18, EPOCH_RULE) is None  # its second run


def test_patience_waits_and_forgives():
    rule = dataclasses.replace(EPOCH_RULE, patience=2)
    others = [watched(n, [0.1 * n] * 5) for n in range(8)]
    ask = lambda *scores: at_validation(watched(9, list(scores)), others, FOLDS, 18, rule)  # noqa: E731
    assert ask(0, 0) is None
    assert ask(0, 0, 0) is None
    assert ask(0, 0, 0, 0) is not None
    assert ask(0, 0, 0.9, 0.9) is None
    assert ask(0, 0, 0, 0, 0) is None  # the next rung is at 6


def test_a_run_that_ended_early_still_counts():
    others = [watched(n, [0.5], ended=True) for n in range(4)]
    assert others[0].at(FOLDS[0], 7) == 0.5
    assert watched(1, [0.5]).at(FOLDS[0], 7) is None
    assert at_validation(watched(9, [0.1, 0.1]), others, FOLDS, 18, EPOCH_RULE) is not None


@given(st.integers(1, 500), st.floats(1.1, 10))
@settings(max_examples=50, deadline=None)
def test_one_passes_at_least_and_never_more_than_the_share(count, reduction):
    assert 1 <= allowed(count, reduction) < count / reduction + 1


@given(st.lists(score, min_size=5, max_size=12, unique=True), score)
@settings(max_examples=50, deadline=None)
def test_what_stops_one_run_stops_every_worse_one(values, own):
    others = [watched(n, [value, value]) for n, value in enumerate(values)]
    reason = at_validation(watched(99, [own, own]), others, FOLDS, 18, EPOCH_RULE)
    worse = at_validation(watched(99, [own / 2, own / 2]), others, FOLDS, 18, EPOCH_RULE)
    assert worse is not None or reason is None
    assert at_validation(watched(99, [1.0, 1.0]), others, FOLDS, 18, EPOCH_RULE) is None


def test_options_become_a_rule():
    assert rule_of(None, 9) is None
    assert rule_of(Pruning(), 9) is None
    assert rule_of(Pruning(stop_when_done=True), 9) is None
    rule = rule_of(Pruning(prune=True, prune_guard=1.0), 9)
    assert (rule.folds, rule.epochs, rule.guard) == (True, False, 1.0)
    assert rule.to_json() == {"guard": 1.0}
    assert PruningRule().to_json() == {}


@pytest.mark.parametrize(
    ("options", "epochs", "said"),
    [
        ({"prune_guard": 1.0}, 9, "--prune-guard says how"),
        ({"prune_epochs": True}, 1, "no rung comes before --max-epochs 1; the first is at one epoch"),
        ({"prune_epochs": True, "prune_min_epochs": 9}, 9, "the first is at 9 epochs"),
    ],
)
def test_settings_that_do_nothing_are_refused(options, epochs, said):
    with pytest.raises(UserError, match=said):
        rule_of(Pruning(**options), epochs)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=8))
@settings(max_examples=50, deadline=None)
def test_the_gain_of_a_doubling_is_that_of_all_orders(values):
    halves = list(itertools.combinations(values, len(values) // 2))
    expected = max(values) - statistics.fmean(max(half) for half in halves)
    assert gain_of_doubling(values) == pytest.approx(expected, abs=1e-9)
    assume(len(values) > 2)
    assert gain_of_doubling([*values, max(values) + 1]) > 0
