"""Which tensors of a file are one network: readouts at any depth, several state dicts, wrappers. No files here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from decortex.errors import CheckpointError

# Names that DistributedDataParallel, torch.compile, FSDP and activation checkpointing put into every key.
WRAPPERS = frozenset(
    {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"}
)
# neuralpredictors' and openretina's names for the features of a session's neurons.
FEATURE_LEAVES = frozenset({"_features", "features", "feature_weights"})
# Dicts that hold numbers for each weight that are none: what an optimiser or a debugger keeps.
_NO_WEIGHTS = re.compile(
    r"(^|\.|_)(grads?|gradients?|momentum|momenta|exp_avgs?|exp_avg_sq|optim\w*)(_|\.|$)"
)
# Session of a readout that is for one recording alone and names none (``readout._features``).
UNNAMED_SESSION = "readout"
# How the option `state_dict` calls tensors that lie at the top of the file.
TOP = "."
# A file can hold itself (a list that is its own member); no real one nests as deep.
_DEEPEST = 24
_LISTED = 8
# Types that torch stores and hardly computes with.
_COMPUTED_AS = {
    **dict.fromkeys((torch.uint16, torch.uint32, torch.uint64), torch.int64),
    **dict.fromkeys(
        (torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz), torch.float32
    ),
}


@dataclass(frozen=True)
class StateDict:
    """The tensors of one network in a file.

    Parameters
    ----------
    name : str
        Dotted path to it, up to where ``readout.`` begins; '.' for the top of the file.
    tensors : dict of str to Tensor
        By keys that begin with ``core.``, ``readout.<session>.``, ``shifter.<session>.`` and so on, without the
        names of wrappers.
    saved : dict of str to Tensor
        The same network by the keys of the file's own dict (what ``load_state_dict`` of the class that wrote it
        takes).
    """

    name: str
    tensors: dict[str, Tensor]
    saved: dict[str, Tensor]

    @property
    def sessions(self) -> list[str]:
        """Sessions whose readouts it holds, in the file's order."""
        return list(dict.fromkeys(readout_session(key)[1] for key in self.tensors if is_features(key)))

    def described(self) -> str:
        """Its name, and by what a person tells it from others: sessions, shape and size of its features."""
        features = [value for key, value in self.tensors.items() if is_features(key)]
        sizes = [
            float(value.detach().double().abs().mean())
            for value in features
            if value.numel() and _flaw_of(value) is None
        ]
        size = f"mean |feature| {sum(sizes) / len(sizes):.3g}" if sizes else "empty"
        shapes = ", ".join(str(tuple(value.shape)) for value in features[:_LISTED])
        return f"{self.name!r} (sessions {self.sessions[:_LISTED]}, features {shapes}, {size})"


def is_features(key: str) -> bool:
    """Whether a key with dots names the features of a session's readout."""
    parts = key.split(".")
    return parts[-1] in FEATURE_LEAVES and "readout" in parts[:-1]


def readout_session(key: str) -> tuple[str, str, str]:
    """Split a features' key into what comes before ``readout.``, the session and the leaf, without wrappers.

    Examples
    --------
    >>> readout_session("model.readout.module.26872-17-20._features")
    ('model.', '26872-17-20', '_features')
    """
    parts = key.split(".")
    place = len(parts) - 2 - parts[-2::-1].index("readout")
    if place == len(parts) - 2 and parts[place - 1 : place] == ["readout"]:
        place -= 1  # a session that is called 'readout'
    session = ".".join(part for part in parts[place + 1 : -1] if part not in WRAPPERS)
    prefix = "".join(f"{part}." for part in parts[:place])
    return prefix, session or UNNAMED_SESSION, parts[-1]


def flattened(content: Mapping[Any, Any]) -> dict[tuple[tuple[str, ...], str], Tensor]:
    """Every tensor of nested mappings and lists, by the path of the mapping that holds it and its key there."""
    return dict(_walk(content, (), ()))


def _walk(
    value: Any, path: tuple[str, ...], above: tuple[int, ...]
) -> Iterator[tuple[tuple[tuple[str, ...], str], Tensor]]:
    if len(path) > _DEEPEST or id(value) in above:
        return
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
    for name, one in pairs:
        if isinstance(one, Tensor):
            yield (path, str(name)), one
        elif isinstance(one, (Mapping, list, tuple)):
            yield from _walk(one, (*path, str(name)), (*above, id(value)))


