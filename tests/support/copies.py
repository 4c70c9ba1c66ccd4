"""Databases that are made once per test run, by the process that needs one first, and copied from then on."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from filelock import FileLock
from forked_commands import ForkedLab
from support.servers import drop_database


class Copies:
    """Backups of databases that tests begin with, shared by all processes of a test run.

    Tables are declared and computed once, and copied by the restore that the project offers its users. Nobody works
    on an original: what a test begins with does not depend on which test came first.

    Parameters
    ----------
    folder : Path
        One for all processes of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def load(self, original: str, lab: ForkedLab, make: Callable[[ForkedLab], object]) -> None:
        """Give a lab a copy of a database and of its store.

        Parameters
        ----------
        original : str
            Name of what is copied.
        lab : ForkedLab
            Whose database and store do not exist yet.
        make : callable
            Makes the original in the lab that it is given, where no process of the run has.
        """
        from decortex_ops.admin import restore
        from decortex_schemas.database import Settings

        backup = self._folder / original
        with FileLock(f"{backup}.lock"):
            if not backup.exists():
                self._make(backup, lab, make)
        environment = lab.environment
        store = Path(environment["DECORTEX_STORE"])
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = Settings(
            host=environment["DJ_HOST"],
            port=int(environment["DJ_PORT"]),
            user=environment["DJ_USER"],
            password=environment["DJ_PASS"],
            database=json.loads((backup / "manifest.json").read_text(encoding="utf-8"))["database"],
            store=store,
        )
        restore(settings, backup, name=environment["DECORTEX_DATABASE"], store_folder=store)

    def _make(self, backup: Path, lab: ForkedLab, make: Callable[[ForkedLab], object]) -> None:
        folder = self._folder / f"{backup.name}-{uuid.uuid4().hex[:12]}"
        folder.mkdir()
        own = {"DECORTEX_DATABASE": folder.name.replace("-", "_"), "DECORTEX_STORE": str(folder / "store")}
        maker = replace(lab, environment={**lab.environment, **own}, folder=folder)
        try:
            make(maker)
            maker.run("db", "backup", str(backup))
        finally:
            with maker.link_without_database() as link:
                drop_database(link, own["DECORTEX_DATABASE"])
            shutil.rmtree(folder)
