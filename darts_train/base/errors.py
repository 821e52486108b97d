"""The two ways in which work stops: something the user can mend, and everything else."""


class UserError(Exception):
    """What a user can mend: bad input, a missing file, settings that contradict each other.

    The message is one or two lines: what is wrong, where (file, key, row), what to do.
    The command line prints it as it is and leaves with exit code 2.
    """


def listing(items: object, limit: int = 5) -> str:
    """Join items for a one-line message: the first `limit`, then how many more there are.

    >>> listing(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    names = [str(item) for item in items]  # type: ignore[attr-defined]
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {len(names) - limit} more"


def nearest(name: str, known: object, count: int = 3) -> str:
    """End of a message that names what was probably meant: `; nearest: a, b` or nothing.

    >>> nearest("patchsize", ["patch_size", "overlap"])
    '; nearest: patch_size'
    """
    import difflib

    close = difflib.get_close_matches(name, [str(k) for k in known], count)  # type: ignore[attr-defined]
    return f"; nearest: {', '.join(close)}" if close else ""
