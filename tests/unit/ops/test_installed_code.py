"""Which code made a row: the digest of the files wherever they lie, and the commit that a wheel was built from."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from decortex_schemas.database import build_facts, code_state, source_digest
from decortex_schemas.database.environment import installed_code

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The project's packages in small, in a repository of their own."""
    for parent, name in (
        ("pipeline", "decortex"),
        ("schemas", "decortex_schemas"),
        ("populate_scripts", "decortex_ops"),
    ):
        folder = tmp_path / "tree" / parent / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(f'"""{name}."""\n')
    root = tmp_path / "tree"
    git = ["git", "-C", str(root), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    return root


def folders(root: Path) -> dict[str, Path]:
    return {name: next(root.glob(f"*/{name}")) for name in installed_code.PACKAGES}


def test_the_digest_is_of_names_and_content_and_not_of_the_folder(tree: Path, tmp_path: Path) -> None:
    before = source_digest(folders(tree))
    shutil.copytree(tree, tmp_path / "elsewhere")
    assert source_digest(folders(tmp_path / "elsewhere")) == before
    (tree / "pipeline" / "decortex" / "notes.txt").write_text("no code")
    assert source_digest(folders(tree)) == before
    seen = {before}
    file = tree / "pipeline" / "decortex" / "__init__.py"
    for position in range(len(file.read_bytes())):  # every byte counts
        content = bytearray(file.read_bytes())
        content[position] ^= 1
        file.write_bytes(content)
        seen.add(source_digest(folders(tree)))
        content[position] ^= 1
        file.write_bytes(content)
    assert len(seen) == 1 + len(file.read_bytes())
    file.rename(file.with_name("other.py"))
    assert source_digest(folders(tree)) not in seen


def test_a_build_writes_down_the_commit_and_whether_something_is_not_in_it(tree: Path) -> None:
    head = subprocess.check_output(["git", "-C", str(tree), "rev-parse", "HEAD"], text=True).strip()
    clean = build_facts(tree, {})
    assert clean == {
        "git_commit": head,
        "diff_sha256": None,
        "source_sha256": source_digest(folders(tree)),
    }
    (tree / "schemas" / "decortex_schemas" / "more.py").write_text("x = 1\n")
    changed = build_facts(tree, {})
    assert changed["diff_sha256"] is not None
    assert changed["source_sha256"] != clean["source_sha256"]
    shutil.rmtree(tree / ".git")  # an image is built without the history
    assert build_facts(tree, {"DECORTEX_COMMIT": "c" * 40})["git_commit"] == "c" * 40
    assert build_facts(tree, {})["git_commit"] is None


def test_a_wheel_that_was_edited_is_not_the_commit_that_it_was_built_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As installed: files without a repository, and what the build wrote beside them."""
    package = tmp_path / "site" / "decortex_schemas"
    (package / "database").mkdir(parents=True)
    module = package / "database" / "installed_code.py"
    module.write_text("# the code\n")
    monkeypatch.setattr(installed_code, "__file__", str(module))
    monkeypatch.setattr(installed_code, "installed_folders", lambda: {"decortex_schemas": package})
    unknown = code_state()
    assert (unknown["git_commit"], unknown["dirty"]) == (None, None)
    digest = source_digest({"decortex_schemas": package})
    built = {"git_commit": "a" * 40, "diff_sha256": None, "source_sha256": digest}
    (package / "build.json").write_text(json.dumps(built))
    as_built = code_state()
    assert (as_built["git_commit"], as_built["dirty"], as_built["source_sha256"]) == ("a" * 40, False, digest)
    module.write_text("# other code\n")
    edited = code_state()
    assert edited["source_sha256"] != digest
    assert (edited["dirty"], edited["diff_sha256"]) == (True, edited["source_sha256"])


def test_this_process_knows_its_own_files() -> None:
    assert code_state()["source_sha256"] == build_facts(ROOT)["source_sha256"]
