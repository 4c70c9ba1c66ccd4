"""A backup is written by one process at a time, and appears when it is whole."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from typing import Any

import pytest

from decortex.errors import ConfigError
from decortex_ops.admin.unfinished import LOCK, UNFINISHED, unfinished_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_two_of_one_name_do_not_disturb_each_other(tmp_path: Path) -> None:
    """The second removed what the first had written, and the first went on."""
    folder = tmp_path / "monday"
    with unfinished_folder(folder) as part:
        (part / "rows").write_text("whole")
        with pytest.raises(ConfigError, match="another backup is being written"), unfinished_folder(folder):
            raise AssertionError("two write into one folder")
        with unfinished_folder(tmp_path / "tuesday"):
            pass
        assert names(part) == [LOCK, "rows"]
        assert not folder.exists()
    assert names(tmp_path) == ["monday", "tuesday"]
    assert names(folder) == ["rows"]
    with pytest.raises(ConfigError, match="exists already"), unfinished_folder(folder):
        raise AssertionError("a backup was replaced")
    assert names(tmp_path) == ["monday", "tuesday"]
    assert (folder / "rows").read_text() == "whole"


def test_a_failure_leaves_nothing_and_what_a_killed_one_left_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "monday"

    def break_off() -> None:
        with unfinished_folder(folder) as part:
            (part / "rows").touch()
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        break_off()
    assert names(tmp_path) == []
    left = tmp_path / f"monday{UNFINISHED}"
    (left / "store").mkdir(parents=True)
    (left / "store" / "old").touch()
    (left / "link").symlink_to(tmp_path)
    (left / LOCK).touch()
    with unfinished_folder(folder) as part:
        assert part == left
        assert names(part) == [LOCK]
    assert names(folder) == []


def test_who_locks_the_folder_after_it_was_moved_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may have opened the lock before the other finished, and get it afterwards."""
    folder, lock = tmp_path / "monday", fcntl.flock

    def late(*arguments: Any) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        (tmp_path / f"monday{UNFINISHED}").rename(folder)
        (folder / "rows").touch()
        lock(*arguments)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(ConfigError, match="another backup is being written"), unfinished_folder(folder):
        raise AssertionError("it took a whole backup for its own")
    assert "rows" in names(folder)


def test_without_locks_a_folder_that_is_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    folder = tmp_path / "monday"
    with unfinished_folder(folder) as part:
        (part / "rows").touch()
        with pytest.raises(ConfigError, match=r"remove .*monday\.unfinished"), unfinished_folder(folder):
            raise AssertionError("two write into one folder")
    assert names(folder) == ["rows"]