def state_dicts(content: Mapping[Any, Any]) -> list[StateDict]:
    """Find the networks of a file: one for every place where keys ``readout.<session>.<features>`` begin.

    Dicts without such keys (optimisers, moments by number, random states, losses) do not count.

    Parameters
    ----------
    content : mapping
        What `torch.load` gave.

    Returns
    -------
    list of StateDict
        In the file's order; the very same tensors under a second name (of a module that `torch.compile` wrapped)
        count once.

    Raises
    ------
    CheckpointError
        If one of them names a session twice.
    """
    tensors = flattened(content)
    by_key = {".".join((*path, key)): (path, key) for path, key in tensors}
    prefixes = dict.fromkeys(readout_session(key)[0] for key in by_key if is_features(key))
    found: list[StateDict] = []
    known: set[tuple[tuple[str, int, tuple[int, ...]], ...]] = set()
    for prefix in prefixes:
        nested = tuple(other for other in prefixes if other != prefix and other.startswith(prefix))
        below = {
            key: where
            for key, where in by_key.items()
            if key.startswith(prefix) and not (nested and key.startswith(nested))
        }
        one = _state_dict(prefix, below, tensors)
        tensors_in_memory = tuple(
            (key, _memory(value), tuple(value.shape))
            for key, value in sorted(one.tensors.items())
            if of_network(key)
        )
        if tensors_in_memory not in known:
            found.append(one)
            known.add(tensors_in_memory)
    return found


def _state_dict(
    prefix: str,
    by_key: Mapping[str, tuple[tuple[str, ...], str]],
    tensors: Mapping[tuple[tuple[str, ...], str], Tensor],
) -> StateDict:
    """The tensors below a prefix, and the dict of the file that holds the first readout among them."""
    named: dict[str, Tensor] = {}
    holder: tuple[str, ...] | None = None
    for key, where in by_key.items():
        short = _without_wrappers(key[len(prefix) :])
        if short in named and of_network(short):
            raise CheckpointError(
                f"{key!r} names {short!r} a second time: the file holds two copies of one network in one dict. Save"
                " the state dict of one."
            )
        named[short] = tensors[where]
        if holder is None and is_features(key):
            holder = where[0]
    holder = _holder(holder or (), prefix)
    saved = {key: value for (path, key), value in tensors.items() if path == holder}
    if not any(is_features(key) for key in saved):  # core and readouts lie in dicts of their own
        saved = named
    return StateDict(name=prefix.rstrip(".") or TOP, tensors=named, saved=saved)


def _holder(path: tuple[str, ...], prefix: str) -> tuple[str, ...]:
    """The mapping that a readout's tensors lie in, or the one above where ``readout`` is itself a mapping."""
    inside = tuple(part for part in prefix.split(".") if part)
    return path if len(path) <= len(inside) else path[: len(inside)]


def _without_wrappers(key: str) -> str:
    parts = [part for part in key.split(".") if part not in WRAPPERS]
    if parts[:1] == ["readout"] and len(parts) == 2 and parts[-1] in FEATURE_LEAVES:
        parts.insert(1, UNNAMED_SESSION)
    return ".".join(parts)


def of_network(key: str) -> bool:
    """Whether a key without prefix is of a part that predictions need."""
    return key.partition(".")[0] in ("core", "readout", "shifter")


