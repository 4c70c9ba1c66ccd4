"""Expanding the macaque V4 recordings of Cowley et al. into FileTreeDataset folders. Downloads nothing.

Source: the repository cowleygroup/V4_compact_models (GPL-3.0) at commit f4552ad9; Cowley, Stan, Pillow &
Smith, "Compact deep neural network models of visual cortex", bioRxiv 2023. Images are 112 x 112 colour JPEGs,
responses spike counts per 100 ms averaged over repeats.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from decortex.data.filetree_writer import new_folder, write_session
from decortex.data.npy import NUMBERS, ZIP_ERRORS, members, read_array, read_member, single_precision
from decortex.data.recordings import InMemoryTrials, Session
from decortex.data.tables import names_of
from decortex.errors import DatasetError, InputError

UPSTREAM = "https://github.com/cowleygroup/V4_compact_models"
UPSTREAM_COMMIT = "f4552ad9"
STORED_SIZE = 112  # pixels
REFERENCE_SESSIONS = (
    "190923",
    "190925",
    "190927",
    "190928",
    "190929",
    "201025",
    "210224",
    "210305",
    "210621",
)
THUMBNAIL = 28  # pixels
TWIN_CORRELATION = 0.95  # thumbnails above it show the same scene
_IMAGES = re.compile(r"images_(\d{6})\.zip")
_RESPONSES = re.compile(r"resp_avg_(\d{6})\.npy")
_UPSTREAM_RESPONSES = re.compile(r"responses_(\d{6})\.npy")  # the raw ones beside them have the same name
_BLOCK = 1000
MIN_SIZE = 8  # pixels
# What Pillow raises of a damaged JPEG: its own errors, and those of the parsers that it uses.
_UNDECODABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    RuntimeError,
    struct.error,
    Image.DecompressionBombError,
)
Progress = Callable[[str], None]


@dataclass(frozen=True)
class SourceSession:
    """Where the two files of one session lie."""

    name: str
    images: Path
    responses: Path


@dataclass(frozen=True)
class StoredImage:
    """A JPEG file in an archive, undecoded, and what messages call it."""

    where: str
    raw: bytes


def import_cowley_v4(
    source: Path,
    out: Path,
    *,
    size: int = 56,
    rgb: bool = False,
    sessions: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> None:
    """Expand the V4 sessions into a folder of FileTreeDataset folders, whole or not at all.

    Images keep pixel values 0 to 255. Tiers (train 80 %, validation 10 %, test 10 %) are drawn for groups of
    near-identical images over the reference sessions and the chosen ones together: no image has a twin in
    another tier, and expanding fewer reference sessions gives them the same tiers.

    Parameters
    ----------
    source : Path
        The upstream clone, or a folder with ``images_<session>.zip`` and ``resp_avg_<session>.npy``; searched
        with its subfolders.
    out : Path
        Folder to create.
    size : int
        Side of the images in pixels, at most 112; averaged over blocks of pixels.
    rgb : bool
        Keep three colour channels; else luminance.
    sessions : sequence of str, optional
        Sessions to expand; by default those of `REFERENCE_SESSIONS` that the source has.
    progress : callable, optional
        Called with a line of text after each session.

    Raises
    ------
    DatasetError
        If a file is missing, unreadable or double, counts disagree, an image is no JPEG of 112 x 112 pixels, there are
        no neurons, or ``out`` is not empty.
    InputError
        If the size is out of range.
    """
    if not MIN_SIZE <= size <= STORED_SIZE:
        raise InputError(
            f"size should be {MIN_SIZE} to {STORED_SIZE} pixels (images are stored so), not {size}."
        )
    chosen, pool = find_sessions(source, sessions)
    with new_folder(out) as folder:
        tiers = draw_tiers(image for session in pool for image in read_jpegs(session))
        for done, session in enumerate(chosen, start=1):
            expanded = expand_session(session, tiers, size=size, rgb=rgb)
            write_session(expanded, folder / session.name)
            if progress is not None:
                progress(
                    f"session {session.name} ({done} of {len(chosen)}): {expanded.n_neurons} neurons,"
                    f" {expanded.n_trials} images"
                )


def find_sessions(
    source: Path, sessions: Sequence[str] | None
) -> tuple[list[SourceSession], list[SourceSession]]:
    """Find the files of the sessions to expand, and of all sessions over which tiers are drawn.

    Raises
    ------
    DatasetError
        If the source is no folder, or a session's zip or responses are missing or there twice.
    """
    if not source.is_dir():
        raise DatasetError(
            f"{source} should be a clone of {UPSTREAM} (commit {UPSTREAM_COMMIT}), but it is no folder."
        )
    images, responses = _source_files(source)
    known = [name for name in REFERENCE_SESSIONS if name in images or name in responses]
    names = known if sessions is None else list(dict.fromkeys(names_of(sessions, "sessions")))
    if not names:
        raise DatasetError(
            f"{source} should hold images_<session>.zip and averaged responses (a clone of {UPSTREAM}, commit"
            f" {UPSTREAM_COMMIT}), but no session was found in it."
        )
    for name in names:
        for what, files in ((f"images_{name}.zip", images), (f"averaged responses of {name}", responses)):
            if name not in files:
                both = ", ".join(sorted(set(images) & set(responses))) or "none"
                raise DatasetError(
                    f"{source}: {what} is missing. Complete sessions there: {both}. Is the clone complete?"
                )
    pool = sorted({*names, *(name for name in known if name in images and name in responses)})
    found = {name: SourceSession(name, images[name], responses[name]) for name in pool}
    return [found[name] for name in names], [found[name] for name in pool]


def read_jpegs(session: SourceSession) -> list[StoredImage]:
    """Return the session's JPEG files, undecoded, in presentation order (that of their names).

    Raises
    ------
    DatasetError
        If the archive is damaged, holds no image or a name twice, unpacks to far more than its size, or names images
        by numbers without leading zeros.
    """
    images: list[StoredImage] = []
    numbers: list[int] = []
    held = 0
    try:
        with zipfile.ZipFile(session.images) as archive:
            for record in sorted(members(archive, session.images), key=lambda record: record.filename):
                if record.filename.lower().endswith(".jpg") and "__MACOSX" not in record.filename:
                    raw = read_member(archive, record, session.images, held=held)
                    held += len(raw)
                    where = f"session {session.name}: {record.filename!r} of {session.images}"
                    images.append(StoredImage(where, raw))
                    numbers += [int(one) for one in re.findall(r"(\d{1,18})\.jpg$", record.filename.lower())]
    except DatasetError:
        raise
    except (*ZIP_ERRORS, OSError) as error:
        raise DatasetError(
            f"{session.images} should be a zip archive of JPEG images, but: {error}. Fetch it again."
        ) from error
    if not images:
        raise DatasetError(f"session {session.name}: {session.images} holds no .jpg image. Fetch it again.")
    if numbers != sorted(numbers):
        raise DatasetError(
            f"session {session.name}: the numbers in the names of {session.images} count otherwise than the names"
            f" follow each other ({', '.join(map(str, numbers[:4]))}, ...), so which image a response belongs to is not"
            " told. Name the images in presentation order with leading zeros (image0001.jpg)."
        )
    return images


def image_id(raw: bytes) -> int:
    """Identify an image by its file: the first 48 bits of the sha256."""
    return int(hashlib.sha256(raw).hexdigest()[:12], 16)


def draw_tiers(images: Iterable[StoredImage]) -> dict[int, str]:
    """Draw the tier of every distinct image, one draw for a group of near-identical images.

    Two images are near-identical if their 28 x 28 grey thumbnails correlate above .95; a group is a connected
    component of that relation. Its smallest image id decides by its last digit: 0 test, 1 validation.

    Raises
    ------
    DatasetError
        If an image cannot be decoded or is not 112 x 112 pixels.
    """
    distinct: dict[int, StoredImage] = {}
    for image in images:
        distinct.setdefault(image_id(image.raw), image)
    ids = sorted(distinct)
    thumbnails = np.stack([_decode(distinct[one], THUMBNAIL, rgb=False).ravel() for one in ids])
    thumbnails -= thumbnails.mean(axis=1, keepdims=True)
    thumbnails /= np.linalg.norm(thumbnails, axis=1, keepdims=True) + 1e-6  # a uniform image has no twin
    rows, columns = [], []
    for start in range(0, len(ids), _BLOCK):
        row, column = np.nonzero(thumbnails[start : start + _BLOCK] @ thumbnails.T > TWIN_CORRELATION)
        rows.append(row + start)
        columns.append(column)
    row, column = np.concatenate(rows), np.concatenate(columns)
    graph = coo_matrix((np.ones(len(row)), (row, column)), shape=(len(ids), len(ids)))
    n_groups, group = connected_components(graph, directed=False)
    smallest = np.full(n_groups, max(ids))
    np.minimum.at(smallest, group, ids)
    tier = {0: "test", 1: "validation"}
    return {one: tier.get(int(smallest[own]) % 10, "train") for one, own in zip(ids, group, strict=True)}


def expand_session(session: SourceSession, tiers: Mapping[int, str], *, size: int, rgb: bool) -> Session:
    """Decode one session: images in presentation order, averaged responses, tiers and image ids.

    Raises
    ------
    DatasetError
        If images and responses differ in number, there are no neurons, or a file cannot be decoded.
    """
    responses = read_array(session.responses)
    images = read_jpegs(session)
    if responses.dtype.kind not in NUMBERS:
        raise DatasetError(
            f"session {session.name}: {session.responses} should hold real numbers, but holds {responses.dtype}."
        )
    if responses.ndim != 2 or responses.shape[1] != len(images):
        raise DatasetError(
            f"session {session.name}: {session.responses} should have shape (neurons, {len(images)}), one"
            f" column for each image of {session.images.name}, but has {responses.shape}."
        )
    if not len(responses):
        raise DatasetError(
            f"session {session.name}: {session.responses} should hold one neuron or more, but has shape"
            f" {responses.shape}. Fetch it again."
        )
    rates = single_precision(responses.T)
    wrong = ~(np.isfinite(rates) & (rates >= 0))
    if wrong.any():
        raise DatasetError(
            f"session {session.name}: {session.responses} should hold averaged responses, finite and not negative as"
            f" float32, but {int(wrong.sum())} are not. Fetch it again."
        )
    n_neurons = len(responses)
    ids = np.array([image_id(image.raw) for image in images], dtype=np.int64)
    return Session(
        name=session.name,
        images=InMemoryTrials(np.stack([_decode(image, size, rgb=rgb) for image in images])),
        responses=InMemoryTrials(rates),
        tiers=np.array([tiers[one] for one in ids.tolist()]),
        image_ids=ids,
        neurons=pd.DataFrame(
            {
                "session": session.name,
                "unit_id": np.arange(1, n_neurons + 1),
                "animal": animal_of(session.name),
                "scan": 0,
                "area": "V4",
            }
        ),
    )


def animal_of(session: str) -> str:
    """Return the animal of a session, which is named by its date (yymmdd), after the upstream's table."""
    if session < "200101":
        return "WE"
    return "PE" if session < "210601" else "RA"


