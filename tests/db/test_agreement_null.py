"""Agreement of networks against surrogates without types: asked by plan or command, also of a frozen study."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_lab import fill, plan_for

import decortex_schemas as schemas
from decortex.errors import ConfigError
from decortex_ops.cli import main
from decortex_schemas import queries
from decortex_schemas.register import declare_plan
from decortex_schemas.tables import freeze_study
from decortex_schemas.tables.evaluation import AgreementNullRequest, SeedNullFit, request_agreement_null

STUDY = "nulled-study"


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["decortex", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


@pytest.fixture(scope="module")
def asked(lab: str) -> str:
    """A study of networks that are there, whose plan asks for three surrogates of k-means; frozen before they exist."""
    null = {"surrogates": 3, "methods": ["kmeans"]}
    declare_plan(STUDY, plan_for("small", finetunings=[], seeds=[0], agreement_null=null))
    freeze_study(STUDY)
    fill()
    return STUDY


def test_the_agreement_of_surrogates_stands_beside_that_of_networks(asked: str) -> None:
    values = SeedNullFit.Value & {"study": asked}
    assert len(values) == 3 * 2
    rows = {(r["method"], r["k"]): r for r in queries.agreement(asked)["partitions"]}
    for k in (2, 3):
        own = rows["kmeans", k]
        drawn = (values & {"at_k": k}).to_arrays("value")
        assert own["ari_null"] == pytest.approx(np.mean(drawn))
        assert own["p_null"] == (np.sum(drawn >= own["ari_seeds"] - 1e-12) + 1) / 4
        assert own["n_null"] == 3
        assert rows["gmm", k]["ari_null"] is None
        shares = (schemas.Clustering & {"dataset": "small", "method": "kmeans", "k": k, "seed": 0}).to_arrays(
            "largest_share"
        )
        assert own["largest_share"] == pytest.approx(np.mean(shares))


def test_the_answer_compares_with_them(asked: str) -> None:
    told = queries.answers(asked)[1]
    assert told["compared_with"] == "surrogates without types (gaussian), and chance (0)"
    assert "three surrogates)" in told["sentence"]
    assert told["answer"] in ("undecided", "not established")


def test_a_choice_of_k_does_not_read_them(lab: str, selection: str) -> None:
    before = (schemas.KSelection.Excess & {"study": selection, "criterion": "seed_agreement"}).to_dicts()
    request_agreement_null(selection, kinds=("copula",), surrogates=2)
    try:
        fill()
        key = (schemas.KSelection & {"study": selection}).keys()[0]
        table = schemas.KSelection()
        again = table.compute(dict(key), *table.make_fetch(dict(key)))
        found = [row for row in again.parts["Excess"] if row["criterion"] == "seed_agreement"]
        assert [row["null_kind"] for row in found] == [row["null_kind"] for row in before]
        assert [row["p"] for row in found] == [row["p"] for row in before]
    finally:
        (SeedNullFit & {"study": selection, "null_kind": "copula"}).delete(prompt=False)
        (AgreementNullRequest & {"study": selection}).delete(prompt=False)


def test_the_command_asks(asked: str, monkeypatch: Any, capsys: Any) -> None:
    assert run(monkeypatch, "agreement", asked, "--ask", "--method", "gmm") == 0
    assert "19 surrogates" in capsys.readouterr().out
    request = AgreementNullRequest & {"study": asked, "method": "gmm"}
    assert len(request) == 19
    request.delete(prompt=False)
    assert run(monkeypatch, "agreement", asked, "--ask", "--method", "nothing") != 0
    assert "its methods are gmm, kmeans" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="null models are"):
        request_agreement_null(asked, kinds=("nonsense",))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="at least two"):
        request_agreement_null(asked, surrogates=1)
