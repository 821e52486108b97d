"""Several networks as one: the mean is the mean, each member sees what it was trained on, and what does not go together
is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.models.ensemble import EnsembleNetwork, mean_logits, normalised, vote_logits
from darts_train.models.ensemble_config import ensemble_config, ensemble_state, union_specification
from darts_train.models.model_file import load_model_file, save_model_file
from tests.support.members import codes, members, probabilities, spec_of, write_member

weights_of = st.lists(st.floats(0.01, 100), min_size=1, max_size=5)


def activated(logits):
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


def save(path, found, weights, votes="soft", **further):
    config = ensemble_config(found, [f"m{i}" for i in range(len(found))], weights, votes, 0.5, **further)
    save_model_file(path, config, ensemble_state(found))
    return load_model_file(path)


@given(weights_of, st.sampled_from([1, 3]), st.integers(0, 2**16), st.sampled_from([1.0, 10.0, 60.0]))
@settings(max_examples=50, deadline=None)
def test_probabilities_of_the_logits_are_the_weighted_mean(weights, classes, seed, spread):
    torch.manual_seed(seed)
    logits = torch.randn(len(weights), 2, classes, 3, 3, dtype=torch.float64) * spread
    shares = normalised(weights).double()
    expected = sum(share * activated(one) for share, one in zip(shares, logits, strict=True)) / shares.sum()
    found = mean_logits(logits, shares / shares.sum())
    assert torch.isfinite(found).all()
    torch.testing.assert_close(activated(found), expected, rtol=1e-6, atol=1e-9)
    order = torch.randperm(len(weights))
    torch.testing.assert_close(mean_logits(logits[order], (shares / shares.sum())[order]), found, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(activated(mean_logits(logits[:1].repeat(len(weights), 1, 1, 1, 1), shares)),
                               activated(logits[0]), rtol=1e-6, atol=1e-6)  # fmt: skip


def test_certain_members_stay_certain():
    logits = torch.full((2, 1, 1, 1, 1), 200.0)
    assert mean_logits(logits, normalised([1, 3])).item() == pytest.approx(200)
    logits[1] = -200.0
    assert mean_logits(logits, normalised([1, 3])).sigmoid().item() == pytest.approx(0.25)


@given(weights_of, st.sampled_from([1, 3]), st.integers(0, 2**16))
@settings(max_examples=30, deadline=None)
def test_hard_votes_are_shares(weights, classes, seed):
    torch.manual_seed(seed)
    logits = torch.randn(len(weights), 2, classes, 3, 3)
    cuts, shares = torch.linspace(-1, 1, len(weights)), normalised(weights)
    found = activated(vote_logits(logits, shares, cuts)).numpy()
    for place in np.ndindex(2, 3, 3):
        n, i, j = place
        for k in range(classes):
            voted = [
                float(share) for share, cut, one in zip(shares, cuts, logits[:, n, :, i, j], strict=True)
                if (one[0] > cut if classes == 1 else int(one.argmax()) == k)
            ]  # fmt: skip
            assert found[n, k, i, j] == pytest.approx(sum(voted), abs=1e-5)


SPECS = {
    "equal": [spec_of(), spec_of()],
    "z-scores": [spec_of(kind="zscore", low=0.05, high=0.1), spec_of(kind="zscore", low=0.07, high=0.2, fill=-3.0)],
    "ranges": [spec_of(low=0.0, high=0.3, fill=0.5), spec_of(low=0.1, high=0.4, fill=-1.0)],
    "kinds": [spec_of(), spec_of(kind="zscore", low=0.05, high=0.1), spec_of(kind="quantile", low=0.02, high=0.3)],
    "patches": [spec_of(kind="sample-quantile", fill=0.3), spec_of(("red", "blue"), kind="sample-quantile")],
    "bands": [spec_of(("green", "blue")), spec_of(("red", "green"), fill=2.0), spec_of(("blue",), low=-0.1)],
}


@pytest.mark.parametrize("case", SPECS)
@pytest.mark.parametrize("classes", [("background", "positive"), ("a", "b", "c")])
def test_every_member_sees_what_it_was_trained_on(tmp_path, case, classes):
    alone = members(tmp_path, SPECS[case], classes=classes)
    weights = [1.0 + i for i in range(len(alone))]
    together = save(tmp_path / "e.ckpt", alone, weights)
    x = codes(1, len(together.spec.bands))
    expected = sum(
        weight * probabilities(model, x[:, list(map(together.spec.names.index, model.spec.names))].copy())
        for weight, model in zip(weights, alone, strict=True)
    ) / sum(weights)  # fmt: skip
    np.testing.assert_allclose(probabilities(together, x), expected, atol=1e-5)
    assert (case == "equal") == all(isinstance(view, torch.nn.Identity) for view in together.network.views)
    assert set(together.network.state_dict()) == set(ensemble_state(alone))


@pytest.mark.parametrize("fit", [("pad", 24), ("resize", 16)])
def test_patches_that_are_fitted(tmp_path, fit):
    """Padded: to the last digit. Resampled: the mean is one of the network's own image."""
    alone = members(tmp_path, SPECS["z-scores"], fit=fit)
    together = save(tmp_path / "e.ckpt", alone, [1, 1])
    x = codes(2)
    expected = sum(probabilities(model, x) for model in alone) / 2
    np.testing.assert_allclose(probabilities(together, x), expected, atol=1e-5 if fit[0] == "pad" else 0.2)
    assert together.side == alone[0].side


