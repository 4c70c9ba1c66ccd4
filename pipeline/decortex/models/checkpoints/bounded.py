"""The one way to read a torch file: no code of it runs, and it may not ask for more memory than its bytes explain."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from decortex.errors import CheckpointError
from decortex.models.checkpoints.plain_values import READ_AS, with_tensors

# What a file may ask for beyond its own size: small tensors saved as views, and the records of the format itself.
ALLOWANCE_BYTES = 64 * 2**20
# How often over one tensor may be named: sessions that share a core name it once each.
MOST_NAMES = 16
# Nested deeper, a file is no state dict.
_DEEPEST = 32

# What torch.load raises for a file that is damaged, cut short, or needs code.
LOAD_ERRORS = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError, MemoryError)


def load_bounded(source: Path | bytes) -> Any:
    """Load a torch file with ``weights_only=True`` onto the CPU, if it holds what it asks for.

    Numbers and arrays of numpy (a loss that was averaged), paths and namespaces beside the weights are read, too: inert
    stand-ins are made in their place, arrays of real numbers become tensors (`plain_values`).

    torch stores numbers uncompressed, so that a file's content is as large as the file. One that expands (records
    that are compressed, or tensors with a stride of 0 that name one number a billion times) takes all memory when it
    is read or when its tensors are copied.

    Parameters
    ----------
    source : Path or bytes
        The file, or its content.

    Returns
    -------
    object
        What was saved.

    Raises
    ------
    CheckpointError
        If it asks for more than its size and `ALLOWANCE_BYTES`; for compressed records before they are read.
    OSError
        If the file cannot be read.
    Exception
        What torch raises for other content (`LOAD_ERRORS`); the caller knows what was expected there.

    Examples
    --------
    >>> import io, torch
    >>> buffer = io.BytesIO()
    >>> torch.save({"weight": torch.ones(2, 3)}, buffer)
    >>> load_bounded(buffer.getvalue())["weight"].shape
    torch.Size([2, 3])
    """
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    name = "the checkpoint" if isinstance(source, bytes) else f"checkpoint {str(source)!r}"
    _check_records(source, name, size)
    file: Any = io.BytesIO(source) if isinstance(source, bytes) else source
    with torch.serialization.safe_globals([(made, name) for name, made in READ_AS.items()]):
        content = with_tensors(torch.load(file, map_location="cpu", weights_only=True))
    _check_tensors(content, name, size)
    return content


def check_extent(skeleton: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Refuse a configuration whose network is larger than the numbers that a checkpoint brings for it.

    Parameters
    ----------
    skeleton : torch.nn.Module
        The network, built on the device "meta", where it takes no memory.
    state : mapping of str to Tensor
        The checkpoint's tensors.

    Raises
    ------
    CheckpointError
        If the network would take more than the checkpoint's tensors and `ALLOWANCE_BYTES`.
    """
    asked = sum(tensor.numel() * tensor.element_size() for tensor in skeleton.state_dict().values())
    brought = sum(tensor.numel() * tensor.element_size() for tensor in _tensors(state, 0))
    if asked > brought + ALLOWANCE_BYTES:
        raise CheckpointError(
            f"the configuration describes a network of {asked:,} bytes, the checkpoint's tensors are {brought:,} bytes"
            f" and the limit is {brought + ALLOWANCE_BYTES:,}: they do not belong together. Take the file as it was"
            " written, and the configuration that it was trained with."
        )


def _check_records(source: Path | bytes, name: str, size: int) -> None:
    """Refuse an archive whose directory promises more than the file has bytes."""
    file: Any = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with zipfile.ZipFile(file) as archive:
            asked = sum(record.file_size for record in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return  # torch's older format, which is not an archive and holds its numbers as they are; or damaged
    if asked > size + ALLOWANCE_BYTES:
        raise _too_large(name, "its records unpack to", asked, size + ALLOWANCE_BYTES)


def _check_tensors(content: object, name: str, size: int) -> None:
    """Refuse tensors whose numbers are not in the file: views that repeat them, and sparse ones of any extent."""
    views: dict[tuple[Any, ...], int] = {}
    total = 0
    for tensor in _tensors(content, 0):
        asked = tensor.numel() * tensor.element_size()
        total += asked
        views[_identity(tensor)] = asked
    limit = size + ALLOWANCE_BYTES
    if sum(views.values()) > limit:
        raise _too_large(name, "its tensors would take", sum(views.values()), limit)
    if total > MOST_NAMES * limit:
        raise _too_large(
            name, "its tensors, each as often as it is named, would take", total, MOST_NAMES * limit
        )


def _identity(tensor: Tensor) -> tuple[Any, ...]:
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return (id(tensor),)
    where = tensor.untyped_storage().data_ptr() if tensor.device.type == "cpu" else id(tensor)
    return where, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype


def _tensors(value: object, depth: int) -> Iterator[Tensor]:
    if depth > _DEEPEST:
        raise CheckpointError(
            f"a checkpoint nests deeper than {_DEEPEST} levels; a state dict has two or three."
        )
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part, depth + 1)
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from _tensors(part, depth + 1)


def _too_large(name: str, what: str, asked: int, limit: int) -> CheckpointError:
    return CheckpointError(
        f"{name} is refused: {what} {asked:,} bytes, the limit for a file of this size is {limit:,}. Numbers that were"
        " compressed or repeated come out of a few bytes and fill the memory. Save the tensors plainly:"
        " torch.save({name: tensor.contiguous().clone() for name, tensor in state.items()}, 'weights.pt')."
    )
