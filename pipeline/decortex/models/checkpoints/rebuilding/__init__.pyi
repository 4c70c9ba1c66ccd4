from .rebuild import (
    rebuild_network,
)
from .rebuild_config import (
    PUBLISHED,
    RebuildConfig,
    VideoOptions,
)

__all__ = [
    "PUBLISHED",
    "RebuildConfig",
    "VideoOptions",
    "rebuild_network",
]
