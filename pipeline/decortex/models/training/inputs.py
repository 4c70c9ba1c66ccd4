"""What a training run reads (images, or maps of a core that stays as it is) and is refused for. No step is made."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from decortex.data import Recordings
from decortex.errors import ConfigError, DatasetError, InputError
from decortex.models.network import Geometry, Network
from decortex.models.training.batches import Batches, TierBatches
from decortex.models.training.clips import ClipBatches
from decortex.models.training.config import TrainingConfig
from decortex.models.training.feature_cache import MapMemory

_VALIDATION_BATCH = 64


def check_run(network: Network, recordings: Recordings, config: TrainingConfig, *, with_term: bool) -> None:
    """Refuse recordings of other neurons, and a configuration that does not fit the network.

    Raises
    ------
    InputError
        If the recordings are not those that the network was built for.
    ConfigError
        If a penalty does not fit the network, or a term would have nothing to move.
    """
    found = Geometry.of(recordings)
    if found != network.geometry:
        raise InputError(
            f"the network was built for {_summary(network.geometry)}, but the recordings are"
            f" {_summary(found)}."
            " Build a network for these recordings, or give it its own."
        )
    if config.feature_log_norm:
        network.penalty_scales()  # says what to do where there are none
    if config.input_laplace and network.config.n_orientations is not None:
        raise ConfigError(
            "input_laplace smooths kernels on pixels; a rotation-equivariant core turns its own."
        )
    if with_term and config.trains == "core":
        raise ConfigError(
            "trains='core' keeps the readout, so a term on its embedding has nothing to move."
            " Use trains='readout' or 'both'."
        )


class RunInputs:
    """Training and validation trials of a run.

    Parameters
    ----------
    network : Network
        On the device of the run; put into evaluation mode.
    recordings : Recordings
        The recordings it was built for.
    config : TrainingConfig
        What trains, batch size, shift and memory.
    shows_images : bool
        Whether the run has a prediction loss.
    memory : MapMemory, optional
        Maps that were computed before are taken from there, and left there.
    device : torch.device
        Of the run.

    Attributes
    ----------
    training, validation : Batches
        Of images or clips, or of maps where ``trains_on_maps`` or ``validates_on_maps``.

    Raises
    ------
    DatasetError
        If a session has no training or validation trials, or no neuron's responses vary over the latter.
    """

    def __init__(
        self,
        network: Network,
        recordings: Recordings,
        config: TrainingConfig,
        *,
        shows_images: bool,
        memory: MapMemory | None,
        device: torch.device,
    ) -> None:
        self._network, self._device = network, device
        cache = config.max_cache_bytes
        on_maps = _tiers_on_maps(network, recordings, config, shows_images=shows_images)
        self.trains_on_maps, self.validates_on_maps = "train" in on_maps, "validation" in on_maps
        self.training = tier_batches(
            network,
            recordings,
            "train",
            batch_size=config.batch_size,
            window=config.window,
            max_cache_bytes=cache if shows_images and not self.trains_on_maps else 0,
        )
        self.validation = tier_batches(
            network,
            recordings,
            "validation",
            batch_size=_VALIDATION_BATCH,
            max_cache_bytes=0 if self.validates_on_maps else cache,
        )
        if all(not bool((one != one[0]).any()) for one in self.validation.responses):
            raise DatasetError(
                "no neuron's responses vary over the validation trials: there is nothing to choose an"
                " epoch by. Give the validation tier more trials."
            )
        self._keep_maps(recordings, MapMemory(0) if memory is None else memory)

    def _keep_maps(self, recordings: Recordings, memory: MapMemory) -> None:
        """Put maps in the place of the images of the tiers that are read as maps."""
        images = [session.images for session in recordings.sessions]
        self._network.eval()
        for batches, kept in (
            (self.validation, self.validates_on_maps),
            (self.training, self.trains_on_maps),
        ):
            if kept and isinstance(batches, TierBatches):
                compute = partial(batches.collect, self._maps_without_gradient, self._network.map_shape)
                batches.keep_inputs(memory.recall(self._network, images, batches.trials, compute))

    @torch.no_grad()
    def _maps_without_gradient(self, images: Tensor) -> Tensor:
        return self._network.maps(images.to(self._device)).cpu()


def tier_batches(
    network: Network,
    recordings: Recordings,
    tier: str,
    *,
    batch_size: int,
    max_cache_bytes: int,
    window: int | None = None,
) -> Batches:
    """Batches of one tier for a network: of images, or of windows of clips that its core can predict.

    Parameters
    ----------
    network : Network
        Of images or of movies.
    recordings : Recordings
        Of the same.
    tier : str
        'train', 'validation' or 'test'.
    batch_size : int
        Images or windows per batch.
    max_cache_bytes : int
        Images or clips up to this size are kept in memory.
    window : int, optional
        Of movies: frames of a window; None: as many as the shortest clip has.

    Raises
    ------
    ConfigError
        If a window is asked for that images do not have.
    DatasetError
        If a session has no trial in the tier, or a clip is too short.
    """
    core = network.config.space_time
    if core is not None:
        return ClipBatches(
            recordings, tier, core, window=window, batch_size=batch_size, max_cache_bytes=max_cache_bytes
        )
    if window is not None:
        raise ConfigError(f"a window of {window} frames was asked for, but the recordings show images.")
    return TierBatches(recordings, tier, batch_size=batch_size, max_cache_bytes=max_cache_bytes)


def _tiers_on_maps(
    network: Network, recordings: Recordings, config: TrainingConfig, *, shows_images: bool
) -> set[str]:
    """Tiers whose maps are computed once: where the core stays as it is and they fit in memory."""
    if network.is_video or (config.trains != "readout" and shows_images):
        return set()  # windows of clips differ from epoch to epoch
    unshifted = shows_images and config.shift == 0
    tiers = {"validation", "train"} if unshifted else {"validation"}
    n_trials = sum(len(session.trials(tier)) for session in recordings.sessions for tier in tiers)
    needed = n_trials * math.prod(network.map_shape) * 4
    return tiers if needed <= config.max_cache_bytes else set()


def _summary(geometry: Geometry) -> str:
    sessions = ", ".join(f"{one.name} ({one.n_neurons} neurons)" for one in geometry.sessions)
    rate = "" if geometry.frame_rate is None else f" at {geometry.frame_rate:g} Hz"
    return (
        f"sessions {sessions}, images {geometry.image_shape}{rate}, order {geometry.neuron_order_sha256[:8]}"
    )
