"""Opening torch files without running any of their code, and saying what a file is that is none."""

from __future__ import annotations

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
# First bytes -> what such a file is.
_KNOWN_FILES = {
    b"PK\x03\x04": "it is a zip file, but cut short, damaged or not a torch file",
    b"\x89HDF\r\n\x1a\n": "it is an HDF5 file, not a torch file; read it where it was written, then torch.save",
    b"\x93NUMPY": "it is a .npy array, not a torch file; torch.save({'feat': torch.from_numpy(array)}, 'weights.pt')",
    b"\x1f\x8b": "it is compressed by gzip, not a torch file; gunzip it first",
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
        raise CheckpointError(
            f"checkpoint {str(path)!r} cannot be read: {what}."
            f" {_A_TABLE if path.suffix.lower() in _TABLES else _COPY}."
        ) from error
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
    for magic, what in _KNOWN_FILES.items():
        if begin.startswith(magic):
            return what
    text = begin.decode("utf-8", errors="replace").rstrip("\ufffd")  # the last letter may be cut in two
    if text and all(letter.isprintable() or letter.isspace() for letter in text):
        return f"{_TEXT} that begins with {text.splitlines()[0][:60]!r}, not a torch file"
    return "it is cut short, damaged or not a torch file" + ("" if begin else " (it is empty)")


def _first_bytes(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:_FIRST_BYTES]
    with source.open("rb") as file:
        return file.read(_FIRST_BYTES)
