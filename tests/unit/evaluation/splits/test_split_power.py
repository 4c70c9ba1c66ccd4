"""`make calibrate-splits` appends what is missing and prints tables of it; its numbers are in the docs, not here."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[4] / "benchmarks" / "splits"


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in ("split_power", "modes", "worlds", "world_continua", "world_types"):
        sys.modules.pop(name, None)


def test_a_run_goes_on_where_it_was_cut_off(load, monkeypatch, tmp_path, capsys):
    power, out = load("split_power"), tmp_path / "lines.jsonl"
    words = ["split_power", "--out", str(out), "--worlds", "2 types, 8-d, 12 sd, line", "ring", "--n", "120"]
    words += ["--set", "n_repeats=1"]
    monkeypatch.setattr("sys.argv", [*words, "--seeds", "1"])
    power.main()
    first = out.read_text()
    lines = {line["world"]: line for line in map(json.loads, first.splitlines())}
    assert (lines["ring"]["true"], lines["ring"]["status"]) == (None, "none")
    assert lines["2 types, 8-d, 12 sd, line"]["n_types"] == 2
    assert lines["2 types, 8-d, 12 sd, line"]["ari"] == 1
    out.write_text(first + '{"world": "ring", "n": 1')  # killed while it wrote
    power.main()
    assert out.read_text().startswith(first)
    assert len(power.read(out)) == 2
    monkeypatch.setattr("sys.argv", [*words, "--seeds", "2"])
    power.main()
    assert len(power.read(out)) == 4
    capsys.readouterr()
    monkeypatch.setattr("sys.argv", ["split_power", "--table", str(out)])
    power.main()
    table = capsys.readouterr().out
    assert "continuum, n = 120: claimed 0/2" in table
    assert "obvious, n = 120: exact 2/2" in table


def test_an_unknown_world_is_refused(load, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["split_power", "--worlds", "rong"])
    with pytest.raises(SystemExit):
        load("split_power").main()
    assert "no such world or group: rong" in capsys.readouterr().err


def test_worlds_are_what_they_say(load):
    worlds = load("worlds")
    for world in worlds.WORLDS.values():
        x, y = worlds.draw(world, 150, 3)
        again, _ = worlds.draw(world, 150, 3)
        np.testing.assert_array_equal(x, again)
        assert np.isfinite(x).all()
        assert len(x) == len(y) > 140
        assert len(set(y[y >= 0])) == (world.n_types or 1)


def test_the_nearest_centres_are_as_far_apart_as_asked(load):
    worlds = load("world_types")
    centres = worlds.centres_apart(np.random.default_rng(0), 8, 16, 4.0)
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)[np.triu_indices(8, 1)]
    assert apart.min() == pytest.approx(4)


def test_tables_of_several_sizes_leave_gaps(load):
    power = load("split_power")
    line = {"group": "continuum", "true": None, "status": "none", "n_types": None, "ari": None, "seed": 1}
    types = {
        "group": "shape",
        "true": 4,
        "status": "types",
        "n_types": 4,
        "ari": 1.0,
        "seed": 1,
        "world": "4 cigars",
    }
    table = power.tables(
        [{**line, "world": "ring", "n": 700}, {**line, "world": "sphere", "n": 3000}, {**types, "n": 700}]
    )
    assert "| ring | 0/1 |  |" in table
    assert "| sphere |  | 0/1 |" in table
    assert "| 4 cigars | 700 | 4 | 1/1 | 0 | 0 | 4.0 | 1.00 |" in table


def test_hills_of_density_tell_two_groups_from_a_cloud(load):
    modes = load("modes")
    rng = np.random.default_rng(0)
    cloud = rng.standard_normal((3000, 6))
    assert not [hill for hill in modes.hills(cloud) if hill[1] >= modes.SHARE and hill[0] >= modes.LIMIT]
    cloud[:1000, 0] += 8
    prominence, share = modes.hills(cloud)[0]
    assert prominence > modes.LIMIT
    assert share == pytest.approx(1 / 3, abs=0.02)
    assert modes.hills(np.concatenate([cloud, cloud]))[0] == (prominence, share)  # copies carry no density
