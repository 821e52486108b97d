"""What runs, cross-validations and tunes are called, and the seeds that go with them.

Random parts come from `secrets`, never from `random`: training seeds the latter, and two runs of the
same seed must not get the same name.
"""

import random
import re
import secrets
import string
from collections.abc import Container

from darts_train.base.errors import UserError

ID_LENGTH = 8
ID_ALPHABET = string.ascii_lowercase + string.digits
FIRST_SEEDS = (42, 21, 69)
SEED_RANGE = 9999
MOST_SEEDS = 900  # below this the draws repeat none of the first seeds, and fewer are a prefix of more
LONGEST_NAME = 100  # a cross-validation of a tune adds its suffixes, and a file name has 255 bytes

ADJECTIVES = (
    "amber", "arctic", "bright", "calm", "clear", "coastal", "crisp", "distant", "drifting", "early", "frosty",
    "gentle", "golden", "hidden", "icy", "lively", "lunar", "mellow", "misty", "nimble", "northern", "patient",
    "polar", "quiet", "rapid", "rolling", "silent", "silver", "sunny", "tidal", "vivid", "wandering",
)  # fmt: skip
NOUNS = (
    "aurora", "bay", "birch", "brook", "canyon", "cedar", "cliff", "delta", "dune", "fjord", "floe", "glacier",
    "harbor", "heron", "island", "kelp", "lagoon", "lichen", "marsh", "meadow", "moraine", "orca", "otter", "petrel",
    "reef", "ridge", "shoal", "slump", "tern", "thaw", "tundra", "valley",
)  # fmt: skip

_NAME = re.compile(r"[^\W_][\w.+=-]*")


def random_name(taken: Container[str] = ()) -> str:
    """A name that people can say, such as `misty-heron`, not among `taken`.

    After 20 misses a number is added, so that a crowded directory never stops the search.
    """
    for attempt in range(1_000_000):
        name = f"{secrets.choice(ADJECTIVES)}-{secrets.choice(NOUNS)}"
        if attempt >= 20:
            name += f"-{secrets.randbelow(10 ** (attempt // 20 + 1))}"
        if name not in taken:
            return name
    raise RuntimeError("a million random names are all taken")


def new_run_id() -> str:
    """Eight random characters of a-z and 0-9."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))


def check_name(name: str, option: str) -> str:
    """Return `name` where it can name a directory; else UserError naming the option.

    Letters (of any script), digits and `_ . + = -`, beginning with a letter or digit: no path
    separators, nothing hidden, and nothing like `_runs`, which the artifact directory keeps for itself.
    """
    if len(name) > LONGEST_NAME:
        raise UserError(f"{option}: a name has at most {LONGEST_NAME} characters, this one {len(name)}.")
    if not _NAME.fullmatch(name):
        raise UserError(f"{option}: {name!r} cannot name a directory; use letters, digits and . _ + = -")
    return name


def cv_name(tune_name: str, hp_index: int) -> str:
    """Name of the cross-validation of trial `hp_index` of a tune: `tune-cv3`."""
    return f"{tune_name}-cv{hp_index}"


def run_name(cv_name: str, fold: int, seed: int) -> str:
    """Name of a run of a cross-validation: `tune-cv3-run-f2s69`."""
    return f"{cv_name}-run-f{fold}s{seed}"


def retrain_name(tune_name: str) -> str:
    """Name of the run that trains a tune's best configuration on all training data."""
    return f"{tune_name}-retrain"


def cv_seeds(count: int) -> list[int]:
    """The first `count` seeds of every cross-validation: 42, 21, 69, then draws without repetition.

    The draws are `random.Random(42).sample(range(9999), count - 3)`. No seed comes twice, and fewer
    seeds are a prefix of more. Raises UserError beyond 900, where neither would hold for long.
    """
    if count > MOST_SEEDS:
        raise UserError(f"--n-randoms: {count} seeds were asked for; at most {MOST_SEEDS}.")
    extra = random.Random(42).sample(range(SEED_RANGE), max(0, count - len(FIRST_SEEDS)))
    return [*FIRST_SEEDS[:count], *extra]
