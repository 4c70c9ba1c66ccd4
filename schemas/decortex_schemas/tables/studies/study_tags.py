"""Tags of studies: words under which they are listed."""

from __future__ import annotations

from collections.abc import Collection

import datajoint as dj

from decortex.errors import ConfigError
from decortex_schemas.database import schema
from decortex_schemas.tables.studies.studies import Study, require_study  # noqa: F401  (foreign key)


@schema
class StudyTag(dj.Manual):
    """A word under which studies are listed together; it changes nothing else, and a frozen study may take one."""

    author_rights = ("INSERT", "UPDATE (study)", "DELETE")  # words, which say nothing of results

    definition = """
    # A word under which studies are listed
    -> Study
    tag : varchar(64)
    ---
    tagged_by : varchar(96)
    tagged_at = CURRENT_TIMESTAMP : datetime
    """


def check_tags(tags: Collection[str]) -> None:
    """Refuse what is no tag.

    Raises
    ------
    ConfigError
        If one has not 1 to 64 printable characters, begins or ends with a space, or holds a comma.
    """
    for tag in tags:
        if not 0 < len(tag) <= 64 or not tag.isprintable() or tag != tag.strip() or "," in tag:
            raise ConfigError(
                f"a tag has 1 to 64 printable characters, no comma and no space around it; got {tag[:80]!r}."
            )


def tag_study(study: str, tags: Collection[str], *, remove: bool = False) -> list[str]:
    """Give a study tags, or take them from it; what it has, or has not, is left as it is.

    Parameters
    ----------
    study : str
        Its name; it may be frozen.
    tags : collection of str
        Words of 1 to 64 printable characters, without a comma.
    remove : bool
        Whether they are taken from it.

    Returns
    -------
    list of str
        All tags that it has then, in alphabetical order.

    Raises
    ------
    ConfigError
        If there is no such study, or a word cannot be a tag.

    Examples
    --------
    >>> tag_study("v4-sweep", ["v4", "paper"])                  # doctest: +SKIP
    ['paper', 'v4']
    """
    require_study(study)
    check_tags(tags)
    rows = [{"study": study, "tag": tag} for tag in sorted(set(tags))]
    if remove and rows:
        (StudyTag & rows).delete(prompt=False)
    elif rows:
        user = str(schema.connection.get_user())
        StudyTag.insert(({**row, "tagged_by": user} for row in rows), skip_duplicates=True)
    return sorted(str(tag) for tag in (StudyTag & {"study": study}).to_arrays("tag"))
