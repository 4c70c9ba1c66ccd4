"""Opening torch files without running any of their code, and saying what a file is that is none."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from decortex.errors import CheckpointError
from decortex.models.checkpoints.bounded import load_bounded

_SAVE_AGAIN = (
    "Load it where the code that wrote it is installed and save its tensors alone:"
    " torch.save(model.state_dict(), 'weights.pt')"
)


_COPY = "Copy it again and compare its size or sha256 with the original"
_A_TABLE = "A table of features needs no network: `decortex analyse FILE --id COLUMN`"
_TABLES = (".csv", ".tsv", ".txt", ".h5ad", ".parquet")
_TEXT = "it is a text file"
_FIRST_BYTES = 4096
# Bytes and where they stand -> what such a file is.
_KNOWN_FILES = {
    (b"PK\x03\x04", 0): "it is a zip file, but cut short, damaged or not a torch file",
    (
        b"\x89HDF\r\n\x1a\n",
        0,
    ): "it is an HDF5 file, not a torch file; read it where it was written, then torch.save",
    (
        b"\x93NUMPY",
        0,
    ): "it is a .npy array, not a torch file; torch.save({'feat': torch.from_numpy(array)}, 'weights.pt')",
    (b"\x1f\x8b", 0): "it is compressed by gzip, not a torch file; gunzip it first",
    (
        b"\x80\x04",
        0,
    ): "it is a pickle, not a torch file; load it where it was written, then torch.save its tensors",
    (
        b"\x80\x05",
        0,
    ): "it is a pickle, not a torch file; load it where it was written, then torch.save its tensors",
    # the length of a header in JSON, then the header
    (
        b'{"',
        8,
    ): "it is a safetensors file, not a torch file; torch.save(safetensors.torch.load_file(f), 'weights.pt')",
    (b"ustar", 257): "it is a tar archive, not a torch file; unpack it first",
}


def load_tensors(source: Path | bytes) -> Mapping[str, Any]:
    """Load a checkpoint's values with ``weights_only=True``, onto the CPU.

    Parameters
    ----------
    source : Path or bytes
        A file, or what it holds.

    Returns
    -------
    mapping
        Nested mappings of tensors and plain values; a list of them by its numbers ('0', '1', ...).

    Raises
    ------
    CheckpointError
        If there is no such file, it is cut short or no checkpoint, needs code to be unpickled, or asks for more
        memory than its bytes explain (`load_bounded`).
    """
    path = source if isinstance(source, Path) else Path("checkpoint")
    try:
        content = load_bounded(source)
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint {str(path)!r}. Check the path.") from error
    except Exception as error:
        what = _what_it_is(source)
        # Text may begin with a letter that unpickles as code: a csv whose first column is called 'cell'.
        if ("GLOBAL" in str(error) or "TorchScript" in str(error)) and _TEXT not in what:
            raise CheckpointError(
                f"checkpoint {str(path)!r} holds Python objects, which only their own code can unpickle and"
                f" which are not loaded here (unpickling runs code). {_SAVE_AGAIN}."
            ) from error
        advice = "" if ";" in what else f" {_COPY}."  # else it says itself what to do
        if path.suffix.lower() in _TABLES:
            advice = f" {_A_TABLE}."
        raise CheckpointError(f"checkpoint {str(path)!r} cannot be read: {what}.{advice}") from error
    if isinstance(content, (list, tuple)) and any(isinstance(one, Mapping) for one in content):
        content = {str(i): one for i, one in enumerate(content)}
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"checkpoint {str(path)!r} holds a {type(content).__name__}, not a state dict. {_SAVE_AGAIN}."
        )
    return content


def _what_it_is(source: Path | bytes) -> str:
    """What content looks like that torch does not load; torch's own message advises to run the file's code."""
    if isinstance(source, Path) and source.is_dir():
        return "it is a folder, and a torch file was expected"
    try:
        begin = _first_bytes(source)
    except OSError as error:
        return f"the system refuses it ({error.strerror})"
    inside = _zipped(source)
    if inside:
        return f"it is a zip archive of {', '.join(map(repr, inside[:4]))}, not a torch file; unpack it first"
    for (magic, place), what in _KNOWN_FILES.items():
        if begin[place:].startswith(magic):
            return what
    text = begin.decode("utf-8", errors="replace").rstrip("\ufffd")  # the last letter may be cut in two
    if text and all(letter.isprintable() or letter.isspace() for letter in text):
        return f"{_TEXT} that begins with {text.splitlines()[0][:60]!r}, not a torch file"
    return "it is cut short, damaged or not a torch file" + ("" if begin else " (it is empty)")


def _zipped(source: Path | bytes) -> list[str]:
    """Names of the files in a zip archive that holds no torch file's own records."""
    try:
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        return []
    return [] if any(name.endswith("data.pkl") for name in names) else names


def _first_bytes(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:_FIRST_BYTES]
    with source.open("rb") as file:
        return file.read(_FIRST_BYTES)
