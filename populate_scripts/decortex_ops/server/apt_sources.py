"""The machine's own apt sources, parsed: where its Debian or Ubuntu archive lies. Fetches nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_ONE_LINE = re.compile(
    r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)$"
)
_KEYRINGS = {"debian": "debian-archive-keyring.gpg", "ubuntu": "ubuntu-archive-keyring.gpg"}


@dataclass(frozen=True)
class AptSource:
    """One archive as a line or a stanza of apt's sources names it.

    Attributes
    ----------
    uri : str
        The archive's address, without a trailing slash.
    suite : str
        For example ``bookworm`` or ``noble-updates``.
    components : tuple of str
        For example ``("main",)``.
    signed_by : str or None
        Path of the keyring, where the source names one.
    options : tuple of (str, str)
        The source's other options that decide whether it is believed (``trusted``, ``check-valid-until``, ...).
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str | None = None
    options: tuple[tuple[str, str], ...] = ()


def read_sources(etc_apt: Path = Path("/etc/apt")) -> tuple[AptSource, ...]:
    """Read every enabled binary source of a machine.

    Parameters
    ----------
    etc_apt : Path
        Folder that holds ``sources.list`` and ``sources.list.d``.

    Returns
    -------
    tuple of AptSource
        In the order in which apt reads them; empty where there is none.
    """
    folder = etc_apt / "sources.list.d"
    files = [etc_apt / "sources.list", *(sorted(folder.iterdir()) if folder.is_dir() else ())]
    found: list[AptSource] = []
    for file in files:
        if not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        if file.suffix == ".list":
            found += parse_one_line(text)
        elif file.suffix == ".sources":
            found += parse_deb822(text)
    return tuple(found)


def parse_one_line(text: str) -> list[AptSource]:
    """Parse the one-line format, ``deb [option=value ...] URI suite component ...``."""
    found = []
    for raw in text.splitlines():
        match = _ONE_LINE.match(raw.split("#", 1)[0].strip())
        if match is None:
            continue
        pairs = [item.partition("=") for item in (match["options"] or "").split()]
        options = {name.lower(): value for name, sign, value in pairs if sign}
        found.append(_source(match["uri"], match["suite"], match["components"].split(), options))
    return found


def parse_deb822(text: str) -> list[AptSource]:
    """Parse the deb822 format: stanzas of ``Field: value``, several URIs and suites to a stanza."""
    found = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in {
            "no",
            "false",
        }:
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                found.append(_source(uri, suite, fields.get("components", "").split(), fields))
    return found


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in {" ", "\t"} and name:
            # A lone dot stands for an empty line inside a value (an embedded key has them).
            fields[name] += "\n" + ("" if line.strip() == "." else line.strip())
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _source(uri: str, suite: str, components: list[str], options: dict[str, str]) -> AptSource:
    signed_by = options.get("signed-by", "")
    kept = {"trusted", "check-valid-until", "check-date"}
    return AptSource(
        uri=uri.rstrip("/"),
        suite=suite,
        components=tuple(components),
        # Only a path is of use: a key embedded in the stanza belongs to that stanza.
        signed_by=signed_by.split()[0] if signed_by.startswith("/") else None,
        options=tuple(sorted((name, value) for name, value in options.items() if name in kept)),
    )


def archive_of(sources: tuple[AptSource, ...], *, distribution: str, codename: str) -> AptSource | None:
    """Choose the source that is the distribution's main archive, mirrors included.

    A source counts when its suite is the machine's release itself (no ``-security``, which lies in an archive of
    its own and carries no other release) and it has the component ``main``.

    Parameters
    ----------
    sources : tuple of AptSource
        From :func:`read_sources`.
    distribution : str
        ``ID`` of ``/etc/os-release``: ``debian`` or ``ubuntu``.
    codename : str
        ``VERSION_CODENAME`` of ``/etc/os-release``; may be empty (Debian testing and sid had none for long).

    Returns
    -------
    AptSource or None
        None where no source fits.
    """
    named = {codename, "stable", "oldstable", "testing", "unstable", "sid"} - {""}
    names = named if distribution == "debian" else {codename}
    keyring = _KEYRINGS.get(distribution, "")
    for source in sources:
        signed = source.signed_by
        foreign_key = signed is not None and not Path(signed).name.startswith(keyring.split("-")[0])
        if source.suite in names and "main" in source.components and not foreign_key:
            return source
    return None
