"""The study of joint training on the simulated cortex as plans: writes them, registers its recordings, says the cost.

    python benchmarks/finetune/dec_study.py plans       # writes docs/plans/dec-study-*.json
    python benchmarks/finetune/dec_study.py register    # registers the recordings that they name
    decortex study create dec-choose example:dec-study-plain-choose --dry-run     # what it would take
    decortex study create dec-choose example:dec-study-plain-choose; decortex schedule --every 5 & decortex work

Two cores; spreads 0, .3, .5 and 1; networks of three seeds, joint from epoch 3, 5 and 10 of 30; K at the truth (8) and
above (12). Five generators choose among all variants without labels, ten others judge those whose names stand in
`JUDGED` (a plan can ask for others). Every state by k-means, a mixture as the authors of DECEMber fit theirs, SEC and
LDMGI; a plan of its own repeats one variant on populations without types. Workers may be stopped at any time and any
number may run: what is computed stays.

    decortex price dec-choose --part generators --csv      # the table, over generators
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from dec_joint import COUNTS, METHODS, SPREADS, START, START_EPOCHS, VARIANTS
from dec_joint_cases import CORES, EMBEDDINGS, NETWORKS, PLATEAU
from dec_joint_summary import BY_CONSTRUCTION, CHOOSE, EPOCHS, FOLLOWED, JUDGE, STARTS

import decortex_schemas as schemas
from decortex.data import SimulationConfig
from decortex_schemas.tables import register_simulation

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "plans"
N_NEURONS = 240
JUDGED = ("dec_joint 1", "december 1", "restarts 1", "sec start 1", "sec 1", "ldmgi 1")
ROLES = {"choose": CHOOSE, "judge": JUDGE}


def dataset(spread: float, generator: int) -> str:
    """Name of one simulated recording."""
    return f"cortex-spread{spread:g}-{generator}"


def simulations() -> dict[str, tuple[dict[str, Any], int]]:
    """Parameters and seed of every recording that the plans name."""
    return {
        dataset(spread, generator): ({"spread": spread, "n_neurons": N_NEURONS}, generator)
        for spread in SPREADS
        for generator in (*CHOOSE, *JUDGE)
    }


def plan(core: str, role: str) -> dict[str, Any]:
    """One plan: a core and the generators of one role."""
    chosen_from = [name for name in VARIANTS if name not in (*BY_CONSTRUCTION, FOLLOWED)]
    names = chosen_from if role == "choose" else list(JUDGED)
    return {
        "description": f"Joint training on the simulated cortex, {core} core: generators to {role}"
        f"{' by' if role == 'choose' else ''}; made by benchmarks/finetune/dec_study.py",
        "networks": [
            networks(core, spread, generator, m)
            for spread in SPREADS
            for generator in ROLES[role]
            for m in START_EPOCHS
        ],
        **compared(core, names),
        "states": "all",
    }


def null_plan() -> dict[str, Any]:
    """The plan of the null: one population with types and 19 without, plain core, spread 0, K at the truth."""
    return {
        "description": "DECEMber joint from epoch 5 on the simulated cortex, and on 19 populations without types",
        "networks": [networks("plain", 0.0, JUDGE[0], 5)],
        **compared("plain", ["december 1"]),
        "counts": [COUNTS[0]],
        "finetuned_null": {"kinds": ["gaussian"], "surrogates": 19},
        "states": "all",
    }


def networks(core: str, spread: float, generator: int, m: int) -> dict[str, Any]:
    """Networks of one population as they are after epoch m."""
    return {
        "dataset": dataset(spread, generator),
        "recipe": CORES[core],
        "seeds": list(NETWORKS),
        "joint_from": m,
        "training": {"max_epochs": EPOCHS, **PLATEAU},
    }


def compared(core: str, names: list[str]) -> dict[str, Any]:
    """Embedding, methods, numbers of clusters and fine-tunings of a plan."""
    embedding = EMBEDDINGS[core].model_dump(exclude_unset=True)
    return {
        "embeddings": [{"name": "l2" if core == "plain" else "fourier l2", "params": embedding}],
        "methods": [{"method": method, "params": params} for method, params in METHODS.values()],
        "counts": list(COUNTS),
        "seeds": [0],
        "finetunings": [
            {
                "name": name,
                "params": VARIANTS[name],
                "control_seed": "model",
                "methods": [STARTS.get(name, START[0])],
            }
            for name in names
        ],
    }


def plans() -> dict[str, dict[str, Any]]:
    """Every plan by the name of its file."""
    found = {f"dec-study-{core}-{role}": plan(core, role) for core in CORES for role in ROLES}
    return {**found, "dec-study-null": null_plan()}


def main() -> None:
    """Write the plans, or register what they name."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("plans", "register"))
    parser.add_argument("--spreads", nargs="+", type=float, default=list(SPREADS))
    parser.add_argument("--generators", nargs="+", type=int, default=[*CHOOSE, *JUDGE])
    asked = parser.parse_args()
    if asked.what == "plans":
        for name, one in plans().items():
            (FOLDER / f"{name}.json").write_text(written(one), encoding="utf-8")
            print(FOLDER.name, name, len(one["networks"]), "groups of networks")
        return
    schemas.connect()
    for name, (params, seed) in simulations().items():
        if params["spread"] in asked.spreads and seed in asked.generators:
            register_simulation(name, SimulationConfig.from_params(params), seed)
            print(name)


def written(one: dict[str, Any]) -> str:
    """A plan as text, one line an entry of a list."""
    lines = []
    for name, value in one.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            entries = ",\n".join(f"    {json.dumps(entry)}" for entry in value)
            lines.append(f"  {json.dumps(name)}: [\n{entries}\n  ]")
        else:
            lines.append(f"  {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    main()
