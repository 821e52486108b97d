"""Losses as they are written: sums, options, and what is refused with the nearest name."""

import pytest

from darts_train.base.errors import UserError
from darts_train.training.losses.terms import KINDS, check_terms, parse_class_weights, parse_terms


def plain(terms):
    return [(term.name, term.weight, dict(term.options)) for term in terms]


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("focal", (), [("focal", 1, {})]),
        ("dice:0.5+focal:0.5", (), [("dice", 0.5, {}), ("focal", 0.5, {})]),
        (" Dice : 1e+1 + soft_ce ", (), [("dice", 10, {}), ("soft-ce", 1, {})]),
        ("focal-dice", (), [("focal", 1, {}), ("dice", 1, {})]),
        ("smoothed-lovasz", ("smoothing=0.2",), [("lovasz", 0.5, {}), ("soft-ce", 0.5, {"smoothing": 0.2})]),
        ("bce", ("pos-weight=auto",), [("bce", 1, {"pos_weight": "auto"})]),
        (
            "dice+jaccard",
            ("dice.smooth=1", "jaccard.smooth=2"),
            [("dice", 1, {"smooth": 1}), ("jaccard", 1, {"smooth": 2})],
        ),
    ],
)
def test_a_sum_has_terms(text, options, expected):
    assert plain(parse_terms(text, options)) == expected


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("dicee", (), r"there is no loss 'dicee'.*dice"),
        ("xyz", (), "there are focal, bce, ce"),
        ("", (), "there is no loss ''"),
        ("dice+", (), "there is no loss ''"),
        ("dice+dice", (), "a loss twice"),
        ("dice:0", (), "greater than 0"),
        ("dice:-1", (), "greater than 0"),
        ("dice:half", (), "'half' is not a number"),
        ("dice:nan", (), "'nan' is not a number"),
        ("dice", ("smoth=1",), r"no option 'smoth'.*smooth"),
        ("lovasz", ("smooth=1",), "it has none"),
        ("dice", ("smooth",), "not name=value"),
        ("dice", ("smooth=",), "not name=value"),
        ("dice", ("smooth=-1",), "at least 0"),
        ("dice", ("smooth=auto",), "'auto' is not a number"),
        ("bce", ("pos_weight=many",), "is not a number or auto"),
        ("soft-ce", ("smoothing=2",), "at least 0 and at most 1"),
        ("dice", ("smooth=1", "smooth=2"), "given twice"),
        ("dice+jaccard", ("smooth=1",), "may be that of dice or jaccard; write dice.smooth=1"),
        ("dice", ("jaccard.smooth=1",), "no term 'jaccard'; it has dice"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text, options, message):
    with pytest.raises(UserError, match=message) as error:
        parse_terms(text, options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", KINDS)
def test_every_option_of_a_loss_reaches_it(name):
    from darts_train.options.learning import Hyperparameters
    from darts_train.training.losses.build import make_loss

    for option in KINDS[name].settings:
        made = make_loss(Hyperparameters(loss=name, loss_options=(f"{option}=0.25",)), 2, 255)
        assert float(getattr(made, option)) == 0.25


def test_class_weights_are_one_per_class():
    assert parse_class_weights(None, 2) is None
    assert parse_class_weights(" Auto ", 2) == "auto"
    assert parse_class_weights("1, 5", 2) == (1, 5)
    for text, message in (("1,2,3", "2 classes, and there are 3"), ("0,0", "one of them greater"), ("1,x", "'x'")):
        with pytest.raises(UserError, match=message):
            parse_class_weights(text, 2)


@pytest.mark.parametrize(
    ("loss", "weights", "classes", "message"),
    [
        ("bce", None, 3, "for two classes, the set has 3; use ce"),
        ("focal", (1, 2), 2, "no effect on focal of 2 classes, but on ce"),
        ("dice", (1, 2), 2, "no effect on dice of 2 classes"),
    ],
)
def test_what_does_not_go_together_is_refused(loss, weights, classes, message):
    with pytest.raises(UserError, match=message):
        check_terms(parse_terms(loss), weights, classes)


def test_weights_go_with_a_sum_of_which_one_term_takes_them():
    check_terms(parse_terms("focal+ce"), (1, 2), 2)
    check_terms(parse_terms("dice"), "auto", 3)
