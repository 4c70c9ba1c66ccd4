"""Whether the server of the tests outlives them: one that was configured does, a run's own goes with its databases."""

from __future__ import annotations

import os
from typing import Any

# Read while modules are imported: later a fixture names the run's own server in the environment.
OUTLIVES_THE_RUN = bool(os.environ.get("DJ_HOST"))


def drop_database(link: Any, name: str) -> None:
    """Drop a database that may not exist, where it would be left behind; it takes the server a second.

    Parameters
    ----------
    link : pymysql connection
        To the server.
    name : str
        Of the database.
    """
    if OUTLIVES_THE_RUN:
        with link.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
