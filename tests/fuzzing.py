"""Throws damaged configurations and files at the loaders: each must give a result or one of our errors.

`make fuzz` (MINUTES=10) runs it for long; tests/unit/test_fuzzing.py a few rounds of it. A failure prints the number of
its round, with which the round can be repeated:

    python tests/fuzzing.py [--minutes 10] [--seed 0] [--rounds N]
    python tests/fuzzing.py --round NUMBER
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from fuzzing_files import file_targets
from small_lab import plan_for
from support.damage import Target, check_embedding, damaged, other_tensor
from support.literal_movies import (
    OpenRetinaCore,
    basic,
    factorized,
    openretina_mask,
    prefixed,
    with_gaussian_readout,
)

from decortex.clustering import method_config, methods
from decortex.config import Config, config_hash
from decortex.data.simulation import SimulationConfig
from decortex.embeddings import EmbeddingConfig
from decortex.errors import DecortexError
from decortex.evaluation.association import CovariateConfig
from decortex.finetune import FinetuneConfig
from decortex.models import RECIPES, NetworkConfig
from decortex.models.checkpoints import RebuildConfig, read_checkpoint, rebuild_network
from decortex.models.training import TrainingConfig
from decortex_ops.cli.read.results import parse_key
from decortex_schemas.register import PlanFile

# What people and programs put where a name, a number or a path is expected.
TEXTS = (
    "'; DROP TABLE `study`; --", '"', "`", "\\", "%s", "%", "{}", "../../etc/passwd", "/dev/zero", "", " ",
    "\0", "a\nb", "Zürich\u202e\U0001f9e0", "\ud800", "x" * 1_000_000, "nan", "1e999", "__class__", "[bold]",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2, 2**31, 2**63, -(2**63), 10**400, 0.0, -0.0, 1e-320, 1e308, float("nan"), float("inf"))
ROUNDS = 10**9  # of a seed, whose rounds are numbered from this many times the seed
HOSTILE: tuple[Any, ...] = (*TEXTS, *NUMBERS, None, True, False, [], {}, [[]], {"": {}}, [None])


@dataclass(frozen=True)
class Failure:
    """A round that ended in something else than a result or an error of ours."""

    target: str
    round: int
    trace: str


def mutated(value: Any, chance: random.Random) -> Any:
    """A copy of nested plain values with one to three places changed."""
    found = copy.deepcopy(value)
    for _ in range(chance.randint(1, 3)):
        found = _mutate(found, chance)
    return found


def _mutate(value: Any, chance: random.Random) -> Any:  # noqa: PLR0911
    if isinstance(value, dict) and value and chance.random() < 0.85:
        name = chance.choice(list(value))
        kind = chance.random()
        if kind < 0.08:
            return {key: one for key, one in value.items() if key != name}
        if kind < 0.16:
            return {**value, chance.choice(TEXTS): value[name]}
        return {**value, name: _mutate(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        i = chance.randrange(len(value))
        kind = chance.random()
        if kind < 0.1:
            return value[:i] + value[i + 1 :]
        if kind < 0.2:
            return [*value, *value[i : i + 1] * chance.choice([1, 1, 1, 1000])]
        return [*value[:i], _mutate(value[i], chance), *value[i + 1 :]]
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and chance.random() < 0.4
    ):
        return value * chance.choice([-1, 2, 1000, 0.5, 1e-9]) + chance.choice([0, 0, 1, -1])
    return copy.deepcopy(chance.choice(HOSTILE))


def config_target(cls: type[Config] | Callable[[Any], Any], starts: list[Any]) -> Target:
    """Loads mutations of valid parameters; what is accepted must have a hash."""
    load = cls.from_params if isinstance(cls, type) else cls

    def whole() -> None:
        for start in starts:
            config_hash(load(start).resolved())

    def run(chance: random.Random) -> None:
        config_hash(load(mutated(chance.choice(starts), chance)).resolved())

    return Target(whole, run)


def method_target() -> Target:
    """Loads the parameters of a clustering method."""

    def whole() -> None:
        for name in methods():
            config_hash(method_config(name, method_config(name).resolved()).resolved())

    def run(chance: random.Random) -> None:
        name = chance.choice(methods())
        params = mutated(method_config(name).resolved(), chance)
        if chance.random() < 0.25:
            name = str(chance.choice(TEXTS))
        config_hash(method_config(name, params).resolved())

    return Target(whole, run)


def key_target() -> Target:
    """Reads the key of a row from a command line."""
    start = {"dataset": "v4", "k": 8, "method": "kmeans"}

    def pairs(key: dict[Any, Any]) -> str:
        return ",".join(f"{name}={value}" for name, value in key.items())

    def whole() -> None:
        assert parse_key(json.dumps(start)) == start
        assert parse_key(pairs(start)) == {name: str(value) for name, value in start.items()}

    def run(chance: random.Random) -> None:
        changed = mutated(start, chance)
        if chance.random() < 0.5:
            parse_key(json.dumps(changed)[: chance.choice([None, 5, 20])])
        else:
            parse_key(pairs(changed if isinstance(changed, dict) else {"": changed}))

    return Target(whole, run)


def checkpoint_target(folder: Path) -> Target:
    """Reads checkpoints with damaged bytes, and whole ones that hold something else than is expected."""
    path = folder / "checkpoint.pth"
    starts = [_saved(content) for content in _contents()]

    def read(key: str | None) -> None:
        found = read_checkpoint(path, embedding_key=key)
        check_embedding(found.embedding, found.positions)
        if found.cortical is not None:
            check_embedding(found.cortical, None)

    def whole() -> None:
        for number, start in enumerate(starts):
            path.write_bytes(start)
            read("readout.weight" if number == 0 else None)

    def run(chance: random.Random) -> None:
        kind = chance.random()
        if kind < 0.5:
            path.write_bytes(damaged(chance.choice(starts), chance))
        else:
            try:
                path.write_bytes(_saved(_mutated_content(chance)))
            except (RuntimeError, TypeError, AttributeError, UnicodeError):
                return  # torch does not write it: no file can hold it
        key = chance.choice([None, None, "readout.weight", "readout", "", "../x", "a" * 10000, "\0"])
        read(key)

    return Target(whole, run)


def rebuild_target() -> Target:
    """Builds published networks from options or tensors that are not theirs; what is built has an embedding."""
    with torch.random.fork_rng():
        torch.manual_seed(0)  # layers draw their first weights
        cases = [*_published_networks(), *_networks_of_movies()]

    def build(state: dict[str, torch.Tensor], options: Any) -> None:
        network = rebuild_network(state, RebuildConfig.from_params(options), neuron_order_sha256="0" * 64)
        check_embedding(network.embedding().detach().numpy(), None)

    def whole() -> None:
        for case in cases:
            build(*case)

    def run(chance: random.Random) -> None:
        state, options = chance.choice(cases)
        if chance.random() < 0.6:
            options = mutated(options, chance)
        else:
            state = _mutate_tensors(state, chance)
        if not isinstance(state, dict):
            return  # nobody asks for a network of it
        build(state, options)

    return Target(whole, run)


def _published_networks() -> list[tuple[dict[str, torch.Tensor], dict[str, Any]]]:
    """State dicts of networks of images, and what their tensors do not tell."""
    file = Path(__file__).parent / "unit" / "models" / "frozen" / "published_networks.pt"
    found = []
    for name, case in torch.load(file, weights_only=True).items():
        if name.startswith(("openretina", "sensorium_2022")):
            continue  # readouts without a core of images, and networks of this project
        n_channels, *sides = case["images"].shape[1:]
        shape = [n_channels + (0 if case["pupil"] is None else 2), *sides]
        untold = {key: case[key] for key in ("core", "masks", "pool_kernel", "final_tanh")}
        found.append((case["state"], {"image_shape": shape, **untold}))
    return found


def _networks_of_movies() -> list[tuple[dict[str, torch.Tensor], dict[str, Any]]]:
    """State dicts of networks of movies, and what their tensors do not tell."""
    generator = torch.Generator().manual_seed(0)
    core = OpenRetinaCore("separable", 0, generator)
    retina = {**core.tensors, **openretina_mask(torch.zeros(1, 3, 4, 6, 4), generator, 4)[0]}
    factorised = with_gaussian_readout(prefixed(factorized(generator, bias=True, padded=False)[0]), 6, 3)
    full = with_gaussian_readout(prefixed(basic(generator)[0]), 6, 3)
    return [
        (retina, {"video": {"frame_rate": 30.0, "nonlinearity": "softplus"}, "image_shape": [2, 12, 10]}),
        (factorised, {"video": {"frame_rate": 30.0, "time_dilation": [2, 1]}, "image_shape": [2, 14, 16]}),
        (full, {"video": {"frame_rate": 30.0}, "image_shape": [2, 14, 16]}),
    ]


def _contents() -> list[Any]:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator)

    weights = normal(12, 4)
    gaussian = {
        "readout.data_1._mu": uniform(1, 12, 1, 2),
        "readout.data_1._features": normal(1, 4, 1, 12),
        "readout.data_1.bias": torch.zeros(12),
        "core.weight": normal(4, 1, 3, 3),
    }
    factorised = {
        "readout.a.spatial": uniform(12, 5, 5),
        "readout.a.features": normal(12, 4),
        "readout.a.bias": torch.zeros(12),
    }
    nested = [{"state_dict": gaussian}, {"model": {"state_dict": factorised}}]
    return [{"readout.weight": weights}, gaussian, factorised, *nested]


def _mutated_content(chance: random.Random) -> Any:
    content = copy.deepcopy(chance.choice(_contents()))
    for _ in range(chance.randint(1, 3)):
        content = _mutate_tensors(content, chance)
    return content


def _mutate_tensors(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(list(value))
        if chance.random() < 0.15:
            other = chance.choice(
                ["", "readout._features", "readout.b._features", 5, None, ("a",), "x" * 1000]
            )
            return {**{key: one for key, one in value.items() if key != name}, other: value[name]}
        return {**value, name: _mutate_tensors(value[name], chance)}
    if isinstance(value, torch.Tensor) and value.ndim and chance.random() < 0.8:
        return other_tensor(value, chance)
    return copy.deepcopy(
        chance.choice([one for one in HOSTILE if not isinstance(one, str) or len(one) < 10**5])
    )


def _saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def targets(folder: Path) -> dict[str, Target]:
    """Every loader by name."""
    recipes = [recipe() for recipe in RECIPES.values()]
    plan = plan_for("v4").model_dump(mode="json", exclude_none=True)
    return {
        "network": config_target(NetworkConfig, [network.resolved() for network, _ in recipes]),
        "training": config_target(TrainingConfig, [training.resolved() for _, training in recipes]),
        "embedding": config_target(EmbeddingConfig, [EmbeddingConfig().resolved()]),
        "finetuning": config_target(FinetuneConfig, [FinetuneConfig(kind="dec").resolved()]),
        "covariates": config_target(CovariateConfig, [CovariateConfig(names=("norm",)).resolved()]),
        "simulation": config_target(SimulationConfig, [SimulationConfig().resolved()]),
        "plan": config_target(PlanFile, [plan]),
        "method": method_target(),
        "key": key_target(),
        "checkpoint": checkpoint_target(folder),
        "rebuild": rebuild_target(),
        **file_targets(folder, mutated),
    }


def fuzz(
    *, seed: int, rounds: int | None = None, seconds: float | None = None
) -> Iterable[tuple[int, Failure | None]]:
    """Run rounds until there were enough or the time is over; gives how many there were and each one's failure."""
    ends = None if seconds is None else time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as temporary:
        every = targets(Path(temporary))
        done = 0
        while (rounds is None or done < rounds) and (ends is None or time.monotonic() < ends):
            failure = _round(every, seed * ROUNDS + done)
            done += 1
            yield done, failure


