"""A real browser without a window, where there is one."""

import html
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--no-proxy-server",
)  # fmt: skip


def chromium() -> str:
    """The browser's path; skips the test where none is installed, and fails it where skips are forbidden."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        reason = "no chromium is installed"
        (pytest.fail if os.environ.get("DARTS_FORBID_SKIPS") == "1" else pytest.skip)(reason)
    return str(found)


def open_page(page: Path, profile: Path, probe: str) -> tuple[str, str]:
    """Open a page beside which a script runs; returns what `probe` evaluates to, and the browser's log.

    The page itself must forbid scripts, so the probe looks at it from outside: a frame of the same directory.
    """
    outer = page.with_name("probe.html")
    outer.write_text(
        f"<!doctype html><iframe id=f src={page.name} width=1200 height=900></iframe><pre id=out></pre><script>"
        "f.onload = () => { const page = f.contentDocument, view = f.contentWindow;"
        f"out.textContent = JSON.stringify({probe}); }}</script>"
    )
    command = [
        chromium(),
        *QUIET,
        f"--user-data-dir={profile}",
        "--allow-file-access-from-files",
        "--enable-logging=stderr",
    ]
    command += ["--virtual-time-budget=5000", "--dump-dom", outer.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    match = re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match, done.stderr
    return html.unescape(match[1]), done.stderr
