"""Table definitions do not change unseen: their digests are recorded, and every version has its migration."""

from __future__ import annotations

import pytest

import decortex_schemas as schemas
from decortex.config import config_hash
from decortex.errors import ConfigError
from decortex_schemas.database import (
    OLDEST_VERSION,
    SCHEMA_VERSION,
    Declared,
    combined_digest,
    definition_digests,
    definitions,
    table_classes,
    version_fault,
)
from decortex_schemas.database.definitions import (
    COMMAND,
    recorded_definitions,
    unrecorded_change,
    write_record,
)
from decortex_schemas.database.digests import normal_form
from decortex_schemas.migrations import migrations
from decortex_schemas.tables.evaluation import SELECTION


@pytest.fixture(scope="module")
def digests() -> dict[str, str]:
    """Digests of this code's definitions."""
    return definition_digests(table_classes())


def test_the_definitions_are_those_that_are_recorded(digests: dict[str, str]) -> None:
    record = recorded_definitions()
    fault = unrecorded_change(record, SCHEMA_VERSION, digests)
    assert fault is None, fault
    assert record["sha256"] == combined_digest(digests)


def test_a_changed_definition_is_told_with_what_to_do(digests: dict[str, str]) -> None:
    record = {
        "schema_version": SCHEMA_VERSION,
        "released": False,
        "tables": {**digests, "Clustering": "0" * 64},
    }
    said = unrecorded_change(record, SCHEMA_VERSION, digests)
    assert said is not None
    assert "changed: Clustering" in said
    assert f"to_version_{SCHEMA_VERSION}.py" in said
    assert COMMAND in said
    # A released version takes a new number.
    said = unrecorded_change({**record, "released": True}, SCHEMA_VERSION, digests)
    assert said is not None
    assert f"raise SCHEMA_VERSION to {SCHEMA_VERSION + 1}" in said
    assert f"to_version_{SCHEMA_VERSION + 1}.py" in said


def test_the_record_of_a_released_version_is_not_overwritten(
    digests: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    released = {"schema_version": SCHEMA_VERSION, "released": True, "tables": {**digests, "Seed": "0" * 64}}
    monkeypatch.setattr(definitions, "recorded_definitions", lambda: released)
    written: list[str] = []
    monkeypatch.setattr(type(definitions.RECORD), "write_text", lambda *_, **__: written.append("written"))
    with pytest.raises(ConfigError, match="is released: raise SCHEMA_VERSION"):
        write_record()
    assert written == []


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("# Other words\nk : int16 # number\n---\nx = 'a # b' : varchar(8)", True),
        ("k : int16\n-----\nx='a # b':varchar(8)", False),
        ("k : int32\n---\nx = 'a # b' : varchar(8)", False),
        ("k : int16\n---\nx = 'a # c' : varchar(8)", False),
        ("k : int16\nx = 'a # b' : varchar(8)\n---", False),
        ("k : int16\n---\nx = 'a # b' : varchar(8)\n-> Environment", False),
    ],
)
def test_words_do_not_count_and_columns_do(other: str, same: bool) -> None:
    one = "# A table\nk : int16     # clusters\n\n---\nx = 'a # b' : varchar(8)  # what it is\n"
    assert (normal_form(one) == normal_form(other)) is same


def test_every_version_has_a_migration_of_named_steps() -> None:
    every = migrations()
    assert [one.to_version for one in every] == list(range(OLDEST_VERSION + 1, SCHEMA_VERSION + 1))
    for one in every:
        names = [step.name for step in one.steps]
        assert names
        assert len(set(names)) == len(names)
        assert max(map(len, names)) <= 64


def test_what_a_database_says_decides_what_is_told(digests: dict[str, str]) -> None:
    def told(version: int, known: dict[str, str] | None, *, to_declare: bool = False) -> str:
        return version_fault(Declared(version, known), "lab", digests, to_declare=to_declare) or ""

    assert version_fault(None, "lab", digests) is None
    assert told(SCHEMA_VERSION, digests) == ""
    assert "decortex db upgrade" in told(SCHEMA_VERSION - 1, None)
    assert "is not finished" in told(SCHEMA_VERSION, None)
    assert "or a newer one" in told(SCHEMA_VERSION + 1, digests)
    assert "upgrades begin at" in told(OLDEST_VERSION - 1, None)
    # The same version with other columns: what was found, and not a KeyError later.
    assert "changed: Dataset)" in told(SCHEMA_VERSION, {**digests, "Dataset": "0" * 64}, to_declare=True)
    # A table that was added and nobody declared.
    fewer = {name: digest for name, digest in digests.items() if name != "StateStudy"}
    assert "StateStudy): run `decortex init` as an administrator" in told(SCHEMA_VERSION, fewer)
    assert told(SCHEMA_VERSION, fewer, to_declare=True) == ""


def test_a_changed_rule_for_choosing_k_takes_new_versions_of_what_it_decides() -> None:
    rule = "8c02f4113a043fd0f2b8e864f501d847ab56321238c8aa22709f51bc5ed9fbfc"
    versions = {"KCriteria": 1, "NullFit": 1, "SeedNullFit": 1, "KSelection": 1}
    assert (config_hash(SELECTION.resolved()), {one: getattr(schemas, one).version for one in versions}) == (
        rule,
        versions,
    ), (
        "the rule changed: raise `version` of these tables, so that `decortex stale` lists what the old rule decided"
    )
