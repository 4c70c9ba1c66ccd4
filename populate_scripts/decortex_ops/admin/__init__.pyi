from .backup import (
    folder_store,
    restore,
    save,
)
from .doctor import (
    NAMES,
    examine,
)
from .health_check import (
    Check,
    duration,
    gigabytes,
)
from .rehearsal import (
    default_store,
    rehearse,
    restore_beside,
)
from .saved_backups import (
    BACKUPS,
    newest_backup,
    saved_backups,
)
from .upgrades import (
    upgrade_with_backup,
)

__all__ = [
    "BACKUPS",
    "NAMES",
    "Check",
    "default_store",
    "duration",
    "examine",
    "folder_store",
    "gigabytes",
    "newest_backup",
    "rehearse",
    "restore",
    "restore_beside",
    "save",
    "saved_backups",
    "upgrade_with_backup",
]
