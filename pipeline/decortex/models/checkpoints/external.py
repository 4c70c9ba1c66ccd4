"""Networks that somebody's own code builds: which code may run, and the face of a network for what it returns."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from decortex.errors import CheckpointError, ConfigError, InputError
from decortex.models.checkpoints.state_dicts import WRAPPERS
from decortex.models.network_config import Geometry

_BUILDER = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def check_builder(builder: str) -> str:
    """Return the module of a builder 'module:function'.

    Raises
    ------
    ConfigError
        If it is not written that way.
    """
    if not _BUILDER.fullmatch(builder):
        raise ConfigError(
            f"a builder is written 'module:function', for example 'mylab.models:build'; got {builder!r}."
        )
    return builder.partition(":")[0]


class BuiltNetwork(nn.Module):
    """A torch module with the face of a `Network`: it predicts one session's responses to images.

    Parameters
    ----------
    module : torch.nn.Module
        Called as ``module(images, data_key=session)`` where its ``forward`` takes ``data_key`` (or anything),
        else as ``module(images)``, which then answers for the neurons of all sessions in order.
    geometry : Geometry
        Images, sessions and neurons.
    """

    def __init__(self, module: nn.Module, geometry: Geometry) -> None:
        super().__init__()
        self.module, self.geometry = module, geometry
        self.session_names = [session.name for session in geometry.sessions]
        self.slices: dict[str, slice] = {}
        end = 0
        for session in geometry.sessions:
            self.slices[session.name] = slice(end, end + session.n_neurons)
            end += session.n_neurons
        parameters = inspect.signature(module.forward).parameters
        takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
        self.by_session = "data_key" in parameters or takes_any

    def forward(self, images: Tensor, session: str) -> Tensor:
        """Predict the responses of one session, (batch, n_neurons of the session).

        Raises
        ------
        InputError
            If there is no such session, or the module answers with another shape.
        """
        if session not in self.slices:
            raise InputError(
                f"the network has no session {session!r}; it has {', '.join(self.session_names)}."
            )
        own = self.slices[session]
        if self.by_session:
            predicted, expected = self.module(images, data_key=session), own.stop - own.start
        else:
            predicted, expected = self.module(images), self.slices[self.session_names[-1]].stop
        if not isinstance(predicted, Tensor) or tuple(predicted.shape) != (len(images), expected):
            shape = tuple(predicted.shape) if isinstance(predicted, Tensor) else type(predicted).__name__
            raise InputError(
                f"the built network answers {shape} to {len(images)} images; expected ({len(images)}, {expected}), a"
                " number per image and neuron."
            )
        return predicted if self.by_session else predicted[:, own]


def build_network(
    builder: str,
    config: Mapping[str, Any],
    state: Mapping[str, Tensor],
    geometry: Geometry,
    *,
    seed: int,
    allowed: Collection[str],
) -> BuiltNetwork:
    """Run somebody's builder and load a checkpoint into what it returns.

    Parameters
    ----------
    builder : str
        'module:function'.
    config : mapping
        Its keyword arguments. As nnfabrik does, ``data_info`` (session -> ``input_dimensions``,
        ``input_channels``, ``output_dimension``), ``dataloaders`` (None) and ``seed`` are given where it takes
        them.
    state : mapping of str to Tensor
        The checkpoint's tensors, loaded strictly; names of wrappers (``module.``, ``_orig_mod.``) and one prefix
        before all keys are left out where the module has none.
    geometry : Geometry
        Images, sessions and neurons.
    seed : int
        Seed of the model.
    allowed : collection of str
        Modules whose own functions and classes may be called in this process; what they import may not. It comes
        from this process's own configuration, never from a database.

    Returns
    -------
    BuiltNetwork
        On the CPU, in evaluation mode.

    Raises
    ------
    ConfigError
        If the module is not allowed, cannot be imported, does not define such a function, or the function refuses
        the config.
    CheckpointError
        If what it returns is no torch module, or the checkpoint does not fit it.
    """
    module_name = check_builder(builder)
    if module_name not in allowed:
        raise ConfigError(
            f"the network needs the code of {builder!r}, which this process does not run: it is allowed to build with"
            f" {', '.join(sorted(allowed)) or 'no module'}. If you trust that module, name it where this process is"
            f" started: DECORTEX_BUILDERS={module_name}. A row in the database alone never makes anybody run code."
        )
    function = _function(builder)
    given = _arguments(function, config, geometry, seed)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = function(**given)
    except (TypeError, ValueError, KeyError) as error:
        raise ConfigError(
            f"{builder!r} does not take this config: {type(error).__name__}: {error}."
        ) from error
    if not isinstance(module, nn.Module):
        raise CheckpointError(f"{builder!r} returned a {type(module).__name__}, expected a torch.nn.Module.")
    try:
        module.load_state_dict(_by_its_names(state, set(module.state_dict())), strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"the checkpoint does not fit what {builder!r} builds: {error}.") from error
    return BuiltNetwork(module, geometry).eval()


def _by_its_names(state: Mapping[str, Tensor], names: set[str]) -> dict[str, Tensor]:
    """The tensors as a module calls them: a wrapper's names and one prefix before all keys are no part of them."""
    bare = {".".join(part for part in key.split(".") if part not in WRAPPERS): key for key in state}
    if set(state) == names or len(bare) < len(state):
        return dict(state)
    starts = [""] + [
        key[: -len(name)] for key in bare for name in (min(names, default=""),) if key.endswith(f".{name}")
    ]
    for start in starts:
        renamed = {short[len(start) :]: state[key] for short, key in bare.items() if short.startswith(start)}
        if set(renamed) == names:
            return renamed
    return dict(state)


def _function(builder: str) -> Any:
    module_name, _, name = builder.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(
            f"the module of builder {builder!r} cannot be imported here ({error}): install it in this environment."
        ) from error
    function = getattr(module, name, None)
    if not (inspect.isroutine(function) or inspect.isclass(function)):
        raise ConfigError(f"module {module_name!r} has no function {name!r}.")
    home = getattr(function, "__module__", None)
    if home != module_name:
        raise ConfigError(
            f"{builder!r} is only imported there: it is defined in {home!r}, which was not allowed. Name the module"
            f" that defines it, or write a function in {module_name!r} that calls it with arguments of its own choice."
        )
    return function


def _arguments(function: Any, config: Mapping[str, Any], geometry: Geometry, seed: int) -> dict[str, Any]:
    """The config, and what nnfabrik gives a model function besides, as far as the function takes it."""
    takes = inspect.signature(function).parameters
    info = {
        session.name: {
            "input_dimensions": torch.Size([1, *geometry.image_shape]),
            "input_channels": geometry.image_shape[0],
            "output_dimension": session.n_neurons,
        }
        for session in geometry.sessions
    }
    besides = {"data_info": info, "dataloaders": None, "seed": seed}
    return {**{name: value for name, value in besides.items() if name in takes}, **config}
