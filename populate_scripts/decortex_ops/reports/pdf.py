"""A page as a real PDF, printed by a Chromium that is on this machine; refused where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from decortex.errors import OperationError

# Names under which distributions install it.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# A page of figures takes seconds; a browser that hangs must not hold the command for ever.
MOST_SECONDS = 300


def find_browser() -> str | None:
    """Path of a Chromium: ``CHROMIUM``, else the first of `PROGRAMS` on the PATH; None where there is none."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    return next((found for one in PROGRAMS if (found := shutil.which(one))), None)


def require_browser() -> str:
    """Path of the Chromium that prints, before anything is drawn for it.

    Raises
    ------
    OperationError
        If there is none.
    """
    program = find_browser()
    if program is None:
        raise OperationError(
            "a PDF is printed by Chromium, and none is on this machine: install it (apt install chromium), name one in "
            "CHROMIUM, or write .html and print that from a browser."
        )
    return program


def as_pdf(page: str) -> bytes:
    """Print one HTML page on A4.

    Parameters
    ----------
    page : str
        A page that fetches nothing.

    Returns
    -------
    bytes
        The PDF.

    Raises
    ------
    OperationError
        If there is no Chromium, or it printed nothing.
    """
    program = require_browser()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "page.html", Path(folder) / "page.pdf"
        source.write_text(page, encoding="utf-8")
        words = [
            program,
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            f"--user-data-dir={folder}/profile",
            "--no-pdf-header-footer",
            f"--print-to-pdf={target}",
        ]
        # Chromium refuses its sandbox to root; the page is ours and fetches nothing.
        words += ["--no-sandbox"] if os.geteuid() == 0 else []
        try:
            done = subprocess.run(
                [*words, source.as_uri()], check=False, capture_output=True, text=True, timeout=MOST_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise OperationError(f"{program} did not print the page: {error}.") from None
        content = target.read_bytes() if target.is_file() else b""
    if not content.startswith(b"%PDF-"):
        said = (done.stderr or done.stdout).strip().splitlines()
        raise OperationError(
            f"{program} printed no PDF (exit status {done.returncode}){': ' + said[-1] if said else ''}; write .html "
            "and print that from a browser."
        )
    return content
