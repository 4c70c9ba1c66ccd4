"""Names, paths and descriptions that try to break out of their field stay in it, or are refused in our words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_lab import SMALL, plan_for
from support.row_counts import row_counts

import decortex_schemas as schemas
from decortex.data.simulation import SimulationConfig
from decortex.embeddings import EmbeddingConfig
from decortex.errors import DecortexError, InputError
from decortex_ops.reports import export_study
from decortex_ops.workers import retry_failed
from decortex_schemas import queries
from decortex_schemas.database import computed_tables, schema
from decortex_schemas.register import declare_plan
from decortex_schemas.tables import register_embedding_spec, register_simulation

TEXTS = {
    "statement": "'; DROP TABLE `study`; --",
    "double quote": '" OR "1"="1',
    "backtick": "`study`",
    "backslash": "\\' OR 1=1 -- ",
    "placeholder": "%s %(a)s {} {0}",
    "climbing": "../../../../etc/passwd",
    "absolute": "/etc/passwd",
    "null byte": "a\0b",
    "newline": "a\nb\r\n--",
    "unicode": "Zürich\u202e\U0001f9e0",
    "lone surrogate": "\ud800",
    "megabyte": "x" * 1_000_000,
}


def forget(study: str) -> None:
    """Delete a study by SQL: DataJoint's own delete takes a percent sign in a value for two."""
    query = schema.connection.query
    named = query(
        "SELECT table_name FROM information_schema.columns WHERE table_schema = %s AND column_name = 'study'",
        args=(schema.database,),
    ).fetchall()
    query("SET SESSION foreign_key_checks = 0")
    for (table,) in named:
        query(f"DELETE FROM `{schema.database}`.`{table}` WHERE study = %s", args=(study,))
    query("SET SESSION foreign_key_checks = 1")


@pytest.fixture(scope="module")
def counted(lab: str) -> list[dict[str, int]]:
    """Rows of every table after each test of this file, which the next begins with."""
    return [row_counts()]


@pytest.fixture
def unharmed(counted: list[dict[str, int]]) -> Iterator[dict[str, int]]:
    """Every table is there afterwards, with at least the rows it had."""
    before = counted[-1]
    yield before
    after = row_counts()
    counted.append(after)
    assert after.keys() == before.keys()
    assert {name for name in before if after[name] < before[name]} == set()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_name_stays_a_name(unharmed: dict[str, int], text: str) -> None:
    """Each is kept as it is, or refused and nothing kept."""
    try:
        declare_plan(text, plan_for("small", counts=[2], seeds=[0], finetunings=[]))
    except DecortexError as error:
        assert 0 < len(str(error)) < 10_000  # noqa: PT017  (refused, or kept)
        assert row_counts() == unharmed
    else:
        assert len(schemas.Study & {"study": text}) == 1
        assert text in {row["study"] for row in queries.studies()}
        forget(text)
    try:
        register_simulation(text, SimulationConfig.from_params(SMALL), seed=9)
    except DecortexError as error:
        assert 0 < len(str(error)) < 10_000  # noqa: PT017  (refused, or kept)
    else:
        for table in (schemas.Dataset.Neuron(), schemas.Dataset.Session(), schemas.Dataset()):
            schema.connection.query(f"DELETE FROM {table.full_table_name} WHERE dataset = %s", args=(text,))
    try:
        spec = register_embedding_spec(text[:64], EmbeddingConfig(kind="raw"))
    except DecortexError:
        return
    assert spec in schemas.EmbeddingSpec().to_arrays("embedding_spec_id")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_question_with_it_finds_nothing_and_does_nothing(
    unharmed: dict[str, int], tmp_path: Path, text: str
) -> None:
    for ask in (
        queries.results,
        lambda name: export_study(name, tmp_path / "new"),
        lambda name: queries.provenance(name, {}),
        lambda name: queries.provenance("Clustering", {"dataset": name}),
        lambda name: queries.provenance("Clustering", {name: 1}),
    ):
        with pytest.raises(DecortexError) as refused:
            ask(text)
        assert 0 < len(str(refused.value)) < 10_000
    with contextlib.suppress(InputError):  # no text at all
        assert retry_failed(computed_tables(), match=text) == 0
    assert list(tmp_path.iterdir()) == []
    assert row_counts() == unharmed