def _equal_tensors(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    if set(one) != set(other):
        return False
    pairs = [(one[key], other[key]) for key in one]
    return all(a.shape == b.shape and a.dtype == b.dtype for a, b in pairs) and all(
        a is b or torch.equal(a, b) for a, b in pairs
    )


def _memory(tensor: Tensor) -> int:
    """What tells whether two tensors are the very same numbers."""
    return tensor.data_ptr() if tensor.layout is torch.strided else id(tensor)


def _flaw_of(tensor: Tensor) -> tuple[str, str] | None:
    """Why a tensor holds no dense real numbers, and what to do; None where it does."""
    if tensor.is_meta:
        return (
            "has a shape and no numbers (device 'meta'): the network was saved before it was filled",
            "Load its weights where it was built, then save its state dict.",
        )
    if tensor.layout is not torch.strided:
        return (
            f"is sparse ({tensor.layout}): networks here hold dense tensors",
            "Save it as tensor.to_dense().",
        )
    if tensor.is_complex() or tensor.is_quantized:
        return (
            f"is of type {tensor.dtype}: networks here hold real numbers (float or int)",
            "Save it as a real tensor, or leave it out.",
        )
    return None


def refuse_unusable(tensor: Tensor, what: str, *, advice: str = "") -> None:
    """Refuse a tensor without dense real numbers.

    Parameters
    ----------
    tensor : Tensor
    what : str
        How the message calls it.
    advice : str
        What to do, where that is not to save the tensor otherwise.

    Raises
    ------
    CheckpointError
        If it has a shape and no numbers (device 'meta'), is sparse, or holds complex or quantised numbers.

    Examples
    --------
    >>> refuse_unusable(torch.zeros(2), "the tensor 'core.weight'")
    """
    flaw = _flaw_of(tensor)
    if flaw is not None:
        raise CheckpointError(f"{what} {flaw[0]}. {advice or flaw[1]}")


def _usable(one: StateDict) -> StateDict:
    """The network with its numbers in types that are computed with; refused where a tensor holds none."""
    prefix = "" if one.name == TOP else f"{one.name}."
    tensors = {}
    for key, value in one.tensors.items():
        if of_network(key):
            refuse_unusable(value, f"the tensor {prefix + key!r}")
        tensors[key] = value.to(_COMPUTED_AS.get(value.dtype, value.dtype))
    return replace(one, tensors=tensors)


def choose_state_dict(
    content: Mapping[Any, Any], state_dict: str | None = None, *, file: str = "the file"
) -> StateDict | None:
    """Find the one network of a file; networks of different sessions over one core are taken together.

    Parameters
    ----------
    content : mapping
        What `torch.load` gave.
    state_dict : str, optional
        Dotted path of the one to take ('.' for the top of the file), where there are several.
    file : str
        How messages call the file.

    Returns
    -------
    StateDict or None
        None where the file holds no readout that is known by its keys.

    Raises
    ------
    CheckpointError
        If there are several and none is named (they are listed), the named one is not there, networks of
        different sessions have different cores, or a tensor of the network holds no dense real numbers.
    """
    found = state_dicts(content)
    if state_dict is not None:
        found = _named(found, state_dict, file)
    if not found:
        return None
    moments = [one for one in found if _NO_WEIGHTS.search(one.name)]
    if state_dict is None and len(moments) == len(found):
        raise CheckpointError(
            f"{file} holds readout keys in {moments[0].name!r} alone, which by its name are no weights but what an"
            f" optimiser keeps: {moments[0].described()}. Save the network's state dict, or name this one by"
            f" state_dict={moments[0].name!r} (--state-dict) if it is one."
        )
    sessions = [session for one in found for session in one.sessions]
    if len(set(sessions)) < len(sessions):
        twice = next(session for session in sessions if sessions.count(session) > 1)
        raise CheckpointError(
            f"{file} holds {len(found)} state dicts with readouts, and session {twice!r} occurs twice:"
            f" {'; '.join(one.described() for one in found[:_LISTED])}. Which one is the trained network, the file does"
            f" not tell: name it by state_dict={found[0].name!r} (--state-dict), or save that one alone."
        )
    if len(found) > 1 and moments and state_dict is None:
        raise CheckpointError(
            f"{file} holds networks of different sessions, but {moments[0].name!r} by its name holds no weights:"
            f" {'; '.join(one.described() for one in found[:_LISTED])}. Name the one to take by"
            f" state_dict={found[0].name!r} (--state-dict), or save the weights alone."
        )
    found = [_usable(one) for one in found]
    return found[0] if len(found) == 1 else _together(found, file)


def _named(found: list[StateDict], name: str, file: str) -> list[StateDict]:
    exact = [one for one in found if one.name == name]
    below = exact or [one for one in found if one.name.startswith(f"{name}.")]
    if not below:
        known = "; ".join(one.described() for one in found[:_LISTED]) or "none"
        raise CheckpointError(
            f"{file} holds no state dict {name!r} with a readout. Those that it holds: {known}."
        )
    return below


def _together(found: list[StateDict], file: str) -> StateDict:
    """One network out of several that read different sessions through one core."""
    tensors: dict[str, Tensor] = {}
    with_core: StateDict | None = None
    for one in found:
        core = _core(one)
        if core and with_core is not None and not _equal_tensors(core, _core(with_core)):
            raise CheckpointError(
                f"{file} holds networks of different sessions, {with_core.name!r} and {one.name!r}, and their cores"
                " differ: features over different cores lie in different spaces and cannot be clustered together."
                f" Register them one by one: state_dict={with_core.name!r} (--state-dict), then the next."
            )
        with_core = one if core else with_core
        tensors |= {key: value for key, value in one.tensors.items() if of_network(key)}
    return StateDict(name=", ".join(one.name for one in found), tensors=tensors, saved=tensors)


def _core(one: StateDict) -> dict[str, Tensor]:
    return {key: value for key, value in one.tensors.items() if key.startswith("core.")}
