"""Logging, progress, provenance, optional packages."""

import logging

import pytest

from darts_train.base import progress
from darts_train.base.errors import UserError
from darts_train.base.log import logger, setup_logging
from darts_train.base.optional import require
from darts_train.base.provenance import host, now, package_versions


def test_terminal_shows_info_and_the_file_everything(tmp_path, capsys):
    file = setup_logging("probe", tmp_path / "logs")
    logger("room").debug("small")
    logger("room").info("said")
    logger("room").warning("careful")
    assert capsys.readouterr().err == "said\nwarning: careful\n"
    assert file is not None
    assert [line.split()[-1] for line in file.read_text().splitlines()] == ["small", "said", "careful"]


def test_verbose_shows_debug(capsys):
    setup_logging("probe", None, verbose=1)
    logger("room").debug("small")
    assert capsys.readouterr().err == "debug: small\n"


def test_a_log_directory_that_cannot_be_made_does_not_stop_work(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert setup_logging("probe", tmp_path / "file" / "logs") is None
    assert "no log file" in capsys.readouterr().err


def test_calling_twice_does_not_double_the_lines(capsys):
    setup_logging("probe", None)
    setup_logging("probe", None)
    logger("room").info("once")
    assert capsys.readouterr().err.count("once") == 1


def test_progress_yields_everything_and_says_so_in_plain_lines(monkeypatch, caplog):
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    logging.getLogger("darts").propagate = True
    with caplog.at_level(logging.INFO, "darts.progress"):
        assert list(progress.track(iter("abc"), "Patches", 3)) == ["a", "b", "c"]
    assert "Patches: 2 of 3" in caplog.text


def test_provenance_names_what_can_change_a_result():
    assert {"torch", "zarr", "numpy"} <= set(package_versions())
    assert set(host()) == {"host", "platform", "python"}
    assert now().endswith("+00:00")


def test_an_optional_package_that_is_missing_says_how_to_get_it():
    with pytest.raises(UserError, match=r"The map needs no_such_module; .*darts-train\[gee\]"):
        require("no_such_module", "gee", "The map")
