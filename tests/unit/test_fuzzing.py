"""A few rounds of `make fuzz`: damaged configurations and files end in a result or in one of our errors."""

from __future__ import annotations

import random
from pathlib import Path

import fuzzing
import pytest
from support.damage import Target


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    return fuzzing.targets(tmp_path_factory.mktemp("whole"))


def test_what_is_whole_is_accepted(every: dict[str, Target]) -> None:
    for target in every.values():
        target.whole()


def test_damaged_input_is_refused_in_our_words() -> None:
    failures = [failure for _, failure in fuzzing.fuzz(seed=1, rounds=570) if failure is not None]
    assert failures == [], failures[0].trace


def test_a_round_is_repeated_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str) -> Target:
        def run(chance: random.Random) -> None:
            raise RuntimeError(f"{name} drew {chance.random()}")

        return Target(lambda: None, run)

    monkeypatch.setattr(fuzzing, "targets", lambda folder: {name: fails(name) for name in "abc"})
    failures = [failure for _, failure in fuzzing.fuzz(seed=1, rounds=7)]
    assert [failure.target for failure in failures if failure is not None] == [*"abcabca"]
    assert len({failure.trace for failure in failures if failure is not None}) == 7
    assert [fuzzing.repeat(failure.round) for failure in failures if failure is not None] == failures


def test_two_runs_damage_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[bytes] = []
    monkeypatch.setattr(
        fuzzing, "read_checkpoint", lambda path, **_: saved.append(path.read_bytes()) or 1 / 0
    )
    folders = []
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        every = fuzzing.targets(tmp_path / run)
        files = sorted(path for path in (tmp_path / run).rglob("*") if path.is_file())
        folders.append({str(path.relative_to(tmp_path / run)): path.read_bytes() for path in files})
        for number in range(20):
            with pytest.raises(ZeroDivisionError):
                every["checkpoint"].damaged(random.Random(number))
    assert folders[0] == folders[1]
    assert len(folders[0]) > 20
    assert saved[:20] == saved[20:]
