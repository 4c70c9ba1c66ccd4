"""Memory that training frees stays with the process for the next step, and goes back in the end."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from decortex.models import Network
from decortex.models.training import TrainingConfig, fit_network, freed_memory, freed_memory_kept

MIB = 2**20
pytestmark = pytest.mark.skipif(freed_memory._glibc() is None, reason="the C library is not glibc")


def resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def make_and_free() -> None:
    """Fill 256 MiB, eight arrays that are all larger than what glibc keeps by itself, and free them."""
    np.concatenate([np.ones(32 * MIB // 8) for _ in range(8)])


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("MALLOC_", "GLIBC_TUNABLES")):
            monkeypatch.delenv(name)


def test_what_is_freed_stays_inside_and_is_given_back_in_the_end():
    with freed_memory_kept():
        pass
    before = resident()
    with freed_memory_kept():
        make_and_free()
        assert resident() > before + 200 * MIB
        with freed_memory_kept():
            pass
        assert resident() > before + 200 * MIB, "another training that ends takes nothing away"
    assert resident() < before + 50 * MIB
    make_and_free()
    assert resident() < before + 50 * MIB, "outside it is as it was"


@pytest.mark.parametrize(
    "chosen",
    [("MALLOC_ARENA_MAX", "2"), ("GLIBC_TUNABLES", "glibc.malloc.check=0")],
    ids=lambda chosen: chosen[0],
)
def test_what_somebody_has_chosen_is_left_alone(monkeypatch, chosen):
    monkeypatch.setenv(*chosen)
    before = resident()
    with freed_memory_kept():
        make_and_free()
        assert resident() < before + 50 * MIB


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(freed_memory.ctypes, "CDLL", lambda name: object())
    before = resident()
    with freed_memory_kept():
        make_and_free()
        assert resident() < before + 50 * MIB


def test_training_keeps_it_and_no_number_depends_on_it(make_recordings, tiny_config, monkeypatch):
    recordings = make_recordings()
    kept: list[bool] = []

    def trained() -> dict[str, torch.Tensor]:
        network = Network.build(tiny_config, recordings, seed=0)
        kept.clear()
        fit_network(
            network,
            recordings,
            TrainingConfig(max_epochs=2, batch_size=8),
            seed=0,
            progress=lambda record: kept.append(bool(freed_memory._trainings)),
        )
        return network.state_dict()

    one = trained()
    assert kept == [True, True]
    assert not freed_memory._trainings
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    other = trained()
    assert kept == [False, False]
    assert all(torch.equal(one[name], other[name]) for name in one)
