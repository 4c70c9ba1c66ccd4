"""Where a machine's archive lies, and what apt says of packages: text in, answers out."""

from __future__ import annotations

from pathlib import Path

import pytest

from decortex.errors import DatabaseError
from decortex_ops.server.debian import (
    AptSource,
    Deb,
    archives_of,
    fetch,
    parse_closure,
    parse_deb822,
    parse_one_line,
    parse_uris,
    read_sources,
    run_tool,
    tool_failure,
)
from decortex_ops.server.debian import apt as private_apt

DEB822 = """\
# a comment between
Types: deb deb-src
# a comment within a stanza
URIs: http://mirror.example/debian/ https://second.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc: def
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://switched-off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source-only.example/debian
Suites: bookworm
Components: main
"""


def test_deb822_gives_one_source_to_each_address_and_suite():
    found = parse_deb822(DEB822)
    assert [(source.uri, source.suite) for source in found] == [
        ("http://mirror.example/debian", "bookworm"),
        ("http://mirror.example/debian", "bookworm-updates"),
        ("https://second.example/debian", "bookworm"),
        ("https://second.example/debian", "bookworm-updates"),
        ("http://mirror.example/debian-security", "bookworm-security"),
    ]
    assert found[0].components == ("main", "contrib")
    assert found[0].signed_by == "/usr/share/keyrings/debian-archive-keyring.gpg"
    assert found[-1].signed_by is None, "a key within the stanza is no path"


def test_one_line_format_with_options_comments_and_tabs():
    text = """
    # deb http://off.example/debian bookworm main
    deb-src http://mirror.example/debian bookworm main
    deb\t[ arch=amd64 Signed-By=/k/debian.gpg trusted=yes ]  http://m.example/debian/  bookworm main  non-free # end
    deb cdrom:[Debian]/ bookworm main
    deb http://plain.example/debian bookworm main
    nonsense
    """
    found = parse_one_line(text)
    assert found[0] == AptSource(
        uri="http://m.example/debian",
        suite="bookworm",
        components=("main", "non-free"),
        signed_by="/k/debian.gpg",  # and never trusted=yes
    )
    assert found[-1] == AptSource("http://plain.example/debian", "bookworm", ("main",))


def test_sources_are_read_in_apts_order_and_other_files_are_not(tmp_path):
    (tmp_path / "sources.list").write_text("deb http://a.example/debian bookworm main\n")
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "b.sources").write_text(
        "Types: deb\nURIs: http://b.example/debian\nSuites: bookworm\nComponents: main"
    )
    (folder / "a.list").write_text("deb http://c.example/debian bookworm main\n")
    (folder / "a.list.save").write_text("deb http://saved.example/debian bookworm main\n")
    assert [source.uri.split("//")[1][0] for source in read_sources(tmp_path)] == ["a", "c", "b"]
    assert read_sources(tmp_path / "absent") == ()


def test_the_distributions_own_archive_comes_before_lookalikes():
    vendor = AptSource("https://vendor.example/debian", "bookworm", ("main",), signed_by="/k/vendor.gpg")
    mirror = AptSource("http://mirror.example/debian", "bookworm", ("main",))
    signed = AptSource("http://own.example/debian", "bookworm", ("main",), signed_by="/k/debian-archive.gpg")
    updates = AptSource("http://own.example/debian", "bookworm-updates", ("main",))
    tools = AptSource("https://tools.example/debian", "bookworm", ("stable",))
    found = archives_of(
        [vendor, mirror, signed, signed, updates, tools], distribution="debian", codename="bookworm"
    )
    assert found == (signed, mirror, vendor)


@pytest.mark.parametrize("suite", ["stable", "testing", "sid"])
def test_debians_suite_names_count_as_the_release(suite):
    source = AptSource("http://own.example/debian", suite, ("main",))
    assert archives_of([source], distribution="debian", codename="") == (source,)
    assert archives_of([source], distribution="ubuntu", codename="noble") == ()


def test_closure_takes_first_alternatives_and_providers_and_leaves_perl():
    text = """\
mysql-server-core
  Depends: libc6
 |Depends: first
  Depends: second
 |Depends: <nowhere>
  Depends: present
  Depends: <virtual>
    provider-a
    provider-b
  PreDepends: early
  Depends: <perl:any>
    perl
perl
  Depends: perl-base
libc6
  Depends: libgcc-s1
libgcc-s1
  Depends: libc6
provider-a
 |Depends: <gone>
  Depends: <gone-too>
unrelated
  Depends: other
"""
    assert set(parse_closure(text, "mysql-server-core")) == {
        "mysql-server-core", "libc6", "libgcc-s1", "first", "present", "provider-a", "early",
    }  # fmt: skip


def test_announced_files_are_read_with_size_and_digest():
    text = (
        "'http://mirror.example/pool/a_1%3a2_amd64.deb' a_1%3a2_amd64.deb 1866392 SHA256:5c71\n"
        "Get:1 something else\n"
    )
    assert parse_uris(text) == (Deb("a_1%3a2_amd64.deb", 1866392, "SHA256:5c71"),)


