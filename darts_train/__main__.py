"""`python -m darts_train` is the program `darts`."""

from darts_train.cli.main import run

run()
