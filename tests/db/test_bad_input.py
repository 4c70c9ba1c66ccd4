"""What cannot work is refused with a clear error, and nothing of it is registered."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pymysql
import pytest
import torch
from small_lab import SMALL, plan_for

import decortex_schemas as schemas
from decortex.data import write_filetree
from decortex.data.simulation import SimulationConfig, simulate
from decortex.errors import CheckpointError, ConfigError, DatabaseError, DatasetError
from decortex_schemas import queries
from decortex_schemas.database import (
    SCHEMA_VERSION,
    Settings,
    check_server,
    check_version,
    instance_of,
    read_settings,
)
from decortex_schemas.register import declare_plan, register_checkpoint
from decortex_schemas.tables import (
    check_frozen,
    declare_study,
    freeze_study,
    load_recordings,
    raw_embedding,
    register_folder,
    register_simulation,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good folder of recordings, to be spoilt."""
    out = tmp_path / "recordings"
    write_filetree(simulate(SimulationConfig.from_params({**SMALL, "n_neurons": 8}), 1), out)
    return out


def counts() -> dict[str, int]:
    """Rows of everything that a registration writes."""
    tables = (
        schemas.Dataset,
        schemas.Dataset.Session,
        schemas.Dataset.Neuron,
        schemas.ModelTask,
        schemas.Study,
    )
    return {table.__qualname__: len(table()) for table in tables}


def spoil_no_responses(session: Path) -> None:
    for file in (session / "data" / "responses").iterdir():
        file.unlink()
    (session / "data" / "responses").rmdir()


def spoil_one_response_less(session: Path) -> None:
    (session / "data" / "responses" / "3.npy").unlink()


def spoil_nan(session: Path) -> None:
    tiers = np.load(session / "meta" / "trials" / "tiers.npy")
    file = session / "data" / "responses" / f"{np.flatnonzero(tiers == 'train')[0]}.npy"
    values = np.load(file)
    values[0] = np.nan
    np.save(file, values)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_no_responses, "responses"),
        (spoil_one_response_less, "response"),
        (spoil_nan, "(?i)nan|not finite"),
    ],
)
def test_a_spoilt_folder_is_refused_whole(
    database: dict[str, str], folder: Path, spoil: Any, message: str
) -> None:
    before = counts()
    spoil(sorted(path for path in folder.iterdir() if path.is_dir())[0])
    with pytest.raises(DatasetError, match=message):
        register_folder("spoilt", folder)
    assert counts() == before


def neurons_of(folder: Path) -> Path:
    return sorted(path for path in folder.iterdir() if path.is_dir())[0] / "meta" / "neurons"


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        (
            "animal_ids",
            "m" * 65,
            r"animal of neuron 0 of session '.*', 'm+'..., has 65 characters, and at most 64",
        ),
        ("area", "V" * 33, "has 33 characters, and at most 32 are kept"),
        ("scan_idx", 2**31, "'2147483648', should lie between -2147483648 and 2147483647"),
        ("functional_type", 2**15, "true_type of .* should lie between -32768 and 32767"),
        ("cell_motor_coordinates", [np.inf] * 3, "x of neuron 0 .*should be finite"),
    ],
)
def test_what_no_column_holds_is_told_and_nothing_is_left(
    database: dict[str, str], folder: Path, column: str, value: Any, says: str
) -> None:
    before, meta = counts(), neurons_of(folder)
    n_neurons = len(np.load(meta / "unit_ids.npy"))
    np.save(meta / f"{column}.npy", np.array([value] * n_neurons))
    with pytest.raises(DatasetError, match=says):
        register_folder("beyond", folder)
    assert counts() == before


def test_names_that_no_column_tells_apart_are_told(database: dict[str, str], folder: Path) -> None:
    before, session = counts(), neurons_of(folder).parents[1]
    shutil.copytree(session, folder / f"{session.name} ")
    with pytest.raises(DatasetError, match="the same but for blanks at their end"):
        register_folder("blanks", folder)
    session.rename(folder / ("s" * 97))
    shutil.rmtree(folder / f"{session.name} ")
    with pytest.raises(DatasetError, match="has 97 characters, and at most 96"):
        register_folder("long", folder)
    with pytest.raises(DatasetError, match=r"species, 'm+', has 40 characters, and at most 32"):
        register_folder("species", folder, species="m" * 40)
    assert counts() == before


def test_pixels_that_are_no_numbers_are_told_at_registration(database: dict[str, str], folder: Path) -> None:
    before, images = counts(), neurons_of(folder).parents[1] / "data" / "images"
    np.save(images / "0.npy", np.load(images / "0.npy") * np.nan)
    with pytest.raises(DatasetError, match="images should be finite, but trial 0"):
        register_folder("pixels", folder)
    assert counts() == before


