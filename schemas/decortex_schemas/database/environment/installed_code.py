"""Which code runs here, however it was installed: commit, uncommitted changes, digest of the files. Standard library.

A checkout asks git. A wheel holds ``decortex_schemas/build.json``, which the build wrote (``hatch_build.py``): the
commit and the digest of the files at that time, so that a file that was edited since shows.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PACKAGES = ("decortex", "decortex_schemas", "decortex_ops")
BUILD_FILE = "build.json"
# Names the commit where a wheel is built from files without their history, as an image is.
COMMIT_VARIABLE = "DECORTEX_COMMIT"
_CODE = ("--", "pipeline", "schemas", "populate_scripts", "pyproject.toml")


def source_digest(folders: Mapping[str, Path]) -> str:
    """Digest of the Python files of some packages: the same wherever they lie.

    Parameters
    ----------
    folders : mapping of str to Path
        Folder by the package's name.

    Returns
    -------
    str
        sha256 over name, length and content of every ``.py`` file, in the order of names.
    """
    digest = hashlib.sha256()
    for package, folder in sorted(folders.items()):
        for path in sorted(folder.rglob("*.py"), key=lambda one: one.relative_to(folder).as_posix()):
            content = path.read_bytes()
            digest.update(f"{package}/{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


def installed_folders() -> dict[str, Path]:
    """Folder of each of the packages, as this process would import them."""
    found = {}
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            found[name] = Path(next(iter(spec.submodule_search_locations)))
    return found


def code_state() -> dict[str, str | bool | None]:
    """What is known of the code that this process runs.

    Returns
    -------
    dict
        ``source_sha256``: of the files, see `source_digest`. ``git_commit``: of the checkout, or that a wheel was
        built from; None where neither is known. ``dirty``: whether the files are not those of the commit or of the
        wheel; None where nothing is known to compare them with. ``diff_sha256``: of what differs: the uncommitted
        changes, or the files of an installed wheel that was edited; None where nothing does.
    """
    folders = installed_folders()
    digest = source_digest(folders)
    commit, changes = checkout_state(Path(__file__).resolve().parent)
    if commit is None:
        built = _built(folders["decortex_schemas"] / BUILD_FILE)
        commit, changes = built.get("git_commit"), built.get("diff_sha256")
        if built and built.get("source_sha256") != digest:
            changes = digest
    return {
        "source_sha256": digest,
        "git_commit": commit,
        "dirty": changes is not None if commit or changes else None,
        "diff_sha256": changes,
    }


def checkout_state(folder: Path) -> tuple[str | None, str | None]:
    """Commit of the project's own checkout that a folder lies in, and the sha256 of what is uncommitted; else None."""
    root, head = _git(folder, "rev-parse", "--show-toplevel"), _git(folder, "rev-parse", "HEAD")
    top = None if root is None else os.fsdecode(root.rstrip(b"\n"))
    if top is None or head is None or not (Path(top) / "schemas" / "decortex_schemas").is_dir():
        return None, None  # installed from a wheel, or inside somebody else's repository
    changed = _git(Path(top), "diff", "HEAD", "--binary", *_CODE) or b""
    untracked = _git(Path(top), "ls-files", "--others", "--exclude-standard", "-z", *_CODE) or b""
    if not changed and not untracked:
        return head.decode().strip(), None
    digest = hashlib.sha256(changed)
    for name in sorted(untracked.split(b"\0")):
        path = Path(top) / os.fsdecode(name)
        if name and path.is_file():
            digest.update(name + b"\0" + path.read_bytes())
    return head.decode().strip(), digest.hexdigest()


def build_facts(root: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """What a build of the tree at `root` writes into the wheel."""
    commit, changes = checkout_state(root)
    parents = dict(zip(PACKAGES, ("pipeline", "schemas", "populate_scripts"), strict=True))
    return {
        "git_commit": commit or environ.get(COMMIT_VARIABLE) or None,
        "diff_sha256": changes,
        "source_sha256": source_digest({name: root / parent / name for name, parent in parents.items()}),
    }


def _built(file: Path) -> dict[str, str | None]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def _git(folder: Path, *words: str) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
