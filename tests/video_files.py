"""Small sessions of movies on disk, in the layout of Sensorium 2023, with the liberties that real ones take."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from decortex.data import Recordings, open_filetree

KEYS = ("videos", "responses", "behavior", "pupil_center")
BEHAVIOUR = ("behavior", "pupil_center")


@dataclass
class Skeleton:
    """Trials of a recording: what they were for, which video they showed, how long each file is valid."""

    tiers: list[str]
    videos: list[str]
    valid: dict[str, list[int]]
    file_frames: int
    withheld: list[bool] = field(default_factory=list)

    @classmethod
    def small(cls) -> Skeleton:
        """Twelve training clips, two validation clips shown twice and three times, two test clips likewise."""
        tiers = ["train"] * 12 + ["oracle"] * 5 + ["live_test_main"] * 2 + ["final_test_bonus"] * 3 + ["none"]
        videos = [f"t{i}" for i in range(12)] + [
            "o0",
            "o0",
            "o1",
            "o1",
            "o1",
            "l0",
            "l0",
            "f0",
            "f0",
            "f0",
            "x",
        ]
        n = len(tiers)
        valid = {
            "videos": [30] * n,
            "responses": [30] * n,
            "behavior": [34] * n,
            "pupil_center": [30] * n,
        }
        for trial in (19, 20, 21):  # another length
            for key in ("videos", "responses", "pupil_center"):
                valid[key][trial] = 24
        return cls(tiers, videos, valid, file_frames=34)

    @classmethod
    def of(cls, trials: Path, n_per_tier: Mapping[str, int]) -> Skeleton:
        """Take the first trials of every tier from the table of a real recording."""
        taken: dict[str, int] = {}
        rows = []
        with trials.open() as file:
            for row in sorted(csv.DictReader(file), key=lambda row: int(row["trial"])):
                tier = row["trial_type"]
                taken[tier] = taken.get(tier, 0) + 1
                if taken[tier] <= n_per_tier.get(tier, 0):
                    rows.append(row)
        columns = {
            "videos": "video",
            "responses": "response",
            "behavior": "locomotion",
            "pupil_center": "gaze",
        }
        return cls(
            tiers=[row["trial_type"] for row in rows],
            videos=[row["video_ID"] for row in rows],
            valid={key: [int(row[f"valid_frames_{name}"]) for row in rows] for key, name in columns.items()},
            file_frames=324,
            withheld=[row["valid_response"] == "False" for row in rows],
        )


def video_of(name: str, shape: tuple[int, int], n_frames: int) -> np.ndarray:
    """Pixels of a video by its name, (height, width, n_frames), the same in every session."""
    rng = np.random.default_rng(list(name.encode()))
    return np.round(rng.normal(100.0, 30.0, size=(*shape, n_frames)), 2)


def write_video_session(
    root: Path, skeleton: Skeleton, *, n_neurons: int = 5, shape: tuple[int, int] = (6, 8), seed: int = 0
) -> Path:
    """Write a session: float64 files of one length, NaN behind what is valid, values just below zero.

    Neuron n follows pixel n of the video two frames ago.
    """
    rng = np.random.default_rng(seed)
    for key in KEYS:
        (root / "data" / key).mkdir(parents=True)
    for trial, name in enumerate(skeleton.videos):
        full = skeleton.file_frames
        video = video_of(name, shape, full)
        pixels = video.reshape(-1, full)[:n_neurons]
        past = np.concatenate([np.full((n_neurons, 2), 100.0), pixels[:, :-2]], axis=1)
        responses = rng.poisson(np.exp((past - 100.0) / 40.0)).astype(np.float64)
        responses[responses == 0] = -rng.uniform(1e-9, 5e-7, size=int((responses == 0).sum()))
        if skeleton.withheld and skeleton.withheld[trial]:
            responses[:] = 0.0
        arrays = {
            "videos": video,
            "responses": responses,
            "behavior": rng.normal(size=(2, full)),
            "pupil_center": rng.normal(size=(2, full)),
        }
        for key, values in arrays.items():
            values[..., skeleton.valid[key][trial] :] = np.nan
            np.save(root / "data" / key / f"{trial}.npy", values)
    save(root / "meta" / "trials" / "tiers.npy", np.array(skeleton.tiers))
    save(root / "meta" / "neurons" / "unit_ids.npy", np.arange(1, n_neurons + 1))
    save(root / "meta" / "neurons" / "animal_ids.npy", np.full(n_neurons, root.name))
    save(root / "meta" / "neurons" / "cell_motor_coordinates.npy", rng.normal(size=(n_neurons, 3)))
    return root


def save(path: Path, values: np.ndarray) -> None:
    """Save an array, its folder included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)


def write_h5_folder(path: Path, sessions: Sequence[str], movies: Mapping[str, np.ndarray]) -> Path:
    """Write openretina's neutral folder; neuron n counts what pixel n shows, and every session is its own."""
    import h5py

    (path / "stimuli").mkdir(parents=True)
    for name, movie in movies.items():
        np.save(path / "stimuli" / f"{name}.npy", movie)
    for number, session in enumerate(sessions):
        with h5py.File(path / f"{session}.h5", "w") as file:
            for name, movie in movies.items():
                pixels = movie.reshape(movie.shape[0], movie.shape[1], -1)[0, :, : 3 + number]
                file[f"responses_{name}"] = np.maximum(pixels.T, 0.0)
    return path


def opened(folder: Path, behaviour: tuple[str, ...] = ()) -> Recordings:
    """Open such a folder at 30 frames per second."""
    return open_filetree(folder, behaviour=behaviour, frame_rate=30.0)
