"""Views as tables: what is asked for is drawn, of a frozen study too, and changes nothing else."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from small_lab import fill

import decortex_schemas as schemas
from decortex.embeddings import ViewConfig, draw_view
from decortex.errors import ConfigError
from decortex_ops.cli import main
from decortex_schemas.queries import VIEW_KEY, view_points, views
from decortex_schemas.register import PlanFile
from decortex_schemas.tables import FrozenStudy, load_embedding, register_view_spec


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["decortex", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


@pytest.fixture(scope="module")
def drawn(lab: str) -> str:
    """The small study, frozen before a t-SNE was asked for."""
    schemas.request_view(lab, "narrow", ViewConfig(kind="tsne", perplexity=5.0, n_steps=50), seed=1)
    fill()
    return lab


def test_every_study_asks_for_principal_components(lab: str) -> None:
    (request,) = ((schemas.ViewRequest & {"study": lab}) * schemas.ViewSpec & {"kind": "pca"}).to_dicts()
    assert (request["view_seed"], request["params"]) == (0, ViewConfig(kind="pca").resolved())
    embedded = ((schemas.Study.Model.proj() * schemas.Study.Embedding.proj()) & {"study": lab}).proj()
    rows = (schemas.EmbeddingView & {"view_spec_id": request["view_spec_id"]} & embedded).to_dicts()
    assert [row["model_seed"] for row in rows] == [0, 1]
    for row in rows:
        key = {name: row[name] for name in VIEW_KEY}
        view = draw_view(load_embedding(key), ViewConfig(kind="pca"), seed=0)
        assert np.array_equal(row["points"], view.points)
        assert np.array_equal(view_points(key), view.points)
        assert row["neighbours_kept"] == view.neighbours_kept
        assert row["variance_share"] == view.variance_share
        assert row["neuron_order_sha256"] == (schemas.Dataset & key).fetch1("neuron_order_sha256")


def test_a_frozen_study_may_be_drawn_and_stays_what_it_is(drawn: str) -> None:
    before = (FrozenStudy & {"study": drawn}).fetch1("members_sha256")
    rows = [row for row in views(drawn) if row["view"] == "narrow"]
    assert [(row["model_seed"], row["view_seed"], row["done"]) for row in rows] == [
        (0, 1, True),
        (1, 1, True),
    ]
    assert rows[0]["params"]["perplexity"] == 5.0
    assert rows[0]["n_neurons"] == 36
    again = schemas.request_view(drawn, "narrow", ViewConfig(kind="tsne", perplexity=5.0, n_steps=50), seed=1)
    assert len(schemas.ViewRequest & again) == 1
    assert (FrozenStudy & {"study": drawn}).fetch1("members_sha256") == before
    assert not len(schemas.EmbeddingView().key_source - schemas.EmbeddingView.proj())


def test_an_excluded_neuron_has_no_place(drawn: str) -> None:
    key = {name: value for name, value in views(drawn)[0].items() if name in VIEW_KEY}
    table = schemas.EmbeddingView()
    sha256, order, _, params = table.make_fetch(key)
    row = table.compute(key, sha256, order, {"3": "zero_norm"}, params).row
    assert np.isnan(row["points"][3]).all()
    others = np.delete(np.arange(36), 3)
    expected = draw_view(load_embedding(key)[others], ViewConfig.from_params(params), seed=key["view_seed"])
    assert np.array_equal(row["points"][others], expected.points)


def test_the_commands(drawn: str, monkeypatch: Any, capsys: Any) -> None:
    assert run(monkeypatch, "view", "add", drawn, "tsne", "--param", "perplexity=4.5", "--json") == 0
    key = json.loads(capsys.readouterr().out)
    try:
        assert run(monkeypatch, "view", "show", drawn, "--json") == 0
        rows = json.loads(capsys.readouterr().out)
        assert [row["done"] for row in rows if row["view_spec_id"] == key["view_spec_id"]] == [False, False]
        waiting = next(row for row in rows if not row["done"])
        with pytest.raises(ConfigError, match="names 0 views that are drawn"):
            view_points(waiting)
        assert run(monkeypatch, "view", "show", drawn, "--csv") == 0
        assert len(capsys.readouterr().out.splitlines()) == 1 + len(rows)
        assert run(monkeypatch, "view", "show", drawn) == 0
        assert "neighbours_kept" in capsys.readouterr().out
    finally:
        (schemas.ViewRequest & key).delete(prompt=False)
    for words, message in (
        (("add", "unheard", "pca"), "no study 'unheard'"),
        (("add", drawn, "mds"), "kind: should be 'pca', 'tsne' or 'umap'"),
        (("add", drawn, "tsne", "--param", "perplexity=wide"), "--param takes name=number"),
        (("show", "unheard"), "no study 'unheard'"),
    ):
        capsys.readouterr()
        assert run(monkeypatch, "view", *words) == 1
        assert message in capsys.readouterr().err


def test_plans_name_views(lab: str) -> None:
    from small_lab import plan_for

    assert [one.params for one in plan_for("small").views] == [{}]
    asked = plan_for(
        "small", views=[{"name": "map", "params": {"kind": "umap", "n_neighbors": 30}, "seed": 2}]
    )
    assert PlanFile.from_params(asked.resolved()).views[0].seed == 2
    narrow = register_view_spec("a", ViewConfig(kind="tsne", perplexity=5.0))
    assert register_view_spec("b", ViewConfig(kind="tsne", perplexity=5.0)) == narrow
    assert register_view_spec("a", ViewConfig(kind="tsne", perplexity=6.0)) != narrow
