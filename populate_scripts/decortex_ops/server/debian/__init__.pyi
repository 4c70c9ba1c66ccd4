from .apt import Deb, parse_closure, parse_uris, run_tool, tool_failure
from .sources import AptSource, archives_of, parse_deb822, parse_one_line, read_sources

__all__ = [
    "AptSource",
    "Deb",
    "archives_of",
    "parse_closure",
    "parse_deb822",
    "parse_one_line",
    "parse_uris",
    "read_sources",
    "run_tool",
    "tool_failure",
]
