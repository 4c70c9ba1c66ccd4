"""Queue and Runs without a database or a browser: rows in, figures, tables and links out."""

from datetime import datetime

import pandas as pd
import pytest
from dashboard_lab import CHOICES, FAILURE, HOSTILE, LABELS, STUDY, Lab, run_row, text_of

from decortex_ops.dashboard import decode, router
from decortex_ops.dashboard.pages import queue, runs
from decortex_ops.dashboard.theme import cluster_colour


def shown(path: str, search: str, lab: Lab) -> str:
    return text_of(router.show(path, search, lab).main)


def test_the_queue_counts_and_says_how_to_retry() -> None:
    text = shown("/queue", "", Lab())
    assert "n = 10 keys in 1 table" in text
    assert "n = 1, the latest first" in text
    command = queue.retry_command(FAILURE)
    assert command.startswith("decortex retry --tables Clustering --match '")
    assert command in text


def test_a_finished_queue_has_no_time_left() -> None:
    done = [
        {**row, "running": 0, "waiting": 0, "failed": 0, "seconds_left": 0.0}
        for row in Lab().answers["queue_state"]
    ]
    text = shown("/queue", "", Lab(queue_state=done, failures=[]))
    assert "nothing left" in text
    assert "0.0 s" not in text


def test_a_retry_command_is_safe_to_paste() -> None:
    command = queue.retry_command({"table": "Clustering", "message": "it's $(rm -rf ~); done\nmore"})
    assert command == """decortex retry --tables Clustering --match 'it'"'"'s $(rm -rf ~); done'"""


def test_failed_keys_of_one_table_only() -> None:
    assert "n = 0, the latest first" in shown("/queue", "?table=Embedding", Lab())


def test_throughput_stacks_tables_and_gathers_the_small_ones() -> None:
    start = datetime(2026, 1, 2)
    finished = [{"table": f"T{i}", "start": start, "n": 10 - i} for i in range(9)]
    figure = queue.throughput_figure(finished, 24)
    assert [trace.name for trace in figure.data] == ["T0", "T1", "T2", "T3", "T4", "T5", "others"]
    assert sum(sum(trace.y) for trace in figure.data) == sum(row["n"] for row in finished)


def test_rows_per_hour_are_of_the_time_in_which_any_was_finished() -> None:
    finished = [{"table": "T", "start": datetime(2026, 1, 2), "n": 30}] * 2
    assert queue.rows_per_hour(finished, 24) == 60 * 3600 / queue.queries.bin_seconds(24)
    assert queue.rows_per_hour([], 24) == 0


def test_an_empty_database_names_the_command_that_fills_it() -> None:
    nothing = [
        {**row, **dict.fromkeys(("done", "running", "failed", "waiting"), 0)}
        for row in Lab().answers["queue_state"]
    ]
    text = shown("/queue", "", Lab(queue_state=nothing, failures=[]))
    assert "decortex schedule" in text
    assert "decortex work" in text
    assert "decortex study create" in shown("/runs", "", Lab(study_counts=[]))


def lab_of_runs() -> Lab:
    rows = [run_row(k=k, model_seed=seed) for k in (4, 8) for seed in (0, 1)]
    return Lab(
        runs=lambda study, **how: {"n": len(rows), "rows": rows[how.get("offset", 0) :][: how["limit"]]},
        describe=lambda keys, study: [run_row(**key) for key in keys],
        statuses=[{"status": "ok", "n": 4}],
    )


def test_filters_and_order_reach_the_query() -> None:
    lab = lab_of_runs()
    router.show("/runs", "?study=sweep&method=7&k=8&status=ok&sort=silhouette&down=1&page=2", lab)
    asked = next(how for name, _, how in lab.asked if name == "runs")
    assert asked == {
        "where": {"method_id": 7, "k": 8},
        "statuses": ("ok",),
        "order_by": "silhouette",
        "descending": True,
        "limit": runs.SIZE,
        "offset": runs.SIZE,
    }


def test_only_columns_of_the_table_sort() -> None:
    found = router.show("/runs", "?sort=seconds);DROP", lab_of_runs())
    assert "one of dataset" in text_of(found.main)
    assert found.url == "/runs?study=sweep"


def test_a_tick_is_a_link_and_six_are_compared() -> None:
    words = [runs.token(run_row(k=k)) for k in range(2, 10)]
    screen = router.show("/runs", f"?pick={','.join(words)}", lab_of_runs())
    assert "Only the first 6" in text_of(screen.main)
    assert "n = 6 partitions of at most 6" in text_of(screen.main)
    assert runs.key_of(words[0]) == {name: run_row(k=2)[name] for name in runs.PARTITION}


@pytest.mark.parametrize("word", ["", "a~b", "x~y~0~0~kmeans~1~4~0~1", "~".join("abcdefghi")])
def test_a_word_that_is_no_key_picks_nothing(word: str) -> None:
    assert runs.key_of(word) is None
    assert "Compared" not in shown("/runs", f"?pick={word}", lab_of_runs())


def test_a_token_holds_any_name() -> None:
    row = run_row(dataset="a~b,c/d e%7E" + HOSTILE)
    assert runs.key_of(runs.token(row))["dataset"] == row["dataset"]
    assert "," not in runs.token(row)