def test_sessions_of_a_checkpoint_fit_or_are_told(database: dict[str, str], tmp_path: Path) -> None:
    before, features = counts(), torch.rand(1, 4, 1, 6)
    torch.save({f"readout.{'s' * 97}._features": features}, tmp_path / "long.pt")
    with pytest.raises(DatasetError, match="has 97 characters, and at most 96"):
        register_checkpoint(tmp_path / "long.pt", name="long")
    assert counts() == before


def test_a_good_folder_registers_once_and_is_watched(database: dict[str, str], folder: Path) -> None:
    register_folder("good", folder)
    after = counts()
    register_folder("good", folder)
    assert counts() == after
    assert load_recordings("good").n_neurons == 8

    from decortex_schemas.tables.datasets import datasets

    file = next(iter(sorted((folder).glob("*/data/responses/0.npy"))))
    np.save(file, np.load(file) + 1)
    datasets._open.cache_clear()
    with pytest.raises(DatasetError, match="content of dataset 'good' is not what was registered"):
        load_recordings("good")


def test_a_name_is_not_taken_twice(lab: str) -> None:
    with pytest.raises(DatasetError, match="name 'small' is taken by other recordings"):
        register_simulation("small", SimulationConfig.from_params(SMALL), seed=4)


def test_an_unknown_dataset_is_named(database: dict[str, str]) -> None:
    with pytest.raises(DatasetError, match="no dataset 'nowhere' is registered"):
        load_recordings("nowhere")
    with pytest.raises(
        ConfigError, match="no dataset 'nowhere' is registered; `decortex register dataset` does"
    ):
        declare_plan("study of nothing", plan_for("nowhere"))
    imported = plan_for("nowhere", networks=[{"dataset": "nowhere", "imported": "nowhere"}], finetunings=[])
    with pytest.raises(ConfigError, match=r"`decortex register table` .* `decortex register model`"):
        declare_plan("study of nothing", imported)


def test_more_clusters_than_neurons_are_refused(lab: str) -> None:
    before = counts()
    networks = plan_for("small").networks[0].model_copy(update={"seeds": (70, 71)})
    plan = plan_for("small", counts=[3, 37]).model_copy(update={"networks": (networks,)})
    with pytest.raises(ConfigError, match="K = 37 exceeds the 36 neurons of dataset 'small'"):
        declare_plan("too many", plan)
    assert counts() == before


def test_a_plan_that_names_something_twice_is_refused(lab: str) -> None:
    with pytest.raises(ConfigError, match="the counts of study 'twice' hold one twice"):
        declare_plan("twice", plan_for("small", counts=[3, 3]))


def test_an_unknown_method_is_refused_with_the_known_ones(lab: str) -> None:
    with pytest.raises(ConfigError, match="kmeans"):
        declare_plan("unknown", plan_for("small", methods=[{"method": "k-medoids"}], finetunings=[]))


def test_a_study_is_not_redefined(lab: str) -> None:
    declare_plan(lab, plan_for("small"))
    with pytest.raises(ConfigError, match="exists with another plan"):
        declare_plan(lab, plan_for("small", counts=[3]))


def test_an_incomplete_study_is_not_frozen(lab: str) -> None:
    declare_plan("waiting", plan_for("small", counts=[5], finetunings=[]))
    with pytest.raises(
        ConfigError, match="8 of 8 members of study 'waiting' are neither computed nor failed"
    ):
        freeze_study("waiting")


def test_a_frozen_study_notices_a_changed_member(lab: str) -> None:
    check_frozen(lab)
    key = (schemas.DECFinetune & {"dataset": "small", "k": 3}).keys()[0]
    digest = (schemas.DECFinetune & key).fetch1("labels_sha256")
    schemas.DECFinetune.update1({**key, "labels_sha256": "0" * 64})
    try:
        with pytest.raises(ConfigError, match="are not those that were frozen"):
            check_frozen(lab)
        with pytest.raises(ConfigError, match="are not those that were frozen"):
            check_frozen(lab, key)
        check_frozen(lab, {**key, "k": 2})  # groups that this member is not in are what they were
    finally:
        schemas.DECFinetune.update1({**key, "labels_sha256": digest})
    check_frozen(lab)


def test_a_checkpoint_without_a_readout_is_refused(database: dict[str, str], tmp_path: Path) -> None:
    before = counts()
    path = tmp_path / "core.pth"
    torch.save({"core.features.layer0.conv.weight": torch.zeros(4, 1, 3, 3)}, path)
    with pytest.raises(CheckpointError, match="no readout"):
        register_checkpoint(path)
    assert counts() == before


class Custom:
    """Stands for a class that only unpickling could bring back."""


def test_a_checkpoint_that_needs_unpickling_is_refused(database: dict[str, str], tmp_path: Path) -> None:
    before = counts()
    path = tmp_path / "model.pth"
    torch.save({"model": Custom()}, path)
    with pytest.raises(CheckpointError, match="state_dict"):
        register_checkpoint(path)
    assert counts() == before


