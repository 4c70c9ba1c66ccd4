from .backup import restore, save
from .doctor import NAMES, examine
from .health_check import Check, duration, gigabytes
from .saved_backups import BACKUPS, newest_backup, saved_backups
from .upgrades import upgrade_with_backup

__all__ = [
    "BACKUPS",
    "NAMES",
    "Check",
    "duration",
    "examine",
    "gigabytes",
    "newest_backup",
    "restore",
    "save",
    "saved_backups",
    "upgrade_with_backup",
]
