"""A small folder of movies."""

from __future__ import annotations

from pathlib import Path

import pytest
from video_files import Skeleton, write_video_session


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_video_session(tmp_path / "dynamic1", Skeleton.small())
