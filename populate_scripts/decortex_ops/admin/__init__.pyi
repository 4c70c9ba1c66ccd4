from .backup import restore, save

__all__ = [
    "restore",
    "save",
]
