"""Which image every trial of a session showed: the ids that its files give, checked against the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from decortex.data.filetree_meta import column, content_id, integers, text
from decortex.data.recordings import Trials
from decortex.errors import DatasetError

IMAGE_ID_FILES = ("frame_image_id", "colorframeprojector_image_id", "image_id", "condition_hash")
IMAGE_CLASS_FILES = ("frame_image_class", "colorframeprojector_image_class", "image_class")
# What stands where there is no id. A 0 may be an id as well: it is one where all its trials show one image.
_BLANK = frozenset(
    {"", "none", "nan", "null", "nil", "na", "n/a", "nat", "unknown", "undefined", "-", "?", "-1"}
)
_MAYBE_BLANK = "0"
_CHUNK_TRIALS = 256


@dataclass(frozen=True)
class _Label:
    """An id as a file gives it: within one file and one class of stimuli."""

    source: str
    stimulus_class: str
    word: str

    def described(self) -> str:
        shown = f"{self.word!r}" + (f" of class {self.stimulus_class!r}" if self.stimulus_class else "")
        return f"{shown} in {self.source}.npy"


def read_image_ids(
    root: Path, images: Trials, used: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Read which image every trial showed; trials with equal id are repeats.

    The pixels decide: trials that showed equal pixels are repeats of one image, whatever the ids say, and trials
    without an id are told apart by their pixels. The ids of `IMAGE_ID_FILES` (of each trial the first that is not
    blank, within its image class, `IMAGE_CLASS_FILES`) name the images, and are refused where they contradict the
    pixels. Reads the images of the trials that are used once.

    Parameters
    ----------
    root : Path
        Folder of the session.
    images : Trials
        Its images, without behaviour.
    used : ndarray of bool, shape (n_trials,)
        Trials of the tiers train, validation and test. Of others nothing is read and nothing is checked.

    Returns
    -------
    ids : ndarray of int64, shape (n_trials,)
        The number that the file gives, where one file of numbers of one class names the image; else the first 63
        bits of a sha256. Unused trials without an id have negative numbers, each its own.
    notes : tuple of str
        What the registrant should know: trials without id, images that have several.

    Raises
    ------
    DatasetError
        If trials with one id showed different images, or a file does not fit.
    """
    labels, numbers = _labels(root, len(images))
    pixels = _content_ids(images, used)
    shown: dict[
        _Label, dict[int, int]
    ] = {}  # of each label: the images that it stood for, and the first trial of each
    for trial in np.flatnonzero(used).tolist():
        label = labels[trial]
        if label is not None:
            shown.setdefault(label, {}).setdefault(int(pixels[trial]), trial)
    _check_labels(root, shown, labels, used)
    blank = {label for label, contents in shown.items() if len(contents) > 1}
    labels = [None if label in blank else label for label in labels]
    ids = np.empty(len(images), dtype=np.int64)
    name_of: dict[int, _Label] = {}
    several: dict[int, tuple[_Label, _Label]] = {}
    for trial in np.flatnonzero(used).tolist():
        label, content = labels[trial], int(pixels[trial])
        if label is not None and name_of.setdefault(content, label) != label:
            several.setdefault(content, (name_of[content], label))
    for trial in range(len(images)):
        label = name_of.get(int(pixels[trial])) if used[trial] else labels[trial]
        if label is None:
            ids[trial] = pixels[trial]
        else:
            ids[trial] = int(label.word) if numbers else _label_id(label)
    return ids, _notes(root, labels, used, several)


def _labels(root: Path, n_trials: int) -> tuple[list[_Label | None], bool]:
    """The id of every trial, None where it has none; and whether all are numbers of one file and one class."""
    folder = root / "meta" / "trials"
    names = [name for name in IMAGE_ID_FILES if (folder / f"{name}.npy").exists()]
    labels: list[_Label | None] = [None] * n_trials
    numeric = True
    for name in names:
        path = folder / f"{name}.npy"
        words, are_numbers = _words(path, n_trials)
        numeric = numeric and are_numbers
        classes = _classes(folder, name, n_trials)
        for trial, word in enumerate(words):
            if labels[trial] is None and not _is_blank(word):
                labels[trial] = _Label(name, classes[trial], word)
    kinds = {(label.source, label.stimulus_class) for label in labels if label is not None}
    one_kind = len(kinds) <= 1
    if one_kind:  # one class is no part of an id
        labels = [None if label is None else _Label(label.source, "", label.word) for label in labels]
    return labels, numeric and one_kind


