"""The private server keeps the tables open that a session has read."""

from __future__ import annotations

import pytest
from support.servers import OUTLIVES_THE_RUN

import decortex_schemas as schemas


@pytest.mark.skipif(OUTLIVES_THE_RUN, reason="a setting of the private server; this one was configured")
def test_a_session_opens_no_table_twice(database: dict[str, str]) -> None:
    ask = schemas.schema.connection.query
    tables = [name for (name,) in ask(f"SHOW TABLES FROM `{schemas.schema.database}`").fetchall()]
    assert len(tables) > 100

    def opened_by_reading_all() -> int:
        before = int(ask("SHOW SESSION STATUS LIKE 'Opened_tables'").fetchone()[1])
        for name in tables:
            ask(f"SELECT 1 FROM `{schemas.schema.database}`.`{name}` LIMIT 1").fetchall()
        return int(ask("SHOW SESSION STATUS LIKE 'Opened_tables'").fetchone()[1]) - before

    opened_by_reading_all()
    assert opened_by_reading_all() == 0
