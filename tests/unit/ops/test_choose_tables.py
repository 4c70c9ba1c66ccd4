"""Tables of a worker by name: as the option is repeated, or with commas as the dashboard advises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from decortex.errors import ConfigError
from decortex_ops.workers import choose_tables

ROOT = Path(__file__).resolve().parents[3]
ADVISING = (
    *(ROOT / "populate_scripts" / "decortex_ops").rglob("*.py"),
    *(ROOT / "docs").rglob("*.md"),
    ROOT / "README.md",
)


def names(given: list[str]) -> list[str]:
    return [table.__name__ for table in choose_tables(given)]


def test_commas_separate_tables_as_repeating_the_option_does() -> None:
    assert names(["Clustering,LabelAgreement"]) == names(["LabelAgreement", "Clustering"])
    assert names(["Clustering, LabelAgreement,"]) == ["Clustering", "LabelAgreement"]
    with pytest.raises(ConfigError, match="no computed table Nothing; there are"):
        choose_tables(["Clustering,Nothing"])


def test_every_command_that_a_page_or_the_docs_advise_names_tables_that_there_are() -> None:
    advised = [
        found
        for path in ADVISING
        for found in re.findall(r"decortex work --tables ([A-Za-z,]+)", path.read_text("utf-8"))
    ]
    assert {"Clustering", "SeedAgreement"} <= set(advised)
    for one in advised:
        assert names([one])
