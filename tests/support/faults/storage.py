"""A store that is full, refuses, is not mounted, or holds what it should not."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import signal

from fault_lab import FaultLab, await_text, computed, ended
from support.faults.register import fault

# From the first insert on a file may have so many bytes and no more, until a signal says that somebody made space.
FULL = """
import resource, signal
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
space = []
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
def make_space(*_):
    space.append(True)
    limit(most)
signal.signal(signal.SIGUSR1, make_space)
insert = table.make_insert
def make_insert(self, *rest):
    limit(most if space else 1500)
    insert(self, *rest)
table.make_insert = make_insert
"""


@fault("store full")
def store_full(lab: FaultLab) -> None:
    """What was computed waits for space."""
    folder = lab.begin("Embedding")
    with ended(lab.worker("Embedding", folder, code=FULL)) as worker:
        await_text(worker, "store full")
        assert lab.count("Embedding") == 0
        assert not list(lab.store.glob("__embedding/**/*.npy"))  # no file that might be taken for whole
        worker.send_signal(signal.SIGUSR1)
        assert worker.wait() == 0, worker.communicate()[0]
    assert len(computed(folder)) == lab.count("Embedding") == 2
    lab.finish()


# Files of the store are refused with one error until a signal says that somebody has mended it.
REFUSING = """
import builtins, os, signal
from pathlib import Path
broken = [True]
signal.signal(signal.SIGUSR1, lambda *_: broken.clear())
def refusing(original):
    def refuse(path, mode='r', *rest, **more):
        if broken and str(path).startswith(os.environ['DECORTEX_STORE']) and mode == {mode!r}:
            raise OSError({number}, os.strerror({number}), {name})
        return original(path, mode, *rest, **more)
    return refuse
Path.open, builtins.open = refusing(Path.open), refusing(builtins.open)
"""


@fault("store refuses: permission, read-only, stale handle, input/output")
def store_refuses(lab: FaultLab) -> None:
    """One worker's broken mount is waited for: no key of the queue is spent on it."""
    table = lab.rng.choice(["Embedding", "Clustering"])  # writes a file; reads one
    folder = lab.begin(table)
    number = lab.rng.choice([errno.EACCES, errno.EROFS, errno.ESTALE, errno.EIO])
    mode, name = "xb" if table == "Embedding" else "rb", lab.rng.choice(["str(path)", "None"])
    code = REFUSING.format(number=number, name=name, mode=mode)
    with ended(lab.worker(table, folder, code=code)) as worker:
        await_text(worker, "store: StoreError")
        assert lab.count(table) == 0
        assert lab.jobs(table).get("error", 0) == 0
        worker.send_signal(signal.SIGUSR1)
        assert worker.wait() == 0, worker.communicate()[0]
    assert lab.count(table) == len(lab.keys[table])
    if table == "Embedding":
        assert len(computed(folder)) == 2  # what was computed waited
    lab.finish()


@fault("store not mounted")
def store_not_mounted(lab: FaultLab) -> None:
    """An empty folder in the store's place is not taken for a store whose files are lost."""
    folder = lab.begin("Clustering")
    empty = folder / "mount"
    with ended(lab.worker("Clustering", folder, DECORTEX_STORE=str(empty))) as worker:
        await_text(worker, "holds nothing of the database")
        assert lab.jobs("Clustering").get("error", 0) == 0
        empty.rmdir()
        empty.symlink_to(lab.lab.environment["DECORTEX_STORE"])
        assert worker.wait() == 0, worker.communicate()[0]
    lab.finish()


@fault("store file truncated")
def truncated(lab: FaultLab) -> None:
    """No partition is made of a damaged embedding; with its file restored, the failed keys are made."""
    folder = lab.begin("Clustering")
    files = sorted(lab.store.glob("__embedding/**/*.npy"))
    victim = lab.rng.choice(files)
    content = victim.read_bytes()
    victim.write_bytes(content[: lab.rng.randint(0, len(content) - 1)])
    try:
        with ended(lab.worker("Clustering", folder)) as worker:
            assert worker.wait() == 3
            assert "is not the one that was written" in worker.stderr
        assert lab.jobs("Clustering") == {"error": 4}
        assert lab.count("Clustering") == 4
        assert lab.lab.run("verify", check=False).returncode == 1
    finally:
        victim.write_bytes(content)
    assert "4 queued again" in lab.lab.run("retry", "--match", "not the one that was written").stdout
    lab.finish()


@fault("a row that names a file elsewhere, in backup and restore")
def hostile_path(lab: FaultLab) -> None:
    """The file stays as it is, everything else is saved and brought back."""
    folder = lab.begin("Clustering")
    victim, database = folder / "victim", lab.lab.environment["DECORTEX_DATABASE"]
    victim.write_bytes(b"precious")
    path = lab.rng.choice([str(victim), f"_schema/{database}/../../../{folder.name}/victim"])
    stored = {
        "path": path,
        "size": 8,
        "sha256": hashlib.sha256(b"precious").hexdigest(),
        "dtype": "u1",
        "shape": [1],
    }
    columns = [row[0] for row in lab.lab.query("SHOW COLUMNS FROM __embedding")]
    chosen = ", ".join(
        {"embedding_spec_id": "99", "array": "CAST(%s AS JSON)"}.get(name, f"`{name}`") for name in columns
    )
    lab.lab.query(
        "INSERT INTO `#embedding_spec` SELECT 99, REPEAT('9', 64), 'hostile', kind, params FROM `#embedding_spec` "
        "LIMIT 1"
    )
    lab.lab.query(
        f"INSERT INTO __embedding SELECT {chosen} FROM __embedding WHERE embedding_spec_id = 1",
        json.dumps(stored),
    )
    done = lab.lab.run("db", "backup", str(folder / "backup"), check=False)
    assert done.returncode == 1
    assert "refused: Embedding" in done.stderr
    assert victim.read_bytes() == b"precious"
    lab.lab.query(f"DROP DATABASE `{database}`")
    shutil.rmtree(lab.store)
    lab.lab.run("db", "restore", str(folder / "backup"))
    assert victim.read_bytes() == b"precious"
    lab.lab.query("DELETE FROM __embedding WHERE embedding_spec_id = 99")
    lab.lab.query("DELETE FROM `#embedding_spec` WHERE embedding_spec_id = 99")
    lab.finish()