def test_a_checkpoint_of_other_neurons_is_refused(lab: str, tmp_path: Path) -> None:
    path = tmp_path / "seven.pth"
    torch.save(
        {"readout.s._features": torch.rand(1, 4, 1, 7), "readout.s._mu": torch.zeros(1, 7, 1, 2)}, path
    )
    with pytest.raises(CheckpointError, match="holds 7 neurons, dataset 'small' 36"):
        register_checkpoint(path, dataset="small")


def test_the_signs_of_masks_are_part_of_what_was_registered(database: dict[str, str], tmp_path: Path) -> None:
    features, path = torch.rand(30, 4) + 0.1, tmp_path / "signed.pth"
    flip = torch.where(torch.arange(30) % 2 == 0, 1.0, -1.0)[:, None]
    torch.save({"feat": features * flip, "mask": flip * torch.ones(30, 6)}, path)
    key = register_checkpoint(path, embedding_key="feat", mask_key="mask")
    instance_of(schemas.TrainedModel).populate(key)
    np.testing.assert_array_equal(raw_embedding(schemas.TrainedModel & key), features.numpy())
    with pytest.raises(CheckpointError, match="with embedding_key 'feat' and mask_key 'mask'"):
        register_checkpoint(path, embedding_key="feat")


def test_a_registered_checkpoint_is_clustered(database: dict[str, str], tmp_path: Path) -> None:
    from small_lab import fill

    features = torch.rand(1, 4, 1, 30)
    path = tmp_path / "thirty.pth"
    torch.save({"readout.s._features": features, "readout.s._mu": torch.zeros(1, 30, 1, 2)}, path)
    key = register_checkpoint(path)
    assert register_checkpoint(path) == key
    networks = [{"dataset": "thirty", "imported": "thirty"}]
    with pytest.raises(ConfigError, match="cannot be fine-tuned"):
        declare_plan("thirty", plan_for("thirty", networks=networks))
    declare_plan(
        "thirty",
        plan_for(
            "thirty",
            networks=networks,
            finetunings=[],
            embeddings=[{"name": "raw", "params": {"kind": "raw"}}],
        ),
    )
    fill()
    array = (schemas.Embedding & {"dataset": "thirty"}).fetch1("array").load()
    np.testing.assert_array_equal(array, features[0, :, 0, :].T.double().numpy())
    assert len(schemas.Clustering & {"dataset": "thirty"}) == 8
    freeze_study("thirty")
    fill()
    rows = queries.results("thirty")
    assert {row["correlation_before"] for row in rows} == {None}


def test_wrong_credentials_are_named_without_the_password(database: dict[str, str]) -> None:
    good = read_settings()
    wrong = Settings(good.host, good.port, good.user, "not the password", good.database, good.store)
    with pytest.raises(DatabaseError, match=f"refused user '{good.user}'") as caught:
        check_server(wrong)
    assert "not the password" not in str(caught.value)
    assert "not the password" not in repr(wrong)


def test_an_unreachable_server_is_named(database: dict[str, str]) -> None:
    good = read_settings()
    with pytest.raises(DatabaseError, match=r"no MySQL server answers at 127\.0\.0\.1:1 "):
        check_server(Settings("127.0.0.1", 1, good.user, good.password, good.database, good.store))


def test_a_plan_that_names_no_method_row_is_refused(lab: str) -> None:
    plan = schemas.StudyPlan(
        models=({"dataset": "small", "model_spec_id": 1, "model_seed": 99},),
        embedding_spec_ids=(1,),
        method_ids=(999,),
        counts=(2,),
        seeds=(0,),
    )
    with pytest.raises(ConfigError, match=r"names method_id \[999\], which ClusteringMethod does not hold"):
        declare_study("no such network", plan)


def test_tables_of_another_version_are_refused(database: dict[str, str]) -> None:
    connection = schemas.schema.connection
    name = schemas.schema.database
    check_version(connection, name)
    connection.query(f"UPDATE `{name}`.`#schema_version` SET version = 999")
    try:
        with pytest.raises(DatabaseError, match=f"version 999, this decortex needs {SCHEMA_VERSION}"):
            check_version(connection, name)
    finally:
        connection.query(f"UPDATE `{name}`.`#schema_version` SET version = {SCHEMA_VERSION}")
    check_version(connection, name)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("10.11.6-MariaDB-0+deb12u1", "is MariaDB"),
        ("5.7.44-log", r"is MySQL 5\.7\.44-log; decortex needs 8\.0\.13"),
    ],
)
def test_a_server_that_datajoint_cannot_use_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, message: str
) -> None:
    class Answer:
        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def cursor(self) -> Answer:
            return self

        def execute(self, sql: str) -> None:
            assert sql == "SELECT @@version"

        def fetchone(self) -> tuple[str]:
            return (version,)

    monkeypatch.setattr(pymysql, "connect", lambda **_: Answer())
    with pytest.raises(DatabaseError, match=message):
        check_server(Settings("there", 3306, "me", "secret", "decortex", tmp_path))
