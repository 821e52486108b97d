"""How training fails, without torch, for those who look at failures."""


class TrainingError(RuntimeError):
    """A run cannot go on with its settings (diverged, no memory left); another run may. The message is one line."""


class OutOfMemory(TrainingError):
    """A step needs more memory than its device has."""


class UntrainableError(TrainingError):
    """The network cannot be trained with these settings at all."""
