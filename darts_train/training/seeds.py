"""Random numbers that do not remember: every draw is a function of the run's seed and of where we are.

A run that was killed goes on bit for bit because nothing random has to be restored: the order of an epoch comes from
(seed, epoch), everything within a step (augmentation, dropout) from (seed, step), or (seed, step, rank) where several
processes train together.
"""

import hashlib

INIT, ORDER, STEP, DROPOUT, READER = "init", "order", "step", "dropout", "reader"


def mixed_seed(seed: int, stream: str, position: int) -> int:
    """A 63-bit seed for one place in one stream; neighbours are unrelated (BLAKE2b of the three)."""
    text = f"{seed}/{stream}/{position}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1
