"""Options: what stays of a search, and whether it may go on although it has changed."""

from dataclasses import dataclass

from darts_train.base.errors import UserError
from darts_train.options.fields import OptionGroup, option

ALL = "all"
NUMBERS = {"best": 1, "none": 0}


@dataclass(frozen=True, kw_only=True)
class Keeping(OptionGroup):
    """What stays of a search."""

    keep_checkpoints: str = option("Trials whose checkpoints stay: all, best, top-N (such as top-5) or none.", ALL)
    force: bool = option("Go on with a search that was made with other settings, data or space.", False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.kept_trials()

    def kept_trials(self) -> int | None:
        """How many trials, the best ones, keep their checkpoints; None: all do. Raises UserError for other words."""
        word = self.keep_checkpoints
        if word == ALL or word in NUMBERS:
            return NUMBERS.get(word)
        head, _, number = word.partition("-")
        if head != "top" or not (number.isascii() and number.isdigit()) or int(number) < 1:
            raise UserError(f"--keep-checkpoints: {word!r} is not one of all, best, top-N (such as top-5), none.")
        return int(number)