def _words(path: Path, n_trials: int) -> tuple[list[str], bool]:
    """The values of a file as words, '' where a number is NaN; and whether they are numbers."""
    values = column(path, n_trials, "trial")
    if values.dtype.kind != "f":
        fits = values.dtype.kind in "iu" and (values.size == 0 or int(values.max()) < 2**63)
        return [word.strip() for word in text(values, path).tolist()], fits
    known = ~np.isnan(values)
    words = np.full(n_trials, "", dtype=object)
    if known.any():
        words[known] = integers(values[known], path).astype(np.str_)
    return words.tolist(), True


def _classes(folder: Path, name: str, n_trials: int) -> list[str]:
    """The stimulus class of every trial, '' where none is known: by the file that belongs to the ids, else any."""
    belonging = name.replace("_id", "_class")
    known = [one for one in (belonging, *IMAGE_CLASS_FILES) if (folder / f"{one}.npy").exists()]
    if not known:
        return [""] * n_trials
    return _words(folder / f"{known[0]}.npy", n_trials)[0]


def _is_blank(word: str) -> bool:
    return word.casefold() in _BLANK


def _content_ids(images: Trials, used: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Identity of every used trial's image by its pixels; of others a negative number of their own."""
    ids = -1 - np.arange(len(images), dtype=np.int64)
    trials = np.flatnonzero(used).astype(np.int64)
    for start in range(0, len(trials), _CHUNK_TRIALS):
        chunk = trials[start : start + _CHUNK_TRIALS]
        for trial, image in zip(chunk.tolist(), images.read(chunk), strict=True):
            ids[trial] = content_id(np.ascontiguousarray(image).tobytes())
    return ids


def _label_id(label: _Label) -> int:
    return content_id("\x1f".join((label.source, label.stimulus_class, label.word)).encode())


def _check_labels(
    root: Path, shown: dict[_Label, dict[int, int]], labels: list[_Label | None], used: NDArray[np.bool_]
) -> None:
    wrong = {
        label: list(contents.values())
        for label, contents in shown.items()
        if len(contents) > 1 and label.word != _MAYBE_BLANK
    }
    if wrong:
        label, trials = next(iter(wrong.items()))
        n_trials = sum(use and one in wrong for one, use in zip(labels, used.tolist(), strict=True))
        raise DatasetError(
            f"{root}: trials with equal image ids should be repeats of one image, but trials {trials[0]} and"
            f" {trials[1]} have the id {label.described()} and show different pixels ({len(wrong)} ids, {n_trials}"
            " trials). Correct the ids; or remove that file, and images are told apart by their pixels; or give these"
            " trials the tier 'none'. Where images were moved or masked in each trial (for gaze), store them as drawn."
        )


def _notes(
    root: Path,
    labels: list[_Label | None],
    used: NDArray[np.bool_],
    several: dict[int, tuple[_Label, _Label]],
) -> tuple[str, ...]:
    notes = []
    n_used = int(used.sum())
    n_blank = sum(label is None for label, use in zip(labels, used.tolist(), strict=True) if use)
    if n_blank > 0 and any(label is not None for label in labels):
        notes.append(
            f"session {root.name!r}: {n_blank} of {n_used} trials have no image id (blank, or one for different images)"
            "; their images are told apart by their pixels"
        )
    if several:
        one, other = next(iter(several.values()))
        notes.append(
            f"session {root.name!r}: {len(several)} images have several ids (the first: {one.described()} and"
            f" {other.described()}) and equal pixels; each counts as one image"
        )
    return tuple(notes)
