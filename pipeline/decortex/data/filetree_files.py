"""Files of FileTreeDataset folders: sessions, links, one file per trial, the digest. No arrays are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from decortex.errors import DatasetError

_CHUNK = 1 << 20
# What macOS puts beside the folders of a zip archive.
_NO_SESSIONS = frozenset({"__MACOSX"})
_PICKLES = (".pkl", ".pickle")


def refuse_pickles(path: Path) -> None:
    """Refuse a pickled dictionary of movies, or a folder that holds such and nothing that can be read.

    Raises
    ------
    DatasetError
        With a line that converts them.
    """
    inside = [path] if path.is_file() else sorted(path.glob("*"))
    pickles = [file for file in inside if file.suffix in _PICKLES]
    if pickles:
        names = ", ".join(file.name for file in pickles[:3])
        raise DatasetError(
            f"{path} holds pickled dictionaries ({names}), and unpickling runs code: they are not read. Where you trust"
            ' them, save each movie with np.save as stimuli/<name>.npy, in an empty folder stimuli: python -c "import'
            " pickle, numpy; [numpy.save(f'stimuli/{name}', movie) for name, movie in"
            f" pickle.load(open('{pickles[0].name}', 'rb')).items()]\"; and the responses as datasets responses_<name>"
            " of one HDF5 file per session (docs/how-to/movies.md)."
        )


def session_folders(path: Path) -> list[Path]:
    """Return the session folders of a data set: the folder itself, or its subfolders sorted by name.

    Raises
    ------
    DatasetError
        If the path is no folder or holds no session.
    """
    if not path.is_dir():
        refuse_pickles(path)
        what = "is a file; unpack it first" if path.exists() else "does not exist"
        raise DatasetError(f"a data set should be a folder, but {path} {what}.")
    if _is_session(path):
        return [path]
    inside = sorted(
        child for child in path.iterdir() if not child.name.startswith(".") and child.name not in _NO_SESSIONS
    )
    found = [child for child in inside if child.is_dir() and _is_session(child)]
    if not found:
        refuse_pickles(path)
        seen = ", ".join(child.name for child in inside[:8]) or "nothing"
        raise DatasetError(
            f"{path} should be a session (a folder with data/ and meta/) or hold sessions, but it holds"
            f" {seen}. Unpack archives first; see docs/how-to/data.md for the layout."
        )
    return found


def content_sha256(path: Path) -> str:
    """Digest of all files of a data set: sha256 over their sorted relative paths and contents.

    Hidden files, and files outside the sessions, do not count; nor do the absolute path, dates and access
    rights. Reads every file once.
    """
    digest = hashlib.sha256()
    for name, file in sorted(_files(path)):
        # the lengths keep (name, content) pairs apart: no two folders give one stream
        digest.update(f"{len(name.encode())}:{name}:{file.stat().st_size}:".encode())
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    for folder in session_folders(path):
        for file in folder.rglob("*"):
            relative = file.relative_to(path)
            if file.is_file() and not any(part.startswith(".") for part in relative.parts):
                yield relative.as_posix(), file


def _is_session(folder: Path) -> bool:
    return (folder / "data").is_dir() or (folder / "meta").is_dir()


def read_links(root: Path) -> dict[str, str]:
    """Return the data keys that config.json stores under another folder's name ("links")."""
    path = root / "config.json"
    if not path.is_file():
        return {}
    try:
        links = json.loads(path.read_text(encoding="utf-8-sig")).get("links", {})
    except (ValueError, AttributeError) as error:
        raise DatasetError(f"{path} should be a JSON object with a key 'links', but: {error}.") from error
    if not isinstance(links, dict) or not all(
        isinstance(name, str) and Path(name).name == name for name in links.values()
    ):
        raise DatasetError(
            f"{path}: 'links' should map data keys to names of folders in data/, it is {links!r}."
        )
    return links


def trial_files(root: Path, key: str, links: dict[str, str]) -> tuple[Path, tuple[str, ...]]:
    """Return the folder of a data key and the names of its files in the order of the trials.

    Raises
    ------
    DatasetError
        If the folder is missing, or does not hold the trials 0 to n - 1.
    """
    folder = root / "data" / links.get(key, key)
    if not folder.is_dir():
        others = sorted(child.name for child in (root / "data").glob("*") if child.is_dir())
        raise DatasetError(
            f"{root} holds no {key}: the folder data/{folder.name} is missing (data/ has"
            f" {', '.join(others) or 'nothing'}). A session needs one .npy file per trial there."
        )
    files = {path.stem: path.name for path in folder.glob("*.npy") if not path.name.startswith(".")}
    odd = sorted(stem for stem in files if not stem.isdecimal())
    if odd or not files:
        raise DatasetError(
            f"{folder} should hold one file per trial, 0.npy, 1.npy, ..., but it has"
            f" {', '.join(f'{stem}.npy' for stem in odd[:4]) or 'none'}."
        )
    by_number: dict[int, str] = {}
    for stem, name in sorted(files.items()):
        if int(stem) in by_number:
            raise DatasetError(
                f"{folder} holds trial {int(stem)} twice, as {by_number[int(stem)]} and {name}. Remove the one that"
                " does not belong there."
            )
        by_number[int(stem)] = name
    missing = sorted(set(range(len(files))) - set(by_number))
    if missing:
        raise DatasetError(
            f"{folder} should hold the trials 0 to {len(files) - 1} ({len(files)} files), but"
            f" {missing[0]}.npy is missing. Trials are numbered from 0 without gaps."
        )
    return folder, tuple(by_number[number] for number in range(len(files)))
