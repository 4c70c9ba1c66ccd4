"""How many rows every table of the connected database has."""

from __future__ import annotations

from decortex_schemas.database import schema


def row_counts() -> dict[str, int]:
    """Rows by table, of all tables, in one question: one per table takes a second in all."""
    query = schema.connection.query
    names = query(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", args=(schema.database,)
    ).fetchall()
    counts = " UNION ALL ".join(
        f"SELECT '{name}', COUNT(*) FROM `{schema.database}`.`{name}`" for (name,) in names
    )
    return {name: int(count) for name, count in query(counts).fetchall()}
