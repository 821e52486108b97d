"""Messages about a space name the file, the line and the key."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.experiments.space.hyperparameters import read_hyperparameters
from darts_train.experiments.space.key_lines import key_lines
from darts_train.experiments.space.wandb import read_wandb_sweep

TOML = """\
# a comment with [brackets] and = signs
[darts.training]
max-epochs = 3
note = \"\"\"
[not.a.table]
gamma = 1
\"\"\"
bands = [
  "red", # ] not the end
  "nir",
]

[hyperparameters]
"model-arch" = ["Unet",
                "FPN"]
gamma = {gamma}
model_options.encoder_depth = [3, 4]

[hyperparameters.focal_loss_gamma]
low = {low}
high = 1.0
"""
GOOD = {"gamma": "0.5", "low": "0.0"}


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


def toml(**changes):
    values = {**GOOD, **changes}
    return TOML.replace("{gamma}", values["gamma"]).replace("{low}", values["low"])


def test_lines_of_toml(tmp_path):
    assert len(read_hyperparameters(written(tmp_path, "a.toml", toml())).parameters) == 4
    lines = key_lines(toml(), ".toml")
    assert {".".join(keys): line for keys, line in lines.items() if keys[0] == "hyperparameters"} == {
        "hyperparameters": 13, "hyperparameters.model-arch": 14, "hyperparameters.gamma": 16,
        "hyperparameters.model_options": 17, "hyperparameters.model_options.encoder_depth": 17,
        "hyperparameters.focal_loss_gamma": 19, "hyperparameters.focal_loss_gamma.low": 20,
        "hyperparameters.focal_loss_gamma.high": 21,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gamma": "[]"}, ":16: hyperparameters.gamma: the list of choices is empty."),
        ({"gamma": "{low = 0.9, high = 0.1}"}, ":16: hyperparameters.gamma: the low end, 0.9, must be less"),
        ({"gamma": '{distribution = "unifrm", low = 0.1, high = 0.9}'}, ":16: hyperparameters.gamma: no distribution"),
        ({"low": "2.0"}, ":19: hyperparameters.focal_loss_gamma: the low end, 2.0,"),
        (
            {"gamma": "0.5\ngama = 1"},
            ":17: hyperparameters: 'gama' is not a setting that can be searched; nearest: gam",
        ),
    ],
)
def test_toml_errors_have_their_line(tmp_path, changes, said):
    path = written(tmp_path, "a.toml", toml(**changes))
    with pytest.raises(UserError) as caught:
        read_hyperparameters(path)
    assert str(caught.value).startswith(f"{path}{said}")


def test_a_grid_over_a_range_has_its_line(tmp_path):
    space = read_hyperparameters(written(tmp_path, "a.toml", toml()))
    with pytest.raises(UserError, match=r"a\.toml:19: hyperparameters\.focal_loss_gamma: a grid needs lists"):
        space.require_grid()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("parameters:\n  a: {value: 1}\n", ":2: parameters: 'a' is not a setting"),
        ("parameters:\n  gamma:\n    min: 0.5\n    max: 0.1\n", ":2: parameters.gamma: the low end"),
        ("method: grd\nparameters: {gamma: {value: 1}}\n", ":1: method: 'grd' is none of"),
        ("parameters: {gamma: {value: 1}}\nmetric: {name: x}\n", ":2: metric.goal: maximize or minimize"),
        ("parameters: {gamma: {value: 1}}\nmetric: {nam: x, name: y}\n", ":2: metric.nam: a metric has no key 'nam'"),
        ("parameters: {gamma: {value: 1}}\nrun_cap: 0\n", ":2: run_cap: a whole number"),
        ("parameters: {gamma: {value: 1}}\nrun_cpa: 3\n", ":2: no key 'run_cpa' in a sweep file; nearest: run_cap"),
        (
            "parameters:\n  loss_options:\n    parameters:\n      smooth: {min: 2, max: 1}\n",
            ":4: parameters.loss_options.parameters.smooth: the low end",
        ),
        ("x: &a {value: 1}\nparameters:\n  gamma: *a\n", ":1: no key 'x'"),
    ],
)
def test_yaml_errors_have_their_line(tmp_path, text, said):
    path = written(tmp_path, "s.yaml", text)
    with pytest.raises(UserError) as caught:
        read_wandb_sweep(path)
    assert str(caught.value).startswith(f"{path}{said}")


def test_json_too(tmp_path):
    path = written(tmp_path, "s.json", '{"parameters":\n  {"gamma":\n    {"values": []}}}')
    with pytest.raises(UserError, match=r"s\.json:2: parameters\.gamma: the list of choices is empty"):
        read_wandb_sweep(path)


HYPERBAND = "parameters: {gamma: {value: 1}}\nearly_terminate:\n  "


@pytest.mark.parametrize(
    ("said", "brackets"),
    [
        ("{type: hyperband, min_iter: 3}", (3, 9, 27, 81)),
        ("{type: hyperband, min_iter: 2, eta: 2.0, strict: true}", (2, 4, 8, 16, 32, 64)),
        ("{type: hyperband, max_iter: 27, s: 2}", (3, 9)),
        ("{type: hyperband, max_iter: 27, s: 2, eta: 9}", (3,)),
    ],
)
def test_hyperband(tmp_path, said, brackets):
    found = read_wandb_sweep(written(tmp_path, "s.yaml", f"{HYPERBAND}{said}\nrun_cap: 7\n"))
    assert found.early_terminate.brackets(100) == brackets
    assert found.early_terminate.strict == ("strict" in said)
    assert found.run_cap == 7


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("{type: median}", "type: hyperband was expected"),
        ("{min_iter: 3}", "type: hyperband was expected"),
        ("{type: hyperband}", "either min_iter, or max_iter with s"),
        ("{type: hyperband, min_iter: 3, max_iter: 9, s: 2}", "either"),
        ("{type: hyperband, max_iter: 9}", "go together"),
        ("{type: hyperband, min_iter: 0}", "from 1 to"),
        ("{type: hyperband, min_iter: 3, eta: 1}", "greater than 1"),
        ("{type: hyperband, min_iter: 3, strict: maybe}", "true or false"),
        ("{type: hyperband, min_itr: 3}", "nearest: min_iter"),
    ],
)
def test_hyperband_that_makes_no_sense(tmp_path, said, part):
    path = written(tmp_path, "s.yaml", HYPERBAND + said)
    with pytest.raises(UserError) as caught:
        read_wandb_sweep(path)
    assert part in str(caught.value)
    assert str(caught.value).startswith((f"{path}:2: early_terminate", f"{path}:3: early_terminate"))


def test_a_file_that_contains_itself_has_lines_too():
    assert len(key_lines("a: &a\n  b: *a\n", ".yaml")) > 2
    laughs = "a: &a {x: 1, y: 2}\n" + "".join(
        f"{b}: &{b} {{x: *{a}, y: *{a}, z: *{a}}}\n" for a, b in zip("abcdefghijklmno", "bcdefghijklmnop", strict=True)
    )
    assert len(key_lines(laughs, ".yaml")) <= 10_000


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="ab=[]{}\"'#\n.- ", max_size=60), st.sampled_from([".toml", ".yaml", ".json"]))
def test_no_text_is_too_odd(text, suffix):
    assert all(1 <= line <= text.count("\n") + 1 for line in key_lines(text, suffix).values())
