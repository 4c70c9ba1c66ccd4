"""Accounts of every role on a lab."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from forked_commands import ForkedLab

PASSWORD = "not-to-be-seen-7d1f"


@contextmanager
def people_of(lab: ForkedLab) -> Iterator[dict[str, ForkedLab]]:
    """The lab as a user of each role sees it."""
    names = {role: f"{role}_{uuid.uuid4().hex[:8]}" for role in ("viewer", "worker", "author", "admin")}
    for role, name in names.items():
        done = lab.run("db", "grant", name, "--role", role, DECORTEX_NEW_PASSWORD=PASSWORD)
        assert f"new account {name}@% is {role}" in done.stdout
        assert PASSWORD not in done.stdout + done.stderr
    yield {
        role: replace(lab, environment={**lab.environment, "DJ_USER": name, "DJ_PASS": PASSWORD})
        for role, name in names.items()
    }
    for name in names.values():
        lab.query("DROP USER %s@%s", name, "%")