def test_the_compared_measures_are_those_that_somebody_has() -> None:
    figure = runs.compare_figure([run_row(), run_row(k=8, ari_seeds=None)])
    assert "ARI with known types" not in figure.data[0].y
    place = list(figure.data[0].y).index("ARI between networks")
    assert figure.data[0].x[place] == 0.6
    assert figure.data[1].x[place] is None


def test_the_csv_is_the_whole_table(tmp_path) -> None:
    text = router.csv_of("runs", "runs", "?study=sweep", lab_of_runs())
    (tmp_path / "runs.csv").write_text(text)
    table = pd.read_csv(tmp_path / "runs.csv")
    assert list(table["k"]) == [4, 4, 8, 8]
    assert table["ari_seeds"].tolist() == [0.6] * 4
    assert table["ari_truth"].isna().all()


def test_there_is_no_csv_of_other_paths() -> None:
    for page, panel in (("runs", "../../etc/passwd"), ("etc", "passwd"), ("runs", "nothing"), ("", "runs")):
        assert router.csv_of(page, panel, "", lab_of_runs()) is None


def test_hostile_names_stay_text() -> None:
    hostile = {**STUDY, "study": HOSTILE}
    choices = {**CHOICES, "methods": [{"method_id": 1, "method": "kmeans", "method_name": HOSTILE}]}
    lab = lab_of_runs()
    lab.answers |= {"study_counts": [hostile], "choices": choices}
    lab.answers["runs"] = {"n": 1, "rows": [run_row(method_name=HOSTILE)]}
    assert HOSTILE in shown("/runs", "", lab)
    assert HOSTILE in shown("/queue", "", Lab())
    figure = runs.compare_figure([run_row(method_name=HOSTILE)])
    assert "<img" not in figure.data[0].name  # plotly reads angle brackets as markup


def test_a_link_says_what_is_shown() -> None:
    screen = router.show("/runs", "?k=8", lab_of_runs())
    assert screen.url == "/runs?study=sweep&k=8"
    assert router.is_shown("/runs", "?k=8&study=sweep", {"url": screen.url})
    assert not router.is_shown("/runs", "?k=4&study=sweep", {"url": screen.url})
    assert not router.is_shown("/queue", "", {"url": screen.url})
    assert not router.is_shown("/runs", "?k=8", None)
    again = decode("/runs", runs.FIELDS, screen.url.partition("?")[2])
    assert again["k"] == 8


def test_an_unknown_study_is_named() -> None:
    assert "There is no study “other”" in shown("/runs", "?study=other", lab_of_runs())


def test_an_unknown_page_is_no_error() -> None:
    assert "There is no such page" in shown("/../etc/passwd", "", Lab())


def test_columns_are_hidden_by_a_link_that_says_so() -> None:
    text = shown("/runs", "?hide=silhouette,ari_truth", lab_of_runs())
    headings = [
        one
        for one in text.split("Finished variants of the study")[1].split("open")[0].split("  ")
        if "silhouette" in one
    ]
    assert headings == []
    screen = router.show("/runs", "?hide=silhouette&sort=k", lab_of_runs())
    assert "hide=silhouette" in screen.url
    choice = runs.columns_choice(decode("/runs", runs.FIELDS, "?hide=silhouette,nonsense"))
    links = {item.children.children[-1].strip(): item.children for item in choice.children[1].children}
    assert "hide" not in links["silhouette"].href.split("?")[-1]
    assert "hide=silhouette,p" in links["p"].href
    assert "K" not in links, "what a variant is called stays"


def test_two_ticked_variants_show_their_maps_curves_and_scores() -> None:
    rows = [run_row(), run_row(seed=1)]
    curves = [{"method_id": 1, "finetune_id": 1, "k": k, "ari_seeds": 0.1 * k} for k in (2, 4)]
    lab = Lab(
        runs={"n": 2, "rows": rows}, statuses=[], describe=rows, agreement_by_count=curves, frozen_changes=""
    )
    words = ",".join(runs.token(row) for row in rows)
    panels = {
        one.name: one for one in router.view_of(runs, f"?pick={words}", lab).panels if hasattr(one, "name")
    }
    maps = panels["compare-maps"].figure
    n_clusters = len({int(c) for c in LABELS if c >= 0})
    assert len([t for t in maps.data if t.xaxis == "x"]) >= n_clusters
    assert {t.marker.color for t in maps.data} >= {cluster_colour(0), cluster_colour(1)}
    (curve,) = panels["compare-k"].figure.data  # they differ in their start alone: one curve
    assert list(curve.x) == [2, 4]
    assert max(curve.marker.size) == curve.marker.size[1], "its own K is the large marker"
    boxes = panels["compare-performance"].figure.data
    assert len(boxes) == 2 * n_clusters
    assert panels["compare-performance"].width == "half"
    one = router.view_of(
        runs, f"?pick={runs.token(rows[0])}", Lab(**{**lab.answers, "describe": rows[:1]})
    ).panels
    assert "compare-maps" not in {panel.name for panel in one if hasattr(panel, "name")}
