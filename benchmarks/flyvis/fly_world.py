"""A second world: recordings of flyvis' fly visual system, with its 65 cell types as known types.

    python benchmarks/flyvis/fly_world.py FOLDER --flyvis PYTHON

PYTHON is that of an environment with flyvis (`make flyvis` makes it). Writes FOLDER/recordings, FileTreeDataset
sessions of three flies, and FOLDER/cell_types.csv, and prints how strongly each type is driven. What stands in FOLDER
is not computed again.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decortex.data import (
    InMemoryTrials,
    Recordings,
    Session,
    VideoSimulationConfig,
    simulate_video,
    write_filetree,
)
from decortex.data.video import RepeatedTrials

FLIES, PER_TYPE = (0, 1, 2), 2
N_TRAIN, N_VALIDATION, N_TEST, N_REPEATS = 100, 12, 12, 4
# Luminance of a clip of variance 1: grey, and its spread; what lies outside 0 to 1 is cut.
GREY, CONTRAST = 0.5, 0.2
# Voltages that vary less are the rounding of single precision.
SMALLEST_SPREAD = 1e-6
# Counts per frame per standard deviation of a neuron's voltage above its lowest.
GAIN = 2.0
FRAME_RATE = 25.0


def clips_shown(path: Path) -> NDArray[np.float32]:
    """Clips of the simulated retina: chains of fixations on two photographs, drifting, turning, zooming."""
    if not path.exists():
        config = VideoSimulationConfig(n_neurons=8, n_train=N_TRAIN, n_validation=N_VALIDATION, n_test=N_TEST)
        np.save(path, simulate_video(config, seed=0).clips)
    clips: NDArray[np.float32] = np.load(path)
    return clips


def fly(folder: Path, number: int, python: str) -> dict[str, NDArray[np.generic]]:
    """Voltages of the inner columns of one fly, (n_clips, n_frames, n_neurons), with cell types and columns."""
    out = folder / f"fly-{number}.npz"
    if not out.exists():
        script = Path(__file__).with_name("fly_activity.py")
        shown = folder / "luminance.npy"
        np.save(shown, np.clip(GREY + CONTRAST * clips_shown(folder / "clips.npy"), 0, 1))
        part = folder / f"part-{number}.npz"
        subprocess.run([python, str(script), str(shown), str(part), "--fly", str(number)], check=True)
        part.rename(out)
    with np.load(out) as held:
        return dict(held)


def session_of(
    number: int, clips: NDArray[np.float32], held: dict[str, NDArray[np.generic]]
) -> tuple[Session, list[str]]:
    """Two neurons of every type that is driven, with Poisson counts; the same types' names."""
    rng = np.random.default_rng([number, 65])
    activity = np.asarray(held["activity"], dtype=np.float64)
    spread = activity[:N_TRAIN].std(axis=(0, 1))
    types = held["types"].astype(str)
    chosen: list[int] = []
    for name in np.unique(types):
        driven = np.flatnonzero((types == name) & (spread > SMALLEST_SPREAD))
        chosen += sorted(rng.permutation(driven)[:PER_TYPE])
    some = activity[..., chosen]
    above = np.maximum(some - some[:N_TRAIN].min(axis=(0, 1)), 0) / spread[chosen]
    shown = np.concatenate(
        [
            np.arange(N_TRAIN + N_VALIDATION),
            np.repeat(np.arange(N_TRAIN + N_VALIDATION, len(clips)), N_REPEATS),
        ]
    )
    counts = rng.poisson(GAIN * above[shown]).astype(np.float32)
    name = f"fly-{number}"
    neurons = pd.DataFrame(
        {
            "session": name,
            "animal": name,
            "unit_id": np.arange(len(chosen)),
            "scan": 0,
            "area": "fly visual system",
        }
    )
    tiers = np.repeat(["train", "validation", "test"], [N_TRAIN, N_VALIDATION, N_TEST * N_REPEATS])
    session = Session(
        name=name,
        images=RepeatedTrials(clips[:, None], shown),
        responses=InMemoryTrials(counts),
        tiers=tiers,
        image_ids=shown,
        neurons=neurons,
        n_frames=np.full(len(shown), clips.shape[1]),
    )
    return session, list(types[chosen])


def main() -> None:
    """Make the recordings, if they are not there, and say what they hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--flyvis", required=True, help="python of an environment with flyvis")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    out = arguments.folder / "recordings"
    clips = clips_shown(arguments.folder / "clips.npy")
    held = [fly(arguments.folder, number, arguments.flyvis) for number in FLIES]
    parts = [session_of(number, clips, one) for number, one in zip(FLIES, held, strict=True)]
    names = [name for _, some in parts for name in some]
    every, truth = np.unique(names, return_inverse=True)
    if not out.exists():
        digest = hashlib.sha256(clips.tobytes())
        for session, _ in parts:
            digest.update(session.responses.values.tobytes())
        recordings = Recordings(
            [session for session, _ in parts],
            (1, *clips.shape[2:]),
            digest.hexdigest(),
            truth.astype(np.int64),
            frame_rate=FRAME_RATE,
        )
        write_filetree(recordings, out)
    labels = pd.DataFrame(
        {
            "session": np.repeat([session.name for session, _ in parts], [len(some) for _, some in parts]),
            "unit_id": np.concatenate([session.neurons["unit_id"] for session, _ in parts]),
            "cell_type": names,
        }
    )
    labels.to_csv(arguments.folder / "cell_types.csv", index=False)
    spreads = pd.Series(np.concatenate([one["activity"][:N_TRAIN].std(axis=(0, 1)) for one in held]))
    of_type = spreads.groupby(np.concatenate([one["types"] for one in held])).median()
    print(f"{len(names)} neurons of {len(every)} of {len(of_type)} types, {len(clips)} clips, in {out}")
    print("spread of the voltage, median over a type's neurons, per photoreceptor's:")
    relative = (of_type / of_type["R1"]).sort_values()
    print(", ".join(f"{name} {value:.1e}" for name, value in relative.items()))


if __name__ == "__main__":
    main()
