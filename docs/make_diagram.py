"""Write the diagram of the tables into docs/table-diagram.md. `--check` fails where it is out of date."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import datajoint as dj

import decortex_schemas as schemas

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
PAGE = Path(__file__).with_name("table-diagram.md")


def diagram() -> str:
    """Mermaid text of all tables, without the name of the database they happen to be in."""
    text = dj.Diagram(schemas.schema).make_mermaid()
    return re.sub(rf"`?{re.escape(schemas.schema.database)}`?\.", "", text).replace(
        schemas.schema.database, "decortex"
    )


def _facts(page: str) -> list[str]:
    """Lines of a page without their order: a server that holds other databases too lists the same links otherwise."""
    return sorted(line for line in page.splitlines() if not line.lstrip().startswith("linkStyle"))


def main() -> None:
    """Rewrite the page, or say that it is not what the tables are."""
    schemas.connect()
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN)
    new = f"{head}{BEGIN}\n```mermaid\n{diagram().strip()}\n```\n{END}{rest.split(END)[1]}"
    if "--check" in sys.argv:
        sys.exit(0 if _facts(new) == _facts(page) else f"{PAGE.name} is out of date: run `make diagram`")
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
