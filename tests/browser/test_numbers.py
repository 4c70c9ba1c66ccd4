"""Numbers on pages and in downloaded files are those of the database."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from browser_visit import PARTITION, Visit, downloading

Sql = Callable[..., list[dict[str, Any]]]


def test_association_shows_what_the_tables_hold(visit: Visit, study: str, sql: Sql) -> None:
    visit.open(f"/association?study={study}&k=8")
    stored = sql(
        "SELECT AVG(a.omega2_partial) AS omega2 FROM __cluster_association a JOIN `#covariate_set` c USING "
        "(covariate_set_id) WHERE a.model_spec_id = 1 AND method_id = 1 AND k = 8 AND finetune_id = 1 "
        "AND covariate_set = 'all known'"
    )[0]["omega2"]
    assert visit.tile("omega², all known held fixed").startswith(f"{stored:.3f} [")
    assert "at least five animals or sessions are needed" in visit.tile("population, animals as units")


def test_the_queue_counts_the_rows(visit: Visit, sql: Sql) -> None:
    visit.open("/queue")
    tables = sql("SELECT table_name AS t FROM information_schema.tables WHERE table_schema = DATABASE()")
    computed = [row["t"] for row in tables if row["t"].startswith("__") and row["t"].count("__") == 1]
    total = sum(sql(f"SELECT COUNT(*) AS n FROM `{name}`")[0]["n"] for name in computed)
    assert visit.tile("rows done").replace("\u2009", "") == str(total)


def test_runs_filter_sort_and_compare(visit: Visit, study: str, sql: Sql) -> None:
    visit.open(f"/runs?study={study}")
    panel = visit.panel("runs")
    total = sql("SELECT COUNT(*) AS n FROM __d_e_c_finetune d JOIN study__finetuning f USING "
                "(method, method_id, k, seed, finetune_id) JOIN study__model m "
                "USING (dataset, model_spec_id, model_seed) "
                "WHERE f.study = %s AND m.study = f.study", study)[0]["n"]  # fmt: skip
    assert f"n = {total} partitions" in panel.inner_text()
    visit.page.get_by_label("K", exact=True).select_option("8")
    visit.at("k=8")
    assert set(panel.locator("tbody tr td:nth-child(4)").all_inner_texts()) == {"8"}
    panel.get_by_role("link", name="silhouette").click()
    visit.at("sort=silhouette")
    shown = [float(text) for text in column(panel, "silhouette")]
    best = sql(
        "SELECT MAX(q.silhouette) AS s FROM __cluster_quality__space q JOIN study__finetuning f USING "
        "(method, method_id, k, seed, finetune_id) WHERE q.k = 8 AND q.space = 'untouched' AND f.study = %s",
        study,
    )[0]["s"]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] == pytest.approx(best, abs=5e-4)
    for i in range(2):
        panel.get_by_role("checkbox").nth(i).click()
        visit.page.wait_for_function(f"(location.search.match(/pick=[^&]*/) || [''])[0].split(',').length == {i + 1}"
                                     " && location.search.includes('pick')")  # fmt: skip
    visit.page.wait_for_selector('[data-panel="compare"]')
    visit.settled()
    assert "n = 2 partitions" in visit.panel("compare").inner_text()


def column(panel: Any, heading: str) -> list[str]:
    """Texts of a column."""
    headings = [text.strip(" ↓↑") for text in panel.locator("thead th").all_inner_texts()]
    return list(panel.locator(f"tbody tr td:nth-child({headings.index(heading) + 1})").all_inner_texts())


def test_what_is_downloaded_is_what_the_database_holds(
    visit: Visit, study: str, sql: Sql, tmp_path: Any
) -> None:
    visit.open(f"/runs?study={study}&k=8")
    with downloading(visit) as caught:
        visit.panel("runs").get_by_role("link", name="CSV of").click()
    caught.value.save_as(tmp_path / "runs.csv")
    name = caught.value.suggested_filename
    assert re.fullmatch(rf"decortex-{study}-runs-runs-\d{{4}}-\d\d-\d\d\.csv", name), name
    table = pd.read_csv(tmp_path / "runs.csv")
    key = ["dataset", "model_spec_id", "model_seed", "embedding_spec_id", "method", "method_id", "k", "seed"]
    stored = pd.DataFrame(sql("SELECT * FROM __cluster_performance WHERE k = 8"))
    both = table.merge(stored, on=[*key, "finetune_id"], suffixes=("", "_stored"))
    assert len(both) == len(table) > 20
    pd.testing.assert_series_equal(both["epsilon2"], both["epsilon2_corrected"], check_names=False)
    visit.open(f"/agreement?study={study}&k=8&ft=1")
    with downloading(visit) as caught:
        visit.panel("matrix").get_by_role("link", name="CSV of").click()
    caught.value.save_as(tmp_path / "matrix.csv")
    matrix = pd.read_csv(tmp_path / "matrix.csv").set_index(["a", "b"])["ari"]
    pair = sql("SELECT * FROM __seed_agreement__pair WHERE study = %s AND k = 8 AND method = 'kmeans' AND "
               "finetune_id = 1 AND pair_kind = 'model_seeds' AND model_seed_a = 0 AND model_seed_b = 1 "
               "AND seed_a = 0 AND seed_b = 0", study)[0]  # fmt: skip
    assert matrix["kmeans · network 0 · start 0", "kmeans · network 1 · start 0"] == pytest.approx(
        pair["ari"]
    )


def test_a_figure_is_saved_with_its_title(visit: Visit, study: str, tmp_path: Any) -> None:
    visit.open(f"/performance?study={study}{PARTITION}")
    with downloading(visit) as caught:
        visit.panel("violins").get_by_role("button", name="SVG of").click()
    caught.value.save_as(tmp_path / "violins.svg")
    name = caught.value.suggested_filename
    assert re.fullmatch(rf"decortex-{study}-performance-violins-\d{{4}}-\d\d-\d\d\.svg", name), name
    text = (tmp_path / "violins.svg").read_text()
    assert text.startswith("<svg")
    assert "Test correlation by cluster" in text
    assert "n = 360 neurons with a score" in text


def test_numbers_of_one_partition(visit: Visit, study: str, sql: Sql) -> None:
    where = "model_seed = 1 AND method_id = 1 AND k = 8 AND seed = 0"
    visit.open(f"/cluster?study={study}{PARTITION}&ft=1&cluster=2")
    label = int(visit.tile("label in the tables, its rank by size"))
    stored = sql(f"SELECT * FROM __clustering__cluster WHERE {where} AND cluster = {label}")[0]
    assert visit.tile("neurons") == str(stored["size"])
    assert visit.tile("spread") == f"{stored['spread']:.3f}"
    visit.open(f"/performance?study={study}{PARTITION}&ft=1")
    effect = sql(f"SELECT * FROM __cluster_performance WHERE {where} AND finetune_id = 1")[0]
    low, high = effect["epsilon2_low"], effect["epsilon2_high"]
    assert visit.tile("ε², rank variance") == f"{effect['epsilon2_corrected']:.3f} [{low:.3f}, {high:.3f}]"
    visit.open(f"/fine-tune?study={study}{PARTITION}&ft=2")
    price = sql(f"SELECT * FROM __retained_performance WHERE {where} AND finetune_id = 2")[0]
    assert visit.tile("Δ test correlation") == f"{price['difference']:.4f}"
    visit.open("/which-k?study=e2e-which-k")
    decision = sql("SELECT * FROM __k_selection WHERE study = 'e2e-which-k'")[0]["decision_k"]
    assert visit.tile("decision") == ("no K is supported" if decision is None else f"K = {decision}")
    visit.open(f"/provenance?study={study}{PARTITION}&ft=1")
    chain = visit.panel("chain").inner_text()
    for table, name in (("__embedding", "embedding_sha256"), ("__trained_model", "checkpoint_sha256")):
        assert sql(f"SELECT {name} AS h FROM {table} WHERE model_seed = 1")[0]["h"] in chain
