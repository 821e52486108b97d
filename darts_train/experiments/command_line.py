"""The command that would be typed for given options; it lies beside the options, where reports find it too."""

from darts_train.options.command_line import command_line

__all__ = ["command_line"]
