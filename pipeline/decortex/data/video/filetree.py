"""Sessions of FileTreeDataset folders that show movies, the layout of Sensorium 2023. Reading only.

A session has ``data/videos/<i>.npy`` (height, width, n_frames), ``data/responses/<i>.npy`` (n_neurons, n_frames) and,
where the animal was watched, traces like ``data/behavior/<i>.npy`` (n_values, n_frames). Files are as long as the
longest clip of a recording; behind the valid part of each they hold NaN.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from decortex.data.filetree_files import read_links, trial_files
from decortex.data.filetree_meta import content_id, read_neurons, read_tiers
from decortex.data.npy import NUMBERS, read_array, read_first_row, read_header
from decortex.data.recordings import TIERS, Recordings, Session
from decortex.data.video.clips import (
    ClipsWithBehaviour,
    DeconvolvedTraces,
    TraceFiles,
    VideoFiles,
    valid_frames,
)
from decortex.errors import DatasetError

# What Sensorium 2023 calls its tiers: 'oracle' clips, shown about ten times, choose a network.
TIER_WORDS: Final[Mapping[str, str]] = {
    "oracle": "validation",
    "live_test_main": "test",
    "live_test_bonus": "test",
    "final_test_main": "test",
    "final_test_bonus": "test",
}
# Tier of trials whose responses were kept back: their files hold one value throughout.
WITHHELD = "withheld"

_Shape = tuple[int, int, int]


def read_frame_rate(folders: Sequence[Path], given: float | None) -> float:
    """Return the frame rate of sessions, Hz: what their ``config.json`` says under 'frame_rate', or what was given.

    Raises
    ------
    DatasetError
        If nobody says it, or two say different ones.
    """
    told = {folder.name: _told_rate(folder) for folder in folders}
    rates = {name: rate for name, rate in told.items() if rate is not None}
    if given is not None:
        rates["the frame rate that was given"] = given
    if not rates:
        raise DatasetError(
            f"{folders[0]} shows movies: say at how many frames per second they were shown (frame_rate=30,"
            " --frame-rate 30; Sensorium 2023 is at 30 Hz). Networks know frames, not seconds."
        )
    if len(set(rates.values())) > 1:
        raise DatasetError(
            f"movies of one data set have one frame rate, but here are {rates} Hz. Resample clips and responses"
            " (decortex.data.video.resample), or open the sessions one by one."
        )
    return next(iter(rates.values()))


def open_video_session(root: Path, behaviour: tuple[str, ...]) -> tuple[Session, _Shape]:
    """Open one session that shows movies; returns it and the shape of its frames, (channels, height, width).

    Raises
    ------
    DatasetError
        If the folder is not what it should be; the message names the folder, the fault and the remedy.
    """
    links, neurons = read_links(root), read_neurons(root)
    files = {key: trial_files(root, key, links) for key in ("videos", "responses", *behaviour)}
    counts = {key: len(names) for key, (_, names) in files.items()}
    if len(set(counts.values())) != 1:
        raise DatasetError(
            f"{root} should hold as many trials of one as of the other, but has"
            f" {', '.join(f'{n} of {key}' for key, n in counts.items())}. Export the session again or remove the"
            " surplus trials."
        )
    shape = _check_shapes(root, files, len(neurons))
    tiers = _tiers(root, files["responses"], counts["videos"])
    used = np.isin(tiers, TIERS)
    lengths = {key: _lengths(folder, names, used) for key, (folder, names) in files.items()}
    n_frames = np.min(np.stack(list(lengths.values())), axis=0)
    for trial in np.flatnonzero(used & (n_frames == 0)).tolist():
        empty = [key for key, found in lengths.items() if found[trial] == 0]
        raise DatasetError(
            f"{root}: trial {trial} (tier {str(tiers[trial])!r}) holds nothing but NaN in {', '.join(empty)}."
            " Give it the tier 'none', or restore the files."
        )
    traces = TraceFiles(*files["responses"], n_frames)
    clips: VideoFiles | ClipsWithBehaviour = VideoFiles(*files["videos"], n_frames)
    if behaviour:
        beside = tuple(TraceFiles(*files[key], n_frames) for key in behaviour)
        n_values = sum(read_header(files[key][0] / files[key][1][0]).shape[0] for key in behaviour)
        clips = ClipsWithBehaviour(clips, beside)
        shape = (shape[0] + n_values, *shape[1:])
    session = Session(
        name=root.name,
        images=clips,
        responses=DeconvolvedTraces(traces, np.flatnonzero(tiers == "train"), n_frames),
        tiers=tiers,
        image_ids=_content_ids(VideoFiles(*files["videos"], lengths["videos"]), used),
        neurons=neurons,
        n_frames=n_frames,
        notes=tuple(_early_ends(root, lengths, used)),
    )
    return session, shape


def shared_clips(recordings: Recordings) -> dict[tuple[str, str], int]:
    """Count clips that occur in two tiers, over all sessions: a core that they share has seen them.

    Returns
    -------
    dict
        By (tier, tier), in the order of `decortex.data.recordings.TIERS`: how many different clips are in both. The
        identity of a clip is its content.
    """
    shown = {
        tier: {int(i) for session in recordings.sessions for i in session.image_ids[session.trials(tier)]}
        for tier in TIERS
    }
    pairs = [(a, b) for place, a in enumerate(TIERS) for b in TIERS[place + 1 :]]
    return {(a, b): len(shown[a] & shown[b]) for a, b in pairs if shown[a] & shown[b]}


def _told_rate(root: Path) -> float | None:
    path = root / "config.json"
    if not path.is_file():
        return None
    read_links(root)  # its errors say what is wrong with the file
    rate = json.loads(path.read_text()).get("frame_rate")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or rate <= 0):
        raise DatasetError(f"{path}: 'frame_rate' should be a positive number of Hz, it is {rate!r}.")
    return None if rate is None else float(rate)


def _check_shapes(root: Path, files: Mapping[str, tuple[Path, tuple[str, ...]]], n_neurons: int) -> _Shape:
    """Compare the headers of all files; returns the shape of a frame."""
    folder, names = files["videos"]
    frame, shapes = None, []
    for name in names:
        header = read_header(folder / name)
        if header.dtype.kind not in NUMBERS or len(header.shape) not in (3, 4):
            raise DatasetError(
                f"{folder / name} should be real numbers, (height, width, n_frames) or (channels, height, width,"
                f" n_frames), but is {header.dtype} {header.shape}."
            )
        if frame is not None and header.shape[:-1] != frame:
            raise DatasetError(
                f"all videos of {folder} should have frames of one shape, but {names[0]} has {frame} and {name} has"
                f" {header.shape[:-1]}. Resample them."
            )
        frame = header.shape[:-1]
        shapes.append(header.shape)
    for key, (other, other_names) in files.items():
        if key == "videos":
            continue
        n_values = None if key != "responses" else n_neurons
        for name, video in zip(other_names, shapes, strict=True):
            header = read_header(other / name)
            if header.dtype.kind not in NUMBERS or len(header.shape) != 2:
                raise DatasetError(
                    f"{other / name} should be real numbers, (values, n_frames), one value per frame of the video,"
                    f" but is {header.dtype} {header.shape}."
                )
            n_values = header.shape[0] if n_values is None else n_values
            if header.shape[0] != n_values:
                raise DatasetError(
                    f"{other / name} should have {n_values} values per frame"
                    f"{' (meta/neurons/unit_ids.npy)' if key == 'responses' else ''}, but has shape {header.shape}."
                )
            if header.shape[1] != video[-1]:
                raise DatasetError(
                    f"{other / name} has {header.shape[1]} frames and its video {video[-1]}: files of a trial are of"
                    " one length, with NaN behind what is valid."
                    f" {_remedy(key, video, header.shape[1])}"
                )
    assert frame is not None
    return (1, *frame) if len(frame) == 2 else (frame[0], frame[1], frame[2])


def _remedy(key: str, video: tuple[int, ...], n_frames: int) -> str:
    """What to do about a video that is not as long as the responses to it, or the behaviour."""
    axes = [axis for axis, side in enumerate(video[:-1]) if side == n_frames]
    if len(axes) == 1:
        return (
            f"The video is {video}, as if its frames lay along axis {axes[0]}: time comes last (np.moveaxis(video,"
            f" {axes[0]}, -1); colour channels first)."
        )
    return f"Resample {key} to the frames of the video, or export the trial again."


def _early_ends(root: Path, lengths: Mapping[str, NDArray[np.int64]], used: NDArray[np.bool_]) -> list[str]:
    """Which files end before their videos do, in words."""
    video = lengths["videos"][used]
    notes = []
    for key, every in lengths.items():
        own = every[used]
        n_early = int((own < video).sum())
        if n_early:
            first = int(np.argmin(own / np.maximum(video, 1)))
            notes.append(
                f"session {root.name!r}: {key} end before the video in {n_early} of {len(video)} trials (after"
                f" {own[first]} of {video[first]} frames, where it is earliest); what follows is left out. Resample"
                " them first if they are at another rate than the video"
            )
    return notes


def _tiers(root: Path, responses: tuple[Path, tuple[str, ...]], n_trials: int) -> NDArray[np.str_]:
    """Tiers in our words; test trials whose responses were kept back are set apart."""
    words = read_tiers(root, n_trials)
    tiers = np.array([TIER_WORDS.get(word, word) for word in words.tolist()])
    folder, names = responses
    withheld = [tiers[trial] == "test" and _is_constant(folder / names[trial]) for trial in range(len(tiers))]
    tiers = np.where(withheld, WITHHELD, tiers)
    if not np.isin(tiers, TIERS).any():
        raise DatasetError(
            f"{root}/meta/trials/tiers.npy should name trials of {', '.join((*TIERS, *TIER_WORDS))} whose responses"
            f" are known, but it only has {', '.join(sorted(set(tiers.tolist()))[:8])}."
        )
    return tiers.astype(np.str_)


def _is_constant(path: Path) -> bool:
    """Whether a file holds one value, or NaN, throughout; the whole of it is read only where its first row does."""
    for values in (read_first_row(path), None):
        known = read_array(path) if values is None else values
        known = known[~np.isnan(known)] if known.dtype.kind == "f" else known.ravel()
        if len(known) and bool((known != known[0]).any()):
            return False
    return True


def _lengths(folder: Path, names: tuple[str, ...], used: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.array(
        [valid_frames(folder / name) if use else 0 for name, use in zip(names, used.tolist(), strict=True)],
        dtype=np.int64,
    )


def _content_ids(videos: VideoFiles, used: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Identity of every trial's video by its content; of trials that nobody uses a negative number of their own."""
    ids = -1 - np.arange(len(videos), dtype=np.int64)
    for trial in np.flatnonzero(used).tolist():
        clip = np.ascontiguousarray(videos.values(trial))
        ids[trial] = content_id(repr(clip.shape).encode() + clip.tobytes())
    return ids
