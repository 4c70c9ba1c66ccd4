"""Where backups lie (`DECORTEX_BACKUPS`), and which is the last one of a database. Reads manifests alone."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from decortex_ops.admin.backup import MANIFEST
from decortex_ops.admin.unfinished import UNFINISHED

# Names the folder that holds one folder per backup.
BACKUPS = "DECORTEX_BACKUPS"


@dataclass(frozen=True)
class SavedBackup:
    """One backup as its manifest describes it.

    Parameters
    ----------
    folder : Path
        Of the backup.
    taken_at : datetime
        UTC.
    incomplete : int
        Files that rows refer to and that it does not hold.
    """

    folder: Path
    taken_at: datetime
    incomplete: int


def saved_backups(database: str, folder: Path | None = None) -> list[SavedBackup]:
    """Whole backups of one database in a folder, the oldest first; what is no backup is passed over.

    Parameters
    ----------
    database : str
        Whose.
    folder : Path, optional
        Default: what `DECORTEX_BACKUPS` names; none where it names nothing.
    """
    named = folder or os.environ.get(BACKUPS)
    if not named:
        return []
    found = []
    for path in Path(named).expanduser().glob(f"*/{MANIFEST}"):
        if path.parent.name.endswith(UNFINISHED):
            continue
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            taken = datetime.fromisoformat(manifest["taken_at"])
            if manifest["database"] == database:
                lost = len(manifest["damaged"])
                found.append(SavedBackup(path.parent.resolve(), taken.astimezone(timezone.utc), lost))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda one: (one.taken_at, one.folder))


def newest_backup(database: str, folder: Path | None = None) -> SavedBackup | None:
    """The last backup of a database in a folder, see `saved_backups`; None where there is none."""
    found = saved_backups(database, folder)
    return found[-1] if found else None
