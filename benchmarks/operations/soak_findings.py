"""What a soak left: keys that workers' logs report as made, against rows, queues, files and deletions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any


@dataclass
class Deletion:
    """One deletion: which tables lost rows, which rows were meant, and when."""

    tables: set[str]
    restriction: dict[str, Any]
    began: float
    ended: float = float("inf")

    def covers(self, table: str, key: Mapping[str, Any]) -> bool:
        """Whether rows of this key went with it."""
        return table in self.tables and all(
            name not in key or str(key[name]) == str(value) for name, value in self.restriction.items()
        )


@dataclass
class Watch:
    """What /metrics answered."""

    scrapes: int = 0
    unanswered: int = 0
    without_database: int = 0
    most_processes: int = 0
    longest_wait: float = 0.0

    def note(self, text: str) -> None:
        """Take up one answer."""
        values = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        known = {name: float(value) for name, value in values}
        self.without_database += not known.get("decortex_database_up")
        self.most_processes = max(self.most_processes, int(known.get("decortex_processes", 0)))
        waits = [v for name, v in known.items() if name.startswith("decortex_oldest_waiting_seconds")]
        self.longest_wait = max(self.longest_wait, *waits, 0.0)


@dataclass
class MadeKeys:
    """Keys that workers reported as made, by table and key as text: when, and the key; and events by name."""

    times: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    keys: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(cls, logs: Path) -> MadeKeys:
        """Read the workers' logs of a folder."""
        made = cls()
        for path in logs.glob("worker-*.log"):
            for line in path.read_text(errors="replace").splitlines():
                try:
                    event = json.loads(line)
                except json.JSONDecodeError:
                    continue  # a line that a kill cut off
                made.events[event["event"]] += 1
                if event["event"] == "made":
                    identity = (event["table"], json.dumps(event["key"], sort_keys=True, default=str))
                    at = datetime.fromisoformat(event["time"]).timestamp()
                    made.times.setdefault(identity, []).append(at)
                    made.keys[identity] = event["key"]
        return made


def compare(found: Mapping[str, Any], made: MadeKeys, deletions: Sequence[Deletion]) -> dict[str, Any]:
    """Keys made, lost, made twice, and what was left behind.

    Parameters
    ----------
    found : mapping
        What LOOK wrote.
    made : MadeKeys
        Keys reported as made.
    deletions : sequence of Deletion
        Rows that were deleted on purpose.
    """
    rows = {(table, json.dumps(key, sort_keys=True)) for table, own in found["rows"].items() for key in own}
    double = vanished = 0
    for (table, text), times in made.times.items():
        over = [one for one in deletions if one.covers(table, made.keys[table, text])]
        times.sort()
        for first, second in pairwise(times):
            double += not any(one.ended >= first and one.began <= second for one in over)
        if (table, text) not in rows:
            vanished += not any(one.ended >= times[-1] for one in over)
    missing = {table: n for table, n in found["missing"].items() if n}
    return {
        "made": sum(map(len, made.times.values())),
        "rows": len(rows),
        "lost": sum(missing.values()) + vanished,
        "double": double,
        "orphaned": found["reserved"],
        "damaged": len(found["damaged"]),
        "orphaned_files": found["orphaned_files"],
        "files": found["files"],
        "errors": len(found["errors"]),
        "first_errors": found["errors"][:3],
        "missing": missing,
        "vanished": vanished,
        "events": dict(sorted(made.events.items())),
    }
