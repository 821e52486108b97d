"""What the documentation shows exists: files, commands, options, and a script that runs."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from darts_train.cli import main as _main  # noqa: F401  (declares the commands)
from darts_train.cli.registry import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMON = {"--config-file", "--strict-config", "--log-dir"}


def shown_commands():
    """(page, words) of every darts command in a shell block."""
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if "darts" in words:
                    yield page.name, words[words.index("darts") + 1 :]


@pytest.mark.parametrize(("page", "words"), list(shown_commands()))
def test_every_command_and_option_that_is_shown_exists(page, words):
    name, *rest = words
    assert name in COMMANDS, page
    known = {flag for option in COMMANDS[name] for part in option.flags for flag in part.split("/")} | COMMON
    assert {word for word in rest if word.startswith("--")} <= known, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_script_of_the_documentation_runs(tmp_path, monkeypatch, capsys):
    """In this process, which has torch and the others: to import them takes as long as the script."""
    script = ROOT / "docs" / "examples" / "api.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    assert "192 patches" in capsys.readouterr().out
    assert list((tmp_path / "maps").iterdir())
