"""What a key needs and what a worker has: memory, and a device worth having. Estimates are from shapes alone."""

from __future__ import annotations

import re
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import datajoint as dj

from decortex.clustering import memory_of_fit
from decortex.data import TIERS
from decortex.errors import ConfigError
from decortex_schemas.database import Computation
from decortex_schemas.tables import ClusteringMethod, Dataset, Embedding

Device = Literal["auto", "cpu", "cuda"]
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class Limits:
    """What a worker has.

    Parameters
    ----------
    memory : int, optional
        Bytes that the process may hold; None: no limit.
    device : {'auto', 'cpu', 'cuda'}
        'cuda': take the keys that run a network and leave all others, so that no GPU waits for a clustering.
    """

    memory: int | None = None
    device: Device = "auto"


def parse_bytes(text: str) -> int:
    """Read an amount of memory: a number with K, M, G or T, for example ``8G``.

    Raises
    ------
    ConfigError
        If it is not one.
    """
    number, unit = text.strip().upper().removesuffix("B").removesuffix("I"), ""
    if number and number[-1] in _UNITS:
        number, unit = number[:-1], number[-1]
    try:
        value = float(number) * _UNITS[unit]
    except ValueError:
        raise ConfigError(f"{text!r} is no amount of memory; expected for example 500M or 8G.") from None
    if not 0 < value < 2**60:
        raise ConfigError(f"{text!r} is no amount of memory; expected more than 0.")
    return int(value)


def reason_to_leave(table: dj.Computed, key: dict[str, Any], limits: Limits) -> str | None:
    """Why a key is not for a worker with these limits; None where it is, or nothing is known.

    Parameters
    ----------
    table : Computed
        Whose key.
    key : dict
        Primary key.
    limits : Limits
        What the worker has.
    """
    fault = table.specification_fault(key) if isinstance(table, Computation) else None
    if fault is not None:
        return fault
    if limits.device == "cuda" and not getattr(table, "runs_network", False):
        return "it runs no network, and this worker keeps its GPU free for those that do"
    if limits.memory is None:
        return None
    need = memory_needed(table, key)
    if need is None:
        return None
    total = own_memory() + need
    if total <= limits.memory:
        return None
    return f"it needs about {_words(total)}, this worker may hold {_words(limits.memory)}"


def memory_needed(table: dj.Computed, key: dict[str, Any]) -> int | None:
    """Bytes that a key needs beside what the process holds already; None where nothing is known.

    Clusterings: what their method states (`decortex.clustering.memory`). Tables that run a network: the
    recordings, which lie in memory as a whole.
    """
    rule = getattr(table, "memory", None)
    if rule == "clustering":
        return _clustering(table, key)
    if rule == "recordings":
        return _recordings(str(key["dataset"]))
    return None


def own_memory() -> int:
    """Bytes that this process held at most until now.

    Linux hands ``ru_maxrss`` down to a program from the process that started it; ``VmHWM`` is its own.
    """
    with suppress(OSError):
        if held := re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text()):
            return 1024 * int(held[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _clustering(table: dj.Computed, key: dict[str, Any]) -> int | None:
    if not {"dataset", "model_spec_id", "embedding_spec_id", "k"} <= set(key):
        return None
    embedding = tuple((name, key[name]) for name in Embedding().primary_key if name in key)
    shape = _shape(embedding)
    if shape is None:
        return None
    method = _method(int(key["method_id"]))
    return (
        None
        if method is None
        else memory_of_fit(method[0], *shape, n_clusters=int(key["k"]), params=method[1])
    )


@lru_cache(maxsize=1024)
def _shape(embedding: tuple[tuple[str, Any], ...]) -> tuple[int, int] | None:
    rows = (Embedding & dict(embedding)).proj("n_neurons", "n_features").to_dicts(limit=1)
    return (int(rows[0]["n_neurons"]), int(rows[0]["n_features"])) if rows else None


@lru_cache(maxsize=1024)
def _method(method_id: int) -> tuple[str, dict[str, Any]] | None:
    rows = (ClusteringMethod & {"method_id": method_id}).proj("params").to_dicts()
    return (str(rows[0]["method"]), dict(rows[0]["params"])) if rows else None  # deleted while its keys wait


@lru_cache(maxsize=256)
def _recordings(dataset: str) -> int | None:
    rows = (Dataset & {"dataset": dataset}).to_dicts()
    if not rows or rows[0]["image_shape"] is None:
        return None
    pixels = 1
    for side in rows[0]["image_shape"]:
        pixels *= int(side)
    total = 0
    for session in (Dataset.Session & {"dataset": dataset}).to_dicts():
        if session["n_frames"] is not None:
            total += int(session["n_frames"] * (pixels + session["session_neurons"]) * 4)
            continue
        trials = sum(session[f"n_{tier}"] for tier in TIERS)  # every showing of a test image is one of them
        total += int(trials * (pixels + session["session_neurons"]) * 4)  # float32
    return total


def _words(amount: int) -> str:
    return f"{amount / 2**30:.2f} GiB" if amount >= 2**29 else f"{amount / 2**20:.0f} MiB"