def test_votes_and_temperature_are_of_the_file(tmp_path):
    x = codes(3)
    calm = write_member(tmp_path / "calm.ckpt", 0, calibration={"temperature": 2.0, "method": "by hand"})
    one, plain = load_model_file(calm), load_model_file(write_member(tmp_path / "plain.ckpt", 0))
    logit = np.log(probabilities(plain, x) / (1 - probabilities(plain, x)))
    np.testing.assert_allclose(probabilities(one, x), 1 / (1 + np.exp(-logit / 2)), atol=1e-5)
    assert set(one.network.state_dict()) == set(plain.network.state_dict())
    together = save(tmp_path / "e.ckpt", [one, plain], [3, 1], "hard", vote_thresholds=[0.3, 0.5])
    expected = 0.75 * (probabilities(one, x) > 0.3) + 0.25 * (probabilities(plain, x) > 0.5)
    np.testing.assert_allclose(probabilities(together, x), expected, atol=1e-5)


def test_what_does_not_go_together(tmp_path):
    first = load_model_file(write_member(tmp_path / "a.ckpt", 0))
    for words, changes in {
        r"^b: its classes \(a, b, c\) is not that of a": {"classes": ("a", "b", "c")},
        "^b: its patch size": {"size": 64},
        "^b: its fit of patches": {"fit": ("resize", 16)},
        "^b: its settings of the scenes": {"source": {"scale": 2.0}},
    }.items():
        other = load_model_file(write_member(tmp_path / "b.ckpt", 1, **changes))
        with pytest.raises(UserError, match=words):
            ensemble_config([first, other], ["a", "b"], [1, 1], "soft", 0.5)
    with pytest.raises(UserError, match="cannot be put together"):
        union_specification([spec_of(), spec_of(kind="sample-minmax")], ["a", "b"])
    other = spec_of().bands[0].__class__("blue", 1e-3, 0.0, 0.0, 0.3)
    with pytest.raises(UserError, match="b: its band blue is in other units"):
        union_specification([spec_of(("blue",)), type(spec_of())((other,))], ["a", "b"])


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("at members", {"members": "x"}),
        ("at members", {"members": []}),
        ("at weights", {"weights": [1]}),
        ("at weights", {"weights": [1, -1]}),
        ("at weights", {"weights": [1, float("nan")]}),
        ("at weights", {"weights": ["x", 1]}),
        ("at votes", {"votes": "loud"}),
        ("its bands, ranges or classes", {"ranges": [[0, 1]] * 3}),
        ("at calibration.temperature", {"calibration": {"temperature": 0}}),
        ("beyond the members'", {"members": 1}),
        ("single network", {"members": 2}),
    ],
)
def test_files_that_contradict_themselves(tmp_path, words, change):
    alone = members(tmp_path, SPECS["equal"])
    config = ensemble_config(alone, ["a", "b"], [1, 1], "soft", 0.5)
    if change.get("members") == 1:
        change = {"members": config["members"][:1], "weights": [1]}
    elif change.get("members") == 2:
        change = {"members": [config, config]}
    save_model_file(tmp_path / "e.ckpt", config | change, ensemble_state(alone))
    with pytest.raises(UserError, match=words) as caught:
        load_model_file(tmp_path / "e.ckpt")
    assert "e.ckpt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_are_none():
    for weights in ([], [0.0, 1.0], [-1.0, 2.0], [float("inf"), 1.0]):
        with pytest.raises(ValueError, match="above 0"):
            EnsembleNetwork([torch.nn.Identity()] * len(weights), [None] * len(weights), weights)
