"""Caches: keys, privacy, atomic files, damaged entries, one computation a machine."""

import multiprocessing
import time

import numpy as np
import pytest

from decortex.clustering import DiskCache, MemoryCache, cache_key, fit, points_sha256
from decortex.errors import OperationError

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "n": np.asarray(3)}


@pytest.fixture(params=["memory", "disk"])
def cache(request, tmp_path):
    return MemoryCache() if request.param == "memory" else DiskCache(tmp_path / "cache")


def test_a_cache_gives_back_what_it_was_given_and_computes_once(cache):
    calls = []

    def make():
        calls.append(1)
        return ARRAYS

    assert cache.get("k") is None
    for _ in range(2):
        found = cache.compute("k", make)
        np.testing.assert_array_equal(found["a"], ARRAYS["a"])
        assert int(found["n"]) == 3
    assert len(calls) == 1
    cache.put("other", {"b": np.ones(2)})
    np.testing.assert_array_equal(cache.get("other")["b"], np.ones(2))


def test_what_a_cache_holds_cannot_be_written(cache):
    found = cache.compute("k", lambda: ARRAYS)
    with pytest.raises(ValueError, match="read-only"):
        found["a"][0] = 1


def test_a_failed_computation_leaves_nothing(cache):
    def fail():
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        cache.compute("k", fail)
    assert cache.get("k") is None
    cache.compute("k", lambda: ARRAYS)
    assert cache.get("k") is not None


def test_folder_and_files_are_private(tmp_path):
    cache = DiskCache(tmp_path / "deep" / "cache")
    cache.put("k", ARRAYS)
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    assert cache.path("k").stat().st_mode & 0o077 == 0
    assert [path.name for path in cache.folder.iterdir()] == ["k.npz"]


def test_a_folder_that_others_may_enter_is_refused(tmp_path):
    tmp_path.chmod(0o755)
    with pytest.raises(OperationError, match=r"private to you.*755.*chmod 700"):
        DiskCache(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OperationError, match="cannot be used"):
        DiskCache(tmp_path / "file" / "cache")


@pytest.mark.parametrize("damage", [b"", b"not an archive", None])
def test_a_damaged_entry_is_reported_and_computed_again(tmp_path, damage):
    cache = DiskCache(tmp_path / "cache")
    cache.put("k", ARRAYS)
    whole = cache.path("k").read_bytes()
    cache.path("k").write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.warns(UserWarning, match=r"damaged.*computed again"):
        found = cache.compute("k", lambda: ARRAYS)
    np.testing.assert_array_equal(found["a"], ARRAYS["a"])
    np.testing.assert_array_equal(cache.get("k")["a"], ARRAYS["a"])


def test_a_key_knows_input_stage_version_and_parameters():
    x = np.arange(6.0).reshape(2, 3)
    moved = x.copy()
    moved[1, 2] = np.nextafter(moved[1, 2], 9)
    digests = [points_sha256(x), points_sha256(x.reshape(3, 2)), points_sha256(moved)]
    assert len(set(digests)) == 3
    keys = {
        cache_key("sec", 1, digests[0], {"mu": 1.0}),
        cache_key("sec", 1, digests[0], {"mu": 2.0}),
        cache_key("sec", 1, digests[0], {"mu": 1}),
        cache_key("sec", 2, digests[0], {"mu": 1.0}),
        cache_key("ldmgi", 1, digests[0], {"mu": 1.0}),
        cache_key("sec", 1, digests[1], {"mu": 1.0}),
    }
    assert len(keys) == 6


def _want(folder, count):
    def make():
        with open(count, "a") as file:
            file.write("x")
        time.sleep(0.2)
        return {"a": np.ones(3)}

    assert DiskCache(folder).compute("k", make)["a"].sum() == 3


def test_processes_that_want_one_key_compute_it_once(tmp_path):
    count = tmp_path / "count"
    context = multiprocessing.get_context("fork")
    running = [context.Process(target=_want, args=(tmp_path / "cache", count)) for _ in range(3)]
    for process in running:
        process.start()
    for process in running:
        process.join(timeout=300)
    assert [process.exitcode for process in running] == [0, 0, 0]
    assert count.read_text() == "x"


def test_a_second_fit_takes_graph_and_basis_from_the_cache(monkeypatch, tmp_path):
    x = np.random.default_rng(0).normal(size=(80, 3))
    cache = DiskCache(tmp_path / "cache")
    first = fit(x, "sec", n_clusters=3, cache=cache)
    monkeypatch.setattr("decortex.clustering.graph.neighbours._search", None)
    monkeypatch.setattr("decortex.clustering.graph.sec.smallest_eigenpairs", None)
    np.testing.assert_array_equal(fit(x, "sec", n_clusters=3, cache=cache).labels, first.labels)
