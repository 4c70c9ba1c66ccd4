"""Variants in groups: what is open is in the link, a closed group is asked for nothing, and no row is counted twice."""

from __future__ import annotations

from typing import Any

from dashboard_lab import CHOICES, Lab, run_row, text_of

from decortex_ops.dashboard import router

ROWS = [
    run_row(k=k, method_id=m, method_name=name) for m, name in ((1, "kmeans"), (7, "gmm")) for k in (4, 8)
]


def lab_of_groups(**answers: Any) -> Lab:
    def runs(study: str, **how: Any) -> dict[str, Any]:
        kept = [row for row in ROWS if all(row[name] == value for name, value in how["where"].items())]
        return {"n": len(kept), "rows": kept[: how["limit"]]}

    def groups(study: str, *, by: str, **how: Any) -> list[dict[str, Any]]:
        values = sorted({row[by] for row in ROWS})
        return [
            {"value": v, "n": sum(row[by] == v for row in ROWS), "low": 0.25, "high": 0.5} for v in values
        ]

    return Lab(**{"runs": runs, "run_groups": groups, "statuses": [], **answers})


def links(component: Any) -> dict[str, str]:
    """Every link of a component by its text."""
    found: dict[str, str] = {}
    children = getattr(component, "children", None)
    if getattr(component, "href", None):
        found[" ".join(text_of(component).split())] = component.href
    for one in children if isinstance(children, (list, tuple)) else [children]:
        if one is not None and not isinstance(one, str):
            found.update(links(one))
    return found


def shown(search: str, lab: Lab) -> tuple[str, dict[str, str]]:
    screen = router.show("/runs", search, lab)
    found: dict[str, str] = {}
    for one in screen.main:
        found.update(links(one))
    return " ".join(text_of(screen.main).split()), found


def test_closed_groups_say_how_many_they_hold_and_ask_for_no_row() -> None:
    lab = lab_of_groups()
    text, found = shown("?group=method&sort=silhouette", lab)
    assert "n = 4 partitions" in text
    assert text.count("2 partitions; silhouette 0.250 to 0.500") == 2
    assert [name for name, _, _ in lab.asked].count("runs") == 0
    assert found["▸ open kmeans"].endswith("open=1")
    assert "gmm diag" in text, "a group bears the method's name"


def test_an_open_group_shows_its_rows_below_its_heading_and_the_link_keeps_it() -> None:
    lab = lab_of_groups()
    screen = router.show("/runs", "?group=method&open=7", lab)
    assert screen.url == "/runs?study=sweep&group=method&open=7"
    asked = [how["where"] for name, _, how in lab.asked if name == "runs"]
    assert asked == [{"method_id": 7}]
    text, found = shown("?group=method&open=7", lab)
    assert text.index("kmeans 2 partitions") < text.index("gmm diag 2 partitions") < text.index("cnn · 0")
    assert "open=" not in found["▾ close gmm diag"]
    assert "open=7,1" in found["▸ open kmeans"]
    assert "open=1,7" in found["Open every group"]


def test_groups_follow_the_filters() -> None:
    lab = lab_of_groups()
    router.show("/runs", "?group=k&k=8&status=ok&open=8", lab)
    asked = next(how for name, _, how in lab.asked if name == "run_groups")
    assert asked == {"by": "k", "measure": "k", "where": {"k": 8}, "statuses": ("ok",)}


def test_a_group_of_more_rows_than_are_shown_leads_to_all() -> None:
    many = lab_of_groups(run_groups=[{"value": 7, "n": 40, "low": None, "high": None}])
    text, found = shown("?group=method&open=7", many)
    target = found["first 2; show all 40"]
    assert "method=7" in target
    assert "group" not in target
    assert "None" not in text


def test_another_grouping_closes_what_was_open() -> None:
    screen = router.show("/runs", "?group=method&open=7", lab_of_groups())
    assert CHOICES["methods"][1]["method_name"] == "gmm diag"
    assert "open=&" in str(screen.main), "the control takes the open groups out of the link"


def test_only_known_groupings_are_taken() -> None:
    lab = lab_of_groups()
    screen = router.show("/runs", "?group=seconds);DROP", lab)
    assert "expected one of method, k, finetuning, network, start" in text_of(screen.main)
    assert "run_groups" not in [name for name, _, _ in lab.asked]


def test_the_browser_is_told_which_study_is_shown_and_which_does_not_exist() -> None:
    here = router.show("/runs", "", lab_of_groups())
    gone = router.show("/runs", "?study=removed", lab_of_groups())
    queue = router.show("/queue", "?study=removed", lab_of_groups())
    assert (here.study, here.no_such_study) == ("sweep", False)
    assert (gone.study, gone.no_such_study) == ("", True)
    assert (queue.study, queue.no_such_study) == ("", False), "the queue is of every study"
