"""Tables of a report fit a sheet of A4: in parts, each with the columns that name its rows, no column left out."""

from __future__ import annotations

import pytest

from decortex_ops.reports.columns import (
    MOST_BESIDE,
    NAMING,
    RESULT_COLUMNS,
    STATES_COLUMNS,
    STATS_COLUMNS,
    SUMMARY_COLUMNS,
    parts,
)


@pytest.mark.parametrize("columns", [RESULT_COLUMNS, STATES_COLUMNS, STATS_COLUMNS, SUMMARY_COLUMNS])
def test_every_part_fits_and_names_its_rows(columns: tuple[str, ...]) -> None:
    found = parts(columns)
    assert len(found) > 1
    names = [name for name in columns if name in NAMING]
    assert {"method"} <= set(names)
    for one in found:
        assert len(one) <= MOST_BESIDE
        assert list(one[: len(names)]) == names
    assert [name for one in found for name in one[len(names) :]] == [n for n in columns if n not in NAMING]


def test_a_narrow_table_stays_whole() -> None:
    assert parts(("name", "value")) == [("name", "value")]
