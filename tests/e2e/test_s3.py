"""A store on S3: written, read, verified and refused as a folder's files are. The server speaks S3 (moto's)."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from forked_commands import ForkedLab

boto3 = pytest.importorskip("boto3", reason="pip install 'decortex[s3]'")
pytest.importorskip("moto", reason="pip install -e '.[dev]'")

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}
CHAIN = """
import tempfile, torch
from pathlib import Path
import decortex_schemas as schemas
from decortex.embeddings import EmbeddingConfig
from decortex_schemas.register.checkpoints import register_checkpoint
from decortex_schemas.tables.specs import register_embedding_spec, register_method
from decortex_schemas.tables.studies import StudyPlan, declare_study
path = Path(tempfile.mkdtemp()) / "cells.pth"
torch.save({"readout.weight": torch.randn(40, 4, generator=torch.Generator().manual_seed(0))}, path)
declare_study("sweep", StudyPlan(
    models=(register_checkpoint(path, embedding_key="readout.weight"),),
    embedding_spec_ids=(register_embedding_spec("raw", EmbeddingConfig(kind="raw")),),
    method_ids=(register_method("kmeans", {}, name="kmeans")["method_id"],),
    counts=(2, 3), seeds=(0,),
))
for table in (schemas.TrainedModel, schemas.Embedding, schemas.Clustering):
    table.populate(reserve_jobs=True)
print(schemas.Embedding.fetch1("array").load().shape, len(schemas.Clustering()))
"""
READ = """
import decortex_schemas as schemas
from decortex.errors import DecortexError
from decortex_schemas.tables.embeddings import load_embedding
try:
    print(load_embedding(schemas.Embedding.keys()[0]).shape)
except DecortexError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Address of a private server."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(120)


def open_bucket(endpoint: str, name: str) -> Any:
    """A new bucket."""
    service = boto3.resource(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    return service.create_bucket(Bucket=name)


def test_a_store_on_s3(make_declared_lab: Callable[[str], ForkedLab], endpoint: str) -> None:
    lab = make_declared_lab("s3")
    lab.environment.update(CREDENTIALS)
    lab.environment.update(DECORTEX_STORE="s3://cells/lab one", DECORTEX_S3_ENDPOINT=endpoint)
    bucket = open_bucket(endpoint, "cells")
    assert lab.python(CHAIN).split() == ["(40,", "4)", "2"]
    stored = {one.key: one for one in bucket.objects.all()}
    assert sum("/_owners/" in name for name in stored) == 1  # who writes to it
    stored = {name: one for name, one in stored.items() if "/_owners/" not in name}
    assert len(stored) == 3  # the checkpoint of the task and of the network, and the embedding's array
    assert all(name.startswith("lab one/") for name in stored)
    found = json.loads(lab.run("verify", "--json").stdout)
    assert (found["checked"], found["faults"], found["orphaned"]) == (3, [], [])
    (array,) = [name for name in stored if name.endswith(".npy")]
    content = bytearray(stored[array].get()["Body"].read())
    content[-1] ^= 1
    bucket.put_object(Key=array, Body=bytes(content))
    assert "is not the one that was written" in lab.python(READ)
    damaged = lab.run("verify", "--json", check=False)
    assert damaged.returncode == 1
    assert [fault["problem"] for fault in json.loads(damaged.stdout)["faults"]] == ["altered"]
    stored[array].delete()
    assert "holds no file" in lab.python(READ)


def test_a_backup_of_a_bucket_comes_back_into_another(
    make_declared_lab: Callable[[str], ForkedLab], endpoint: str, tmp_path: Path
) -> None:
    lab = make_declared_lab("s3 backup")
    lab.environment.update(CREDENTIALS)
    lab.environment.update(DECORTEX_STORE="s3://kept/lab one", DECORTEX_S3_ENDPOINT=endpoint)
    bucket = open_bucket(endpoint, "kept")
    lab.python(CHAIN)
    saved = tmp_path / "saved"
    lab.run("db", "backup", str(saved))
    files = [one for one in bucket.objects.all() if "/_owners/" not in one.key]
    before = {one.key.removeprefix("lab one/"): one.e_tag for one in files}
    assert len(before) == len([file for file in (saved / "store").rglob("*") if file.is_file()]) == 3
    lab.query(f"DROP DATABASE `{lab.environment['DECORTEX_DATABASE']}`")
    lab.environment.update(DECORTEX_STORE="s3://kept/lab two")
    lab.run("db", "restore", str(saved))
    back = bucket.objects.filter(Prefix="lab two/")
    assert {one.key.removeprefix("lab two/"): one.e_tag for one in back} == before
    assert lab.python(READ).split() == ["(40,", "4)"]
    assert json.loads(lab.run("verify", "--json").stdout)["faults"] == []


def test_a_store_without_a_bucket_is_refused(make_forked_lab: Callable[[str], ForkedLab]) -> None:
    done = make_forked_lab("refused").run("verify", check=False, DECORTEX_STORE="s3:///folder")
    assert done.returncode == 1
    assert "expected s3://bucket/folder" in done.stderr.replace("\n", " ")
