"""One register of columns: every table, page and report calls a number alike, and commands say what tables mean."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import decortex_ops
from decortex.columns import COLUMNS, axis_label, column, written
from decortex.errors import ConfigError
from decortex_ops import reports
from decortex_ops.cli import main
from decortex_ops.cli.legends import meaning
from decortex_ops.cli.output import in_parts, print_rows
from decortex_ops.reports import RESULT_COLUMNS

OPS = Path(decortex_ops.__file__).parent
# Commands with several tables print one sentence first and one legend last, by themselves.
SEVERAL = {
    "results.py": {"results"},
    "agreement.py": {"agreement"},
    "one_part.py": {"print_part"},
    "evaluate.py": {"stats", "price"},
    "compare.py": {"compare"},
    "tree.py": {"tree"},
    "axes.py": {"axes"},
    "labels.py": {"labels"},
    "split_test.py": {"given_partition"},
    "demo.py": {"_print"},
    "partition_picker.py": {"print_selection"},
    "legends.py": {"print_table"},
}
# Pages of work and provenance tell no results.
OF_WORK = ("queue.py", "provenance.py")


def calls(node: ast.AST, *names: str) -> list[ast.Call]:
    return [
        one
        for one in ast.walk(node)
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id in names
    ]


def names_of(path: Path, node: ast.expr) -> Iterator[str | tuple[str, str]]:
    """Column names of a list in the source, of the constant that it names, or of both joined; pairs with a heading."""
    if isinstance(node, ast.Name):
        module = importlib.import_module(
            ".".join(path.relative_to(OPS.parent).with_suffix("").parts).removesuffix(".__init__")
        )
        yield from getattr(module, node.id, ())
    elif isinstance(node, (ast.List, ast.Tuple)):
        for item in node.elts:
            if isinstance(item, ast.Constant):
                yield str(item.value)
            elif isinstance(item, ast.Tuple) and all(isinstance(part, ast.Constant) for part in item.elts):
                name, heading = (str(part.value) for part in item.elts if isinstance(part, ast.Constant))
                yield name, heading
            elif isinstance(item, ast.Starred):
                yield from names_of(path, item.value)
    elif isinstance(node, ast.BinOp):
        yield from names_of(path, node.left)
        yield from names_of(path, node.right)


def test_every_column_of_a_command_has_a_meaning() -> None:
    seen = 0
    for path in sorted((OPS / "cli").rglob("*.py")):
        module = ast.parse(path.read_text())
        for name, place in (("print_rows", 1), ("print_table", 2)):
            for call in calls(module, name):
                for one in names_of(path, call.args[place]) if len(call.args) > place else ():
                    seen += 1
                    assert isinstance(one, str)
                    assert one in COLUMNS or meaning(one), f"{path.name}: {one} is in no register"
    assert seen > 100


def test_every_heading_of_a_page_is_that_of_the_register() -> None:
    seen = 0
    for path in sorted((OPS / "dashboard").rglob("*.py")):
        if path.name in OF_WORK:
            continue
        module = ast.parse(path.read_text())
        for call in calls(module, "table"):
            for one in names_of(path, call.args[1]) if len(call.args) > 1 else ():
                seen += 1
                assert isinstance(one, str), f"{path.name}: {one} has a heading of its own"
                assert one in COLUMNS, f"{path.name}: {one} is in no register"
    assert seen > 120


def test_a_page_shows_the_columns_of_its_command() -> None:
    """The lists are those of `decortex_ops.reports`; a page leaves out what its choices name."""
    label_panels = importlib.import_module("decortex_ops.dashboard.panels.label_panels")
    named = {"k", "dataset", "model", "embedding"}
    assert set(reports.LABEL_ANSWERS_COLUMNS) - named == set(label_panels.ANSWERS)
    assert set(reports.LABEL_PARTITIONS_COLUMNS) - named == set(label_panels.PARTITIONS)
    assert set(label_panels.ANSWERS) | set(label_panels.PARTITIONS) <= set(COLUMNS)
    lists = {
        name: getattr(reports, name) for name in dir(reports) if name.endswith("_COLUMNS") and name.isupper()
    }
    assert len(lists) > 8
    for path in sorted((OPS / "dashboard").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.List, ast.Tuple)):
                own = [item.value for item in node.elts if isinstance(item, ast.Constant)]
                copied = [
                    name for name, columns in lists.items() if len(columns) > 6 and set(columns) <= set(own)
                ]
                assert copied == [], f"{path.name}: line {node.lineno} repeats {copied}"


def test_a_command_that_prints_a_table_says_what_it_says_and_means() -> None:
    for path in sorted((OPS / "cli").rglob("*.py")):
        module = ast.parse(path.read_text())
        for function in (one for one in ast.walk(module) if isinstance(one, ast.FunctionDef)):
            if calls(function, "print_rows"):
                assert function.name in SEVERAL.get(path.name, ()), (
                    f"{path.name}: {function.name} prints a table without print_table"
                )
        if path.name in SEVERAL and path.name != "partition_picker.py":  # its caller best-k does
            assert calls(module, "print_legend"), path.name


def test_headings_are_one_per_concept() -> None:
    headings: dict[str, list[str]] = {}
    for name, one in COLUMNS.items():
        headings.setdefault(one.heading, []).append(name)
    same = {heading: names for heading, names in headings.items() if len(names) > 1}
    assert same == SYNONYMS


# Columns of different tables that tell the same thing.
SYNONYMS = {
    "network specification": ["model", "model_a"],
    "method": ["method", "method_name", "method_a"],
    "neurons": ["n_neurons", "size"],
    "ARI between networks": ["ari_seeds", "ari_networks"],
    "ARI between networks, before": ["ari_seeds_before", "ari_networks_before"],
    "test correlation, control": ["correlation_control", "control"],
    "measure": ["measure", "what"],
}


def test_the_demo_has_the_columns_of_results() -> None:
    from decortex_ops.demo import ROW_FIELDS

    assert ROW_FIELDS[: len(RESULT_COLUMNS)] == RESULT_COLUMNS
    assert all(name in COLUMNS for name in ROW_FIELDS)


@pytest.mark.parametrize(
    ("name", "value", "smallest", "text"),
    [
        ("p", 0.00004, None, "< .0001"),
        ("p", 1e-4, 1e-4, ".0001 min"),
        ("p_null", 0.05, 0.05, ".0500 min"),
        ("p_null", 0.1, 0.05, ".1000"),
        ("p", 1.0, None, "1.0000"),
        ("ari_seeds", 0.7366, None, "0.737"),
        ("ari_seeds", -0.0001, None, "0.000"),
        ("difference", -0.00341, None, "-0.0034"),
        ("difference", -0.5, None, "-0.5000"),
        ("k", 8, None, "8"),
        ("equivalent", True, None, "yes"),
        ("stability of no register", 0.5, None, "0.500"),
        ("ari_truth", None, None, "-"),
        ("ari_truth", float("nan"), None, "-"),
    ],
)
def test_one_precision_per_column(name: str, value: object, smallest: float | None, text: str) -> None:
    assert written(name, value, smallest) == text


def test_an_axis_says_which_direction_is_better() -> None:
    assert axis_label("ari_seeds") == "ARI between networks (higher is better)"
    assert axis_label("epsilon2") == column("epsilon2").heading
    with pytest.raises(ConfigError, match="no column is called 'accuracy'"):
        column("accuracy")


def test_a_wide_table_keeps_every_column(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["method", "k", *(f"measure_of_some_length_{i}" for i in range(12))]
    rows = [{"method": "kmeans", "k": 8, **dict.fromkeys(names[2:], 0.5)}]
    print_rows(rows, names)
    shown = capsys.readouterr().out
    assert all(name in shown for name in names)
    assert shown.count("kmeans") == shown.count("method ") >= 2
    assert max(map(len, shown.splitlines())) <= 200


def test_parts_of_a_table_begin_with_what_names_its_rows() -> None:
    cells = {"k": ["8"], **{f"a{i}": ["0.123"] for i in range(6)}}
    assert in_parts(cells, 100) == [list(cells)]
    parts = in_parts(cells, 24)
    assert [part[0] for part in parts] == ["k"] * len(parts)
    assert [name for part in parts for name in part[1:]] == list(cells)[1:]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_state_of_the_embedded_server_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DECORTEX_HOME", str(tmp_path))
    for name in ("DJ_HOST", "DJ_PORT", "DJ_USER", "DJ_PASS", "DJ_PASS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.argv", ["decortex", "db", "status"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("The embedded server is not initialised.\n")
