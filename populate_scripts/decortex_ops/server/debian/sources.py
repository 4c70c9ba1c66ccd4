"""The machine's own apt sources, parsed: where its Debian or Ubuntu archive lies. Fetches nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_ONE_LINE = re.compile(
    r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)$"
)
# Of the options that decide whether an archive is believed, those of its age. `trusted` is not among them: a machine
# may take its own packages unsigned, the server that runs as its user is always checked against the archive's key.
_AGE_OPTIONS = frozenset({"check-valid-until", "check-date"})
# The names under which Debian's archive offers a release besides its code name.
_DEBIAN_ALIASES = frozenset({"stable", "oldstable", "testing", "unstable", "sid"})


@dataclass(frozen=True)
class AptSource:
    """One archive and suite, as a line or a stanza of apt's sources names it.

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
        How old the archive's signature may be: ``check-valid-until``, ``check-date``. Never ``trusted``.
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
        enabled = fields.get("enabled", "yes").lower() not in {"no", "false", "0"}
        if not enabled or "deb" not in fields.get("types", "").split():
            continue
        components = fields.get("components", "").split()
        for uri in fields.get("uris", "").split():
            found += [_source(uri, suite, components, fields) for suite in fields.get("suites", "").split()]
    return found


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in {" ", "\t"} and name:
            fields[name] += "\n" + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _source(uri: str, suite: str, components: Sequence[str], options: Mapping[str, str]) -> AptSource:
    signed_by = options.get("signed-by", "")
    return AptSource(
        uri=uri.rstrip("/"),
        suite=suite,
        components=tuple(components),
        # Only a path is of use: a key written into the stanza belongs to that stanza.
        signed_by=signed_by.split()[0] if signed_by.startswith("/") else None,
        options=tuple(sorted((name, options[name]) for name in options if name in _AGE_OPTIONS)),
    )


def archives_of(sources: Sequence[AptSource], *, distribution: str, codename: str) -> tuple[AptSource, ...]:
    """Choose the sources that may be the distribution's main archive or a mirror of it, likeliest first.

    A source counts when its suite is the machine's release itself (not ``-security``, which lies in an
    archive of its own) and it has the component ``main``. Other vendors' repositories may look the same: a
    source signed by the distribution's own keyring comes first, one signed by another last.

    Parameters
    ----------
    sources : sequence of AptSource
        From :func:`read_sources`.
    distribution : {'debian', 'ubuntu'}
        Whose archive is looked for.
    codename : str
        The machine's release; may be empty (Debian's rolling suites had none for long).

    Returns
    -------
    tuple of AptSource
        One to an address; empty where no source fits.
    """
    suites = {codename, *(_DEBIAN_ALIASES if distribution == "debian" else ())} - {""}
    fitting = [source for source in sources if source.suite in suites and "main" in source.components]

    def strangeness(source: AptSource) -> int:
        if source.signed_by is None:
            return 1
        return 0 if Path(source.signed_by).name.startswith(distribution) else 2

    unique: dict[str, AptSource] = {}
    for source in sorted(fitting, key=strangeness):
        unique.setdefault(source.uri, source)
    return tuple(unique.values())
