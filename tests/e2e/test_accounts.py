"""Accounts: made with a role and a password, listed, changed, locked; what cannot be granted is refused."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from forked_commands import ForkedLab
from support.people import PASSWORD


def test_roles_are_listed_changed_and_taken_back(tiny: ForkedLab, people: dict[str, ForkedLab]) -> None:
    viewer = people["viewer"]
    name = viewer.environment["DJ_USER"]

    def role() -> str | None:
        rows = json.loads(tiny.run("db", "users", "--json").stdout)
        return next((row["role"] for row in rows if row["user"] == name), None)

    assert role() == "viewer"
    tiny.run("db", "grant", name, "--role", "author")
    assert role() == "author"
    tiny.run("db", "revoke", name)
    assert role() is None
    gone = viewer.run("status", check=False)
    assert gone.returncode == 1
    tiny.run("db", "grant", name, "--role", "viewer")
    assert viewer.run("status").returncode == 0


@pytest.mark.parametrize("name", ["a'b\\", "x; DROP DATABASE mysql", "日本", "../../etc"])
def test_hostile_names_are_names(tiny: ForkedLab, name: str) -> None:
    tiny.run("db", "grant", "--role", "viewer", "--", name, DECORTEX_NEW_PASSWORD=PASSWORD)
    try:
        own = {**tiny.environment, "DJ_USER": name, "DJ_PASS": PASSWORD}
        assert replace(tiny, environment=own).query("SELECT COUNT(*) FROM study") == [(1,)]
    finally:
        tiny.query("DROP USER %s@%s", name, "%")


def test_what_cannot_be_granted(tiny: ForkedLab, people: dict[str, ForkedLab]) -> None:
    assert tiny.run("db", "grant", "ada", "--role", "king", check=False).returncode == 2
    no_password = tiny.run("db", "grant", "ada", "--role", "viewer", check=False)
    assert no_password.returncode == 1
    assert "needs a password" in no_password.stderr
    not_allowed = people["admin"].run("db", "grant", "ada", "--role", "viewer", check=False)
    assert not_allowed.returncode == 1
    assert "the server refused" in not_allowed.stderr
    assert tiny.run("db", "grant", "x" * 40, "--role", "viewer", check=False).returncode == 1


def test_tls_is_required_where_it_is_asked_for(tiny: ForkedLab) -> None:
    ask = "print(schemas.schema.connection.query(\"SHOW STATUS LIKE 'Ssl_cipher'\").fetchone()[1] != '')"

    def encrypted(**options: str) -> str:
        return replace(tiny, environment={**tiny.environment, **options}).python(ask).strip()

    assert encrypted(DJ_USE_TLS="true") == "True"
    assert encrypted(DJ_USE_TLS="false") == "False"
    wrong = tiny.folder / "ca.pem"
    wrong.write_text("no certificate")
    unverified = tiny.run("status", check=False, DECORTEX_TLS_CA=str(wrong))
    assert unverified.returncode == 1
    assert "no encrypted connection" in unverified.stderr
    assert "is not a file" in tiny.run("status", check=False, DECORTEX_TLS_CA="/no/such/file").stderr


def test_passwords_are_changed_by_their_owner_and_told_as_what_they_are(tiny: ForkedLab) -> None:
    name = f"own_{uuid.uuid4().hex[:8]}"
    tiny.run("db", "grant", name, "--role", "viewer", DECORTEX_NEW_PASSWORD=PASSWORD)
    again = tiny.run("db", "grant", name, "--role", "viewer", DECORTEX_NEW_PASSWORD=PASSWORD)
    assert "its password was changed" in again.stdout
    assert "password" not in tiny.run("db", "grant", name, "--role", "viewer").stdout
    own = replace(tiny, environment={**tiny.environment, "DJ_USER": name, "DJ_PASS": PASSWORD})
    try:
        changed = own.run("db", "password", DECORTEX_NEW_PASSWORD="second-8f2")
        assert f"{name}@% has another password" in changed.stdout
        assert "second-8f2" not in changed.stdout + changed.stderr
        wrong = own.run("status", check=False)
        assert f"refused user {name!r}: check DJ_USER and DJ_PASS" in wrong.stderr
        own = replace(own, environment={**own.environment, "DJ_PASS": "second-8f2"})
        assert own.run("status").returncode == 0
        tiny.query("ALTER USER %s@%s PASSWORD EXPIRE", name, "%")
        expired = own.run("status", check=False)
        assert "The password has expired: set a new one (`decortex db password`)" in expired.stderr
        own.run("db", "password", DECORTEX_NEW_PASSWORD="third-1c9")
        own = replace(own, environment={**own.environment, "DJ_PASS": "third-1c9"})
        assert own.run("status").returncode == 0
        tiny.query("ALTER USER %s@%s ACCOUNT LOCK", name, "%")
        locked = own.run("status", check=False)
        assert "The account is locked" in locked.stderr
        for done in (wrong, expired, locked):
            assert done.returncode == 1
            assert "Traceback" not in done.stderr
    finally:
        tiny.query("DROP USER %s@%s", name, "%")


def test_a_password_file_is_made_only_of_a_password_that_holds(
    tiny: ForkedLab, people: dict[str, ForkedLab], tmp_path: Path
) -> None:
    name, database = f"filed_{uuid.uuid4().hex[:8]}", tiny.environment["DECORTEX_DATABASE"]
    half, file = f"half_{uuid.uuid4().hex[:8]}", tmp_path / "ada.password"
    words = ("db", "grant", name, "--role", "viewer", "--password-file")

    def nothing_is_left() -> bool:
        accounts = tiny.query("SELECT COUNT(*) FROM mysql.user WHERE user = %s", name)
        return accounts == [(0,)] and list(tmp_path.iterdir()) == []

    assert "the server refused" in people["admin"].run(*words, str(file), check=False).stderr
    assert nothing_is_left()
    nowhere = tiny.run(*words, str(tmp_path / "no" / "folder"), check=False)
    assert (nowhere.returncode, "cannot be written" in nowhere.stderr) == (1, True)
    assert nothing_is_left()
    # An account that may make accounts and give rights, but no role: refused after the new one was made.
    tiny.query("CREATE USER %s IDENTIFIED BY %s", half, PASSWORD)
    try:
        tiny.query("GRANT CREATE USER ON *.* TO %s", half)
        tiny.query("GRANT SELECT ON mysql.* TO %s", half)
        for pattern in (database.replace("_", "\\_"), database.replace("_", "\\_") + "\\_\\_%%"):
            tiny.query(f"GRANT ALL PRIVILEGES ON `{pattern}`.* TO %s WITH GRANT OPTION", half)
        done = tiny.run(*words, str(file), check=False, DJ_USER=half, DJ_PASS=PASSWORD)
        assert (done.returncode, "(error 1227)" in done.stderr) == (1, True), done.stderr
        assert nothing_is_left()
        tiny.run(*words, str(file))
        assert file.stat().st_mode & 0o777 == 0o600
        own = {"DJ_USER": name, "DJ_PASS": file.read_text().strip()}
        assert tiny.run("status", **own).returncode == 0
        other = str(tmp_path / "other.password")
        wrong = tiny.run(
            "db", "password", "--password-file", other, check=False, DJ_USER=name, DJ_PASS="wrong"
        )
        assert wrong.returncode == 1
        assert list(tmp_path.iterdir()) == [file]
        tiny.run("db", "password", "--password-file", other, **own)
        own["DJ_PASS"] = Path(other).read_text().strip()
        assert tiny.run("status", **own).returncode == 0
    finally:
        tiny.query("DROP USER IF EXISTS %s, %s", half, name)