def repeat(number: int) -> Failure | None:
    """Run the round again that a failure named."""
    with tempfile.TemporaryDirectory() as temporary:
        return _round(targets(Path(temporary)), number)


def _round(every: Mapping[str, Target], number: int) -> Failure | None:
    name = list(every)[number % ROUNDS % len(every)]
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(number)  # networks that a loader builds draw their first weights
            every[name].damaged(random.Random(number))
    except DecortexError as error:
        if not str(error).strip() or len(str(error)) > 20_000:
            return Failure(name, number, f"a message of {len(str(error))} characters")
    except Exception:  # noqa: BLE001  (what is looked for)
        return Failure(name, number, traceback.format_exc())
    return None


def main() -> None:
    """Run for minutes, or one round; one line per kind of failure, exit status 1 if there is one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--round", type=int, help="repeat the round of this number, and no other")
    asked = parser.parse_args()
    done, seen = 0, set()
    every = fuzz(seed=asked.seed, rounds=asked.rounds, seconds=60 * asked.minutes)
    for done, failure in every if asked.round is None else [(1, repeat(asked.round))]:  # noqa: B007
        if failure is not None:
            last = failure.trace.strip().splitlines()[-1][:200]
            if (failure.target, last[:60]) not in seen:
                seen.add((failure.target, last[:60]))
                sys.stdout.write(
                    f"{failure.target} (--round {failure.round}): {last}\n{failure.trace[-1500:]}\n"
                )
                sys.stdout.flush()
    sys.stdout.write(f"{done} rounds, {len(seen)} kinds of failure\n")
    sys.exit(1 if seen else 0)


if __name__ == "__main__":
    main()