def test_a_file_is_whole_only_with_the_announced_bytes(tmp_path):
    deb = Deb("a.deb", 3, "SHA256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    file = tmp_path / "a.deb"
    assert not fetch.is_whole(file, deb)
    file.write_bytes(b"ab")
    assert not fetch.is_whole(file, deb)
    file.write_bytes(b"abd")
    assert not fetch.is_whole(file, deb)
    file.write_bytes(b"abc")
    assert fetch.is_whole(file, deb)


def test_a_warning_that_the_archive_is_out_of_reach_is_a_failure(tmp_path):
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh\necho 'W: Failed to fetch http://mirror.example' >&2\n")
    script.chmod(0o755)
    with pytest.raises(DatabaseError, match=r"could not read lists: W: Failed to fetch"):
        run_tool([str(script)], "read lists")


def test_passwords_of_addresses_do_not_reach_the_message():
    message = str(tool_failure("read lists", "E: http://me:geheim@mirror.example/x refused"))
    assert "geheim" not in message
    assert "http://mirror.example/x refused" in message


def _machine(folder: Path, release: str, sources: str) -> dict[str, Path]:
    (folder / "os-release").write_text(release)
    (folder / "sources.list").write_text(sources)
    return {"os_release": folder / "os-release", "etc_apt": folder}


def test_debian_takes_sid_from_its_own_mirror(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    keyring = tmp_path / "debian-archive-keyring.gpg"
    keyring.touch()
    monkeypatch.setattr(fetch, "_DEBIAN_KEYRINGS", (tmp_path / "absent.gpg", keyring))
    machine = _machine(
        tmp_path,
        'ID=debian\nVERSION_CODENAME="bookworm"\n',
        "deb [check-valid-until=no signed-by=/k/other.gpg] http://mirror.example/debian bookworm main\n",
    )
    (archive,) = fetch.choose_archives(**machine)
    assert archive.sources_list() == (
        f"deb [check-valid-until=no signed-by={keyring}] http://mirror.example/debian sid main\n"
    )


def test_ubuntu_and_its_kin_take_their_own_release(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    machine = _machine(
        tmp_path,
        "ID=linuxmint\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble\n",
        "deb http://kin.example wilma main upstream\ndeb http://mirror.example/ubuntu noble main universe\n",
    )
    (archive,) = fetch.choose_archives(**machine)
    assert archive.sources_list() == (
        "deb http://mirror.example/ubuntu noble main universe\n"
        "deb http://mirror.example/ubuntu noble-updates main universe\n"
    )


@pytest.mark.parametrize(
    ("release", "sources", "expected"),
    [
        (
            'ID=fedora\nPRETTY_NAME="Fedora Linux 42"\n',
            "",
            r"on Debian and Ubuntu only; this machine is 'Fedora",
        ),
        (
            "ID=debian\nVERSION_CODENAME=bookworm\n",
            "",
            r"No source under .* names debian's archive for bookworm",
        ),
    ],
)
def test_machines_without_an_archive_are_told_so(tmp_path, monkeypatch, release, sources, expected):
    monkeypatch.setattr(fetch.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    with pytest.raises(DatabaseError, match=expected):
        fetch.choose_archives(**_machine(tmp_path, release, sources))


def test_a_machine_without_apt_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    machine = _machine(tmp_path, "ID=debian\n", "deb http://mirror.example/debian stable main\n")
    with pytest.raises(DatabaseError, match=r"this machine has no apt-get, apt-cache"):
        fetch.choose_archives(**machine)


@pytest.mark.parametrize("option", ["trusted=yes", "allow-insecure=yes", "allow-weak=yes trusted=yes"])
def test_what_the_machine_takes_unsigned_is_checked_here(tmp_path, monkeypatch, option):
    monkeypatch.setattr(fetch.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(fetch, "_DEBIAN_KEYRINGS", ())
    machine = _machine(
        tmp_path,
        "ID=debian\nVERSION_CODENAME=bookworm\n",
        f"deb [{option}] http://mirror.example/debian bookworm main\n",
    )
    (archive,) = fetch.choose_archives(**machine)
    assert archive.sources_list() == "deb http://mirror.example/debian sid main\n"
    told = "\n".join(
        [
            'Acquire::AllowInsecureRepositories "true";',
            'Acquire::AllowWeakRepositories "1";',
            'Acquire::http::Proxy "http://proxy.example";',
        ]
    )
    monkeypatch.setattr(private_apt, "run_tool", lambda *_: told)
    with private_apt.PrivateApt(tmp_path / "own", archive.sources_list()):
        lines = (tmp_path / "own" / "apt.conf").read_text().splitlines()
    last = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines}  # apt takes the last of a name
    assert last["Acquire::AllowInsecureRepositories"] == '"false";'
    assert last["Acquire::AllowWeakRepositories"] == '"false";'
    assert last["Acquire::AllowDowngradeToInsecureRepositories"] == '"false";'
    assert last["APT::Get::AllowUnauthenticated"] == '"false";'
    assert last["Acquire::http::Proxy"] == '"http://proxy.example";'
