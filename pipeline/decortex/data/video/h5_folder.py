"""openretina's neutral folder: stimuli as .npy files, one HDF5 file of responses per session. Reading only.

``folder/stimuli/<name>.npy`` is a movie, (channels, n_frames, height, width); ``folder/<session>.h5`` holds
``responses_<name>``, (n_neurons, n_frames), and, where a session saw a movie of its own, ``stimulus_<name>``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from decortex.config import Config
from decortex.data.filetree_files import refuse_pickles
from decortex.data.filetree_meta import UNKNOWN, content_id
from decortex.data.npy import NUMBERS, read_array, single_precision
from decortex.data.recordings import Recordings, Session
from decortex.data.video.clips import InMemoryClips
from decortex.data.video.h5_datasets import dataset_names, h5_module, is_linked, open_h5, read_dataset
from decortex.errors import DatasetError

if TYPE_CHECKING:
    import h5py


class MovieSplit(Config):
    """Which movies of a neutral folder test a network, and how long ones become clips."""

    test: tuple[str, ...] = Field(min_length=1, description="names of the test movies; each is one clip")
    clip_frames: int = Field(
        default=150,
        ge=2,
        description="frames per clip that a training movie is cut into; the last may be shorter",
    )
    validation_every: int = Field(
        default=10, ge=2, description="every so-many-th clip of a training movie chooses the network"
    )


def open_h5_folder(path: Path, split: MovieSplit, *, frame_rate: float) -> Recordings:
    """Open openretina's neutral folder.

    Training movies are cut into clips: no window of training reaches over a cut, and no frame is left out.

    Parameters
    ----------
    path : Path
        Folder with ``stimuli/`` and one ``.h5`` file per session.
    split : MovieSplit
        Which movies are test movies; the files do not tell.
    frame_rate : float
        Frames per second of movies and responses, Hz.

    Returns
    -------
    Recordings
        Sessions are called like their files, in the order of their names; everything lies in memory, as float32.

    Raises
    ------
    DatasetError
        If the folder is not what it should be; the message names the file, the fault and the remedy.
    OperationError
        If h5py is not installed.
    """
    h5_module()  # what lacks is said before the folder is looked at
    path = Path(path)
    sessions = sorted(path.glob("*.h5"))
    if not sessions or not (path / "stimuli").is_dir():
        refuse_pickles(path)
        raise DatasetError(
            f"{path} should hold stimuli/<name>.npy and one <session>.h5 per session, but it holds"
            f" {', '.join(sorted(child.name for child in path.glob('*'))[:8]) or 'nothing'}."
        )
    shared = {
        file.stem: _movie(read_array(file), str(file)) for file in sorted((path / "stimuli").glob("*.npy"))
    }
    opened = []
    for file in sessions:
        with open_h5(file) as content:
            opened.append(_open_session(file.stem, content, shared, split))
    shapes = {session.name: shape for session, shape in opened}
    if len(set(shapes.values())) > 1:
        raise DatasetError(f"movies of all sessions should have frames of one shape, but they have {shapes}.")
    return Recordings(
        sessions=[session for session, _ in opened],
        image_shape=opened[0][1],
        content_sha256=partial(_content, path, sessions, split, frame_rate),
        frame_rate=float(frame_rate),
    )


def _open_session(
    name: str, content: h5py.File, shared: Mapping[str, NDArray[np.float32]], split: MovieSplit
) -> tuple[Session, tuple[int, int, int]]:
    where = f"session {name!r}"
    inside = dataset_names(content, where)
    names = [key[len("responses_") :] for key in inside if key.startswith("responses_")]
    missing = [movie for movie in split.test if movie not in names]
    if missing or set(names) <= set(split.test):
        raise DatasetError(
            f"session {name!r} should hold responses to the test movies {list(split.test)} and to others for"
            f" training, but it has responses to {names}. Name the test movies as the file does."
        )
    clips: list[NDArray[np.float32]] = []
    traces: list[NDArray[np.float32]] = []
    tiers: list[str] = []
    n_neurons: dict[str, int] = {}
    for movie_name in names:
        if f"stimulus_{movie_name}" in inside:
            own = read_dataset(content, f"stimulus_{movie_name}", where)
            movie = _movie(own, f"stimulus_{movie_name} of {where}")
        elif movie_name in shared:
            movie = shared[movie_name]
        else:
            raise DatasetError(
                f"{where} has responses_{movie_name}, but there is neither stimuli/{movie_name}.npy nor a dataset"
                f" stimulus_{movie_name} in its file."
            )
        responses = read_dataset(content, f"responses_{movie_name}", where)
        if responses.ndim != 2 or responses.shape[1] != movie.shape[1]:
            raise DatasetError(
                f"session {name!r}: responses_{movie_name} should be (n_neurons, {movie.shape[1]}), one value per"
                f" frame of its movie, but has shape {responses.shape}. Resample the responses to the movie's frames."
            )
        n_neurons[movie_name] = len(responses)
        for number, (begin, end) in enumerate(_cuts(movie_name, movie.shape[1], split)):
            clips.append(movie[:, begin:end])
            traces.append(single_precision(responses[:, begin:end].T))
            tiers.append(_tier(movie_name, number, split))
    frames = {(clip.shape[0], *clip.shape[2:]) for clip in clips}
    if len(set(n_neurons.values())) > 1 or len(frames) > 1:
        raise DatasetError(
            f"session {name!r}: all movies should have one frame size and the same neurons, but neurons per movie are"
            f" {n_neurons} and frames (channels, height, width) are {sorted(frames)}."
        )
    if "validation" not in tiers:
        raise DatasetError(
            f"session {name!r}: its training movies make {tiers.count('train')} clips of {split.clip_frames} frames,"
            f" too few for every {split.validation_every}th to be a validation clip. Use shorter clips."
        )
    n = next(iter(n_neurons.values()))
    neurons = pd.DataFrame(
        {"session": name, "unit_id": np.arange(n), "animal": name, "scan": 0, "area": UNKNOWN}
    )
    session = Session(
        name=name,
        images=InMemoryClips(tuple(clips)),
        responses=InMemoryClips(tuple(traces)),
        tiers=np.array(tiers),
        image_ids=np.array(
            [content_id(repr(c.shape).encode() + np.ascontiguousarray(c).tobytes()) for c in clips]
        ),
        neurons=neurons,
        n_frames=np.array([clip.shape[1] for clip in clips], dtype=np.int64),
    )
    channels, _, height, width = clips[0].shape
    return session, (channels, height, width)


def _movie(values: NDArray[Any], where: str) -> NDArray[np.float32]:
    if values.ndim != 4 or 0 in values.shape or values.dtype.kind not in NUMBERS:
        raise DatasetError(
            f"{where} should be a movie of real numbers, (channels, n_frames, height, width), but is {values.dtype}"
            f" {values.shape}."
        )
    return single_precision(values)


def _cuts(name: str, n_frames: int, split: MovieSplit) -> list[tuple[int, int]]:
    if name in split.test:
        return [(0, n_frames)]
    starts = range(0, n_frames, split.clip_frames)
    return [(begin, min(begin + split.clip_frames, n_frames)) for begin in starts]


def _tier(name: str, number: int, split: MovieSplit) -> str:
    if name in split.test:
        return "test"
    return "validation" if number % split.validation_every == split.validation_every - 1 else "train"


def _content(path: Path, sessions: Sequence[Path], split: MovieSplit, frame_rate: float) -> str:
    digest = hashlib.sha256(repr((sorted(split.resolved().items()), frame_rate)).encode())
    for file in [*sorted((path / "stimuli").glob("*.npy")), *sessions]:
        digest.update(f"{file.relative_to(path).as_posix()}:{file.stat().st_size}:".encode())
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    for file in sessions:
        where = f"session {file.stem!r}"
        with open_h5(file) as content:
            # A file has links to other files, but not the values there; it has all others.
            for name in _names_read(dataset_names(content, where)):
                if is_linked(content, name, where):
                    values = read_dataset(content, name, where)
                    digest.update(f"{file.name}:{name}:{values.dtype.str}:{values.shape}:".encode())
                    digest.update(values.tobytes())
    return digest.hexdigest()


def _names_read(inside: Sequence[str]) -> list[str]:
    movies = [name.removeprefix("responses_") for name in inside if name.startswith("responses_")]
    named = [f"{kind}_{movie}" for movie in movies for kind in ("responses", "stimulus")]
    return [name for name in named if name in inside]
