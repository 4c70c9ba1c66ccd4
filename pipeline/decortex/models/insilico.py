"""Recordings of a network without recordings: its own responses to natural images, as targets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from decortex.config import Config
from decortex.data import InMemoryTrials, Recordings, Session
from decortex.data.simulation import (
    TEST_STRIP,
    TRAINING_STRIP,
    Strip,
    check_fit,
    natural_clips,
    natural_crops,
)
from decortex.errors import InputError
from decortex.models.network import Network
from decortex.models.network_config import SessionGeometry
from decortex.models.predict import frames_skipped, predictions

# Raised when the same seed would give other images or responses.
OWN_RESPONSES_VERSION = 1


class OwnResponsesConfig(Config):
    """Which natural images a network is shown to record its own responses."""

    n_train: int = Field(default=1500, ge=2, le=100_000, description="training images")
    n_validation: int = Field(default=200, ge=2, le=100_000, description="validation images")
    n_test: int = Field(
        default=200, ge=2, le=100_000, description="test images, from other parts of the photographs"
    )
    max_scale: float = Field(
        default=1.5, ge=1, le=8, description="pixels of a photograph that a pixel spans, at most"
    )
    n_frames: int | None = Field(
        default=None, ge=2, le=1000, description="of networks of movies: frames per clip; null: images"
    )

    def resolved(self) -> dict[str, Any]:
        """All parameters; without 'n_frames' for images."""
        plain = super().resolved()
        if self.n_frames is None:
            del plain["n_frames"]
        return plain


def check_images(config: OwnResponsesConfig, size: tuple[int, int]) -> None:
    """Check that crops of this height and width can be cut from the photographs.

    Raises
    ------
    InputError
        If the largest does not fit.
    """
    for strip in (TRAINING_STRIP, TEST_STRIP):
        check_fit(strip, size=max(size), max_scale=config.max_scale)


def own_recordings(
    network: Network,
    config: OwnResponsesConfig,
    *,
    seed: int,
    content_sha256: str,
    cortical: NDArray[np.floating] | None = None,
) -> Recordings:
    """Show natural images to a network and take its responses as recorded.

    A score on them says how close another network is to this one: **against the original model, never against the
    brain**.

    Parameters
    ----------
    network : Network
        Its responses are deterministic; it is not changed.
    config : OwnResponsesConfig
        Images: rotated, scaled crops of two photographs; test images come from a part that no training image shows.
        The first channel of an image holds the crop, z-scored in the network's pixel unit; further ones (behaviour,
        the pupil's position) stand at their mean.
    seed : int
        Seed of the crops; equal seeds give equal images.
    content_sha256 : str
        Digest of network and images.
    cortical : ndarray, shape (n_neurons, 2 or 3), optional
        Where the neurons lie.

    Returns
    -------
    Recordings
        A session of the network's for each; every image is shown once.
    """
    if network.is_video != (config.n_frames is not None):
        raise InputError(
            f"the network takes {'movies' if network.is_video else 'images'}: its own responses are to"
            f" {'clips, whose length n_frames says' if network.is_video else 'images, which have no n_frames'}."
        )
    if config.n_frames is not None:
        return _own_clips(
            network, config, config.n_frames, seed=seed, content_sha256=content_sha256, cortical=cortical
        )
    n_channels, height, width = network.geometry.image_shape
    images = _images(config, (height, width), seed)
    scale, mean = network.pixel_std.cpu().numpy(), network.pixel_mean.cpu().numpy()
    shown = np.zeros((len(images), n_channels, height, width), dtype=np.float32)
    shown[:, 0] = images
    shown = (shown * scale + mean).astype(np.float32)
    counts = {"train": config.n_train, "validation": config.n_validation, "test": config.n_test}
    tiers = np.repeat(list(counts), list(counts.values()))
    sessions = []
    for one in network.geometry.sessions:
        neurons = _neurons(network, one, cortical)
        empty = np.zeros((len(shown), one.n_neurons), dtype=np.float32)
        session = Session(
            name=one.name,
            images=InMemoryTrials(shown),
            responses=InMemoryTrials(empty),
            tiers=tiers,
            image_ids=np.arange(len(shown), dtype=np.int64),
            neurons=neurons,
        )
        answered = predictions(network, session, np.arange(len(shown), dtype=np.int64), device="cpu")
        _check_positive(answered, one.name)
        sessions.append(
            Session(
                name=one.name,
                images=session.images,
                responses=InMemoryTrials(answered),
                tiers=tiers,
                image_ids=session.image_ids,
                neurons=neurons,
            )
        )
    return Recordings(sessions, network.geometry.image_shape, content_sha256=content_sha256)


def _own_clips(
    network: Network,
    config: OwnResponsesConfig,
    n_frames: int,
    *,
    seed: int,
    content_sha256: str,
    cortical: NDArray[np.floating] | None,
) -> Recordings:
    """Show natural clips; what the network says nothing of, at their beginning, is cut off clip and responses."""
    skipped = frames_skipped(network)
    clips = _clips(config, n_frames + skipped, network.geometry.image_shape[1:], seed)
    n_channels = network.geometry.image_shape[0]
    shown = np.zeros((len(clips), n_channels, *clips.shape[1:]), dtype=np.float32)
    shown[:, 0] = clips
    scale, mean = (one.cpu().numpy()[:, :, None] for one in (network.pixel_std, network.pixel_mean))
    shown = (shown * scale + mean).astype(np.float32)
    counts = {"train": config.n_train, "validation": config.n_validation, "test": config.n_test}
    every = np.arange(len(shown), dtype=np.int64)
    sessions = []
    for one in network.geometry.sessions:
        session = Session(
            name=one.name,
            images=InMemoryTrials(shown),
            responses=InMemoryTrials(np.zeros((len(shown), 1, one.n_neurons), dtype=np.float32)),
            tiers=np.repeat(list(counts), list(counts.values())),
            image_ids=every,
            neurons=_neurons(network, one, cortical),
            n_frames=np.full(len(shown), n_frames + skipped, dtype=np.int64),
        )
        answered = predictions(network, session, every, device="cpu")
        _check_positive(answered, one.name)
        sessions.append(
            replace(
                session,
                images=InMemoryTrials(np.ascontiguousarray(shown[:, :, skipped:])),
                responses=InMemoryTrials(answered.reshape(len(shown), n_frames, -1)),
                n_frames=np.full(len(shown), n_frames, dtype=np.int64),
            )
        )
    return Recordings(
        sessions,
        network.geometry.image_shape,
        content_sha256=content_sha256,
        frame_rate=network.geometry.frame_rate,
    )


def _neurons(
    network: Network, session: SessionGeometry, cortical: NDArray[np.floating] | None
) -> pd.DataFrame:
    neurons = pd.DataFrame(
        {
            "session": session.name,
            "unit_id": np.arange(session.n_neurons),
            "animal": "",
            "scan": 0,
            "area": "",
        }
    )
    if cortical is None:
        return neurons
    own = cortical[network.slices[session.name]]
    return neurons.assign(**dict(zip("xyz", own.T.astype(np.float64), strict=False)))


def _check_positive(answered: NDArray[np.float32], session: str) -> None:
    if (answered < 0).any():
        raise InputError(
            f"the network answers with responses below zero in session {session!r}, which no loss here takes:"
            " its output must be positive (elu + 1, softplus)."
        )


def _clips(
    config: OwnResponsesConfig, n_frames: int, size: tuple[int, int], seed: int
) -> NDArray[np.float32]:
    """Natural clips of the movie's size, z-scored each: training and validation, then test."""
    height, width = size
    side = max(size)
    top, left = (side - height) // 2, (side - width) // 2

    def cut(n_clips: int, strip: Strip, stream: int) -> NDArray[np.float32]:
        rng = np.random.default_rng([seed, stream])
        clips = natural_clips(n_clips, n_frames, strip, size=side, max_scale=config.max_scale, rng=rng)
        inside = clips[:, :, top : top + height, left : left + width]
        spread = inside.std(axis=(1, 2, 3), keepdims=True)
        centred = inside - inside.mean(axis=(1, 2, 3), keepdims=True)
        standard: NDArray[np.float32] = np.round(centred / np.maximum(spread, 1e-3), 4).astype(np.float32)
        return standard

    seen = cut(config.n_train + config.n_validation, TRAINING_STRIP, 0)
    return np.concatenate([seen, cut(config.n_test, TEST_STRIP, 1)])


def _images(config: OwnResponsesConfig, size: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """Crops of the image's size, z-scored each: training and validation, then test."""
    height, width = size
    side = max(size)

    def cut(n_crops: int, strip: Strip, stream: int) -> NDArray[np.float32]:
        rng = np.random.default_rng([seed, stream])
        crops = natural_crops(n_crops, strip, size=side, max_scale=config.max_scale, rng=rng)
        top, left = (side - height) // 2, (side - width) // 2
        inside = crops[:, top : top + height, left : left + width]
        spread = inside.std(axis=(1, 2), keepdims=True)
        centred = inside - inside.mean(axis=(1, 2), keepdims=True)
        standard: NDArray[np.float32] = np.round(centred / np.maximum(spread, 1e-3), 4).astype(np.float32)
        return standard

    seen = cut(config.n_train + config.n_validation, TRAINING_STRIP, 0)
    return np.concatenate([seen, cut(config.n_test, TEST_STRIP, 1)])