def _source_files(source: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    images: dict[str, Path] = {}
    responses: dict[str, Path] = {}
    for path in sorted(source.rglob("*")):
        averaged = path.parent.name.startswith("responses_repeat")
        for pattern, files in (
            (_IMAGES, images),
            (_RESPONSES, responses),
            *([(_UPSTREAM_RESPONSES, responses)] if averaged else []),
        ):
            match = pattern.fullmatch(path.name)
            if match is None:
                continue
            if match[1] in files:
                raise DatasetError(
                    f"{source} holds session {match[1]} twice: {files[match[1]]} and {path}."
                    " Give the folder that holds the one you mean."
                )
            files[match[1]] = path
    return images, responses


def _decode(image: StoredImage, size: int, *, rgb: bool) -> NDArray[np.float32]:
    """Decode a JPEG to (channels, size, size), values 0 to 255."""
    try:
        # Pillow would take any format that it knows, and has programs run for some.
        stored = Image.open(io.BytesIO(image.raw), formats=("JPEG",))
        if stored.size != (STORED_SIZE, STORED_SIZE):
            raise DatasetError(
                f"{image.where} should be {STORED_SIZE} x {STORED_SIZE} pixels, but is {stored.width} x"
                f" {stored.height}. Fetch the archive as it was published."
            )
        picture = stored.convert("RGB" if rgb else "L")
    except DatasetError:
        raise
    except UnidentifiedImageError as error:  # whose message names an object in memory
        raise DatasetError(
            f"{image.where} should be a JPEG image, but starts with {image.raw[:8]!r} ({len(image.raw)} bytes)."
            " Fetch the archive again."
        ) from error
    except _UNDECODABLE as error:
        raise DatasetError(
            f"{image.where} cannot be decoded ({type(error).__name__}: {error}). Fetch the archive again."
        ) from error
    if size != STORED_SIZE:
        picture = picture.resize((size, size), Image.Resampling.BOX)
    values = np.asarray(picture, dtype=np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1)) if rgb else values[None]
