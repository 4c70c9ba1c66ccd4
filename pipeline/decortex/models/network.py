"""The predictive network: one shared core, one readout per session, everything it needs in its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from decortex.data import Recordings
from decortex.errors import CheckpointError, ConfigError, InputError
from decortex.models.checkpoints import check_extent
from decortex.models.cores import Core, EquivariantCore, SpaceTimeCore, Stacked2dCore, check_equivariance
from decortex.models.initialisation import training_statistics
from decortex.models.network_config import Geometry, NetworkConfig, SessionGeometry
from decortex.models.readouts import Readout, build_readout, build_shifter, with_pupil
from decortex.models.start import place_in_cortex, start_network

__all__ = ["CHECKPOINT_FORMAT", "Geometry", "Network", "NetworkConfig", "SessionGeometry"]

CHECKPOINT_FORMAT = "decortex-network-1"


class Network(nn.Module):
    """A core shared by all sessions and a readout for each.

    Use `Network.build` to start one for recordings and `Network.from_checkpoint` to rebuild one.

    Parameters
    ----------
    config : NetworkConfig
        Architecture.
    geometry : Geometry
        Images, sessions and neurons.

    Attributes
    ----------
    pixel_mean, pixel_std : Tensor, shape (1, n_channels, 1, 1)
        Statistics of the training images; images are z-scored with them.
    response_scale : Tensor, shape (n_neurons,)
        Factor from the network's unit to the recordings' own.
    """

    pixel_mean: Tensor
    pixel_std: Tensor
    response_scale: Tensor

    def __init__(self, config: NetworkConfig, geometry: Geometry) -> None:
        super().__init__()
        if (config.space_time is None) != (geometry.frame_rate is None):
            shown = "images" if geometry.frame_rate is None else f"movies at {geometry.frame_rate:g} Hz"
            raise ConfigError(
                f"the recordings show {shown}, and the network's core is one of"
                f" {'images' if config.space_time is None else 'movies'}: movies need 'space_time', images 'layers' or"
                " 'stacked'."
            )
        self.config = config
        self.geometry = geometry
        n_channels, height, width = geometry.image_shape
        rows, columns = config.map_geometry(height), config.map_geometry(width)
        self.map_shape = (config.n_features + self.n_pupil_channels, rows.size, columns.size)
        self.map_rows, self.map_columns = rows, columns
        with torch.random.fork_rng(devices=[]):  # modules draw their first values from the global stream
            self.core = _build_core(config, (n_channels - self.n_pupil_channels, height, width))
            read = (config.n_features, rows.size, columns.size)
            self.readouts = nn.ModuleList(
                build_readout(config.readout, session.n_neurons, read) for session in geometry.sessions
            )
            self.shifters = nn.ModuleList(
                [] if config.shifter is None else [build_shifter(config.shifter) for _ in geometry.sessions]
            )
        self.session_names = [session.name for session in geometry.sessions]
        self._index = {name: index for index, name in enumerate(self.session_names)}
        ends = np.cumsum([session.n_neurons for session in geometry.sessions]).tolist()
        self.slices = {
            session.name: slice(end - session.n_neurons, end)
            for session, end in zip(geometry.sessions, ends, strict=True)
        }
        self.register_buffer("pixel_mean", torch.zeros(1, n_channels, 1, 1))
        self.register_buffer("pixel_std", torch.ones(1, n_channels, 1, 1))
        self.register_buffer("response_scale", torch.ones(ends[-1]))

    @classmethod
    def build(cls, config: NetworkConfig, recordings: Recordings, *, seed: int) -> Network:
        """Start a network for recordings: random core and features, the rest from the training trials.

        Parameters
        ----------
        config : NetworkConfig
            Architecture.
        recordings : Recordings
            Their training trials give pixel statistics, response scales, biases and readout positions.
        seed : int
            Seed of the random start; equal seeds give equal networks, bit for bit, on a CPU.

        Returns
        -------
        Network
            On the CPU, in training mode.

        Raises
        ------
        ConfigError
            If the core leaves nothing of the images.
        DatasetError
            If the training trials are too few, constant or not finite.
        """
        network = cls(config, Geometry.of(recordings))
        statistics = training_statistics(recordings, with_peaks=config.readout.start == "correlation")
        start_network(network, statistics, torch.Generator().manual_seed(seed))
        place_in_cortex(network, recordings)
        return network

    @classmethod
    def from_checkpoint(cls, checkpoint: Mapping[str, Any]) -> Network:
        """Rebuild a network from what `checkpoint` returned (``torch.load(path, weights_only=True)``).

        Raises
        ------
        CheckpointError
            If it is not a checkpoint of this project, or its state does not fit its configuration.
        """
        if not isinstance(checkpoint, Mapping) or checkpoint.get("format") != CHECKPOINT_FORMAT:
            raise CheckpointError(
                f"expected a checkpoint with format {CHECKPOINT_FORMAT!r} as Network.checkpoint() writes it,"
                f" got {_describe(checkpoint)}. For other projects' checkpoints use"
                " decortex.models.checkpoints.read.read_checkpoint, which reads the embedding alone."
            )
        try:
            config = NetworkConfig.from_params(checkpoint["config"])
            geometry = Geometry.from_params(checkpoint["geometry"])
            with torch.device("meta"):  # shapes without memory
                check_extent(cls(config, geometry), checkpoint["state_dict"])
            network = cls(config, geometry)
            network.load_state_dict(checkpoint["state_dict"])
        except (KeyError, ConfigError, RuntimeError) as error:
            raise CheckpointError(
                f"the checkpoint says {CHECKPOINT_FORMAT!r} but cannot be rebuilt: {error}. It was changed"
                " or cut short after it was written; train again or take the original file."
            ) from error
        return network

    def checkpoint(self) -> dict[str, Any]:
        """Everything to rebuild this network, loadable with ``torch.load(weights_only=True)``.

        Returns
        -------
        dict
            ``format``, ``config``, ``geometry`` (plain values) and ``state_dict`` (copies, on the CPU).
        """
        return {
            "format": CHECKPOINT_FORMAT,
            "config": self.config.resolved(),
            "geometry": self.geometry.resolved(),
            "state_dict": {key: value.detach().cpu().clone() for key, value in self.state_dict().items()},
        }

    @property
    def is_video(self) -> bool:
        """Whether the network takes clips and predicts frame by frame."""
        return self.config.space_time is not None

    @property
    def lag(self) -> int:
        """Frames at the start of a clip that nothing is predicted for; 0 for images."""
        return 0 if self.config.space_time is None else self.config.space_time.lag

    @property
    def n_orientations(self) -> int:
        """Orientations of every feature; 1 for a plain core."""
        return self.config.n_orientations or 1

    @property
    def n_pupil_channels(self) -> int:
        """Image channels that hold the pupil's position, the last ones; the core does not see them."""
        return 0 if self.config.shifter is None else 2

    @property
    def n_neurons(self) -> int:
        """Neurons over all sessions."""
        return len(self.response_scale)

    def readout(self, session: str) -> Readout:
        """Return the readout of one session."""
        readout = self.readouts[self.session_index(session)]
        assert isinstance(readout, Readout)
        return readout

    def session_index(self, session: str) -> int:
        """Return the place of a session.

        Raises
        ------
        InputError
            If the network has no such session.
        """
        if session not in self._index:
            raise InputError(
                f"the network has no session {session!r}; it was built for {', '.join(self.session_names)}."
            )
        return self._index[session]

    def forward(self, images: Tensor, session: str) -> Tensor:
        """Predict the responses of one session.

        Parameters
        ----------
        images : Tensor, shape (batch, n_channels, height, width)
            In the recordings' own pixel units; of movies clips, (batch, n_channels, n_frames, height, width).
        session : str
            Name of the session.

        Returns
        -------
        Tensor, shape (batch, n_neurons of the session)
            In the recordings' own response units; of clips, (batch, n_frames - lag, n_neurons), which belong to the
            last frames.
        """
        maps = self.maps(images)
        predicted = self.forward_maps(maps, [(session, len(maps))])[0]
        return predicted.reshape(len(images), -1, predicted.shape[1]) if self.is_video else predicted

    def forward_mixed(self, images: Tensor, parts: Sequence[tuple[str, int]]) -> list[Tensor]:
        """Predict for images of several sessions with one pass through the core.

        Parameters
        ----------
        images : Tensor, shape (batch, n_channels, height, width), or clips
            Sorted by session.
        parts : sequence of (session name, number of images)
            How the batch divides, in order; of clips, the number of frames that are predicted.

        Returns
        -------
        list of Tensor, shapes (number of images, n_neurons of the session)
            One for each part, in the recordings' own response units; of clips, a row per frame, clip after clip.
        """
        return self.forward_maps(self.maps(images), parts)

    def maps(self, images: Tensor) -> Tensor:
        """Feature maps, (batch, n_features, rows, columns), of images in the recordings' pixel units.

        Of clips, maps are those of each frame that is predicted, clip after clip: readouts know no time. Where a
        shifter moves the readouts, the pupil's x and y are the last two maps.

        Raises
        ------
        InputError
            If the images are of another shape, or clips are no longer than the lag.
        """
        if self.is_video:
            return self._maps_of_clips(images)
        if tuple(images.shape[1:]) != self.geometry.image_shape:
            raise InputError(
                f"the network takes images of shape {self.geometry.image_shape} (channels, height, width),"
                f" got {tuple(images.shape[1:])}."
            )
        standard = (images - self.pixel_mean) / self.pixel_std
        if not self.n_pupil_channels:
            maps: Tensor = self.core(standard)
            return maps
        return with_pupil(self.core(standard[:, :-2]), standard[:, -2:, 0, 0])

    def _maps_of_clips(self, clips: Tensor) -> Tensor:
        channels, height, width = self.geometry.image_shape
        if clips.ndim != 5 or (clips.shape[1], *clips.shape[3:]) != (channels, height, width):
            raise InputError(
                f"the network takes clips of shape ({channels}, n_frames, {height}, {width}) (channels, frames, height,"
                f" width), got {tuple(clips.shape[1:])}."
            )
        if clips.shape[2] <= self.lag:
            raise InputError(
                f"clips should be longer than the core's lag of {self.lag} frames, these have {clips.shape[2]}."
            )
        standard = (clips - self.pixel_mean[:, :, None]) / self.pixel_std[:, :, None]
        if not self.n_pupil_channels:
            frames: Tensor = self.core(standard).transpose(1, 2).flatten(0, 1)
            return frames
        maps = self.core(standard[:, :-2]).transpose(1, 2).flatten(0, 1)
        pupil = standard[:, -2:, self.lag :, 0, 0].transpose(1, 2).flatten(0, 1)
        return with_pupil(maps, pupil)

    def forward_maps(self, maps: Tensor, parts: Sequence[tuple[str, int]]) -> list[Tensor]:
        """Predict from feature maps; see `forward_mixed`."""
        pieces = torch.split(maps, [n for _, n in parts])
        return [
            self.respond(self.drive(piece, session), session)
            for piece, (session, _) in zip(pieces, parts, strict=True)
        ]

    def drive(self, maps: Tensor, session: str) -> Tensor:
        """Drive of one session's neurons, (batch, n_neurons), from feature maps."""
        readout = self.readout(session)
        if not self.n_pupil_channels:
            drive: Tensor = readout(maps)
            return drive
        shift = self.shifters[self.session_index(session)](maps[:, -2:, 0, 0])
        shifted: Tensor = readout(maps[:, :-2], shift)
        return shifted

    def respond(self, drive: Tensor, session: str) -> Tensor:
        """Responses to drives of one session's neurons, (batch, n_neurons), in the recordings' own units."""
        return self._output(drive) * self.response_scale[self.slices[session]]

    def embedding(self) -> Tensor:
        """Readout features of all neurons, (n_neurons, n_features), sessions in order; differentiable."""
        return torch.cat([self.readout(name).features for name in self.session_names])

    def penalty_scales(self) -> Tensor:
        """Learned scales of the adaptive log-norm penalty, (n_neurons,), sessions in order.

        Raises
        ------
        ConfigError
            If the readouts were built without (``adaptive_penalty``).
        """
        if not self.config.readout.adaptive_penalty:
            raise ConfigError("the adaptive log-norm penalty needs a readout with adaptive_penalty=True.")
        return torch.cat([self.readout(name).get_parameter("penalty_scale") for name in self.session_names])

    def positions(self) -> NDArray[np.float64]:
        """Where on the image each neuron reads, (n_neurons, 2), x then y in pixels (0 the first pixel)."""
        with torch.no_grad():
            centre = torch.cat([self.readout(name).centre() for name in self.session_names]).cpu().double()
        pixels = [self.map_columns.to_pixels(centre[:, 0]), self.map_rows.to_pixels(centre[:, 1])]
        return torch.stack(pixels, dim=1).numpy()

    def _output(self, drive: Tensor) -> Tensor:
        if self.config.output == "softplus":
            return functional.softplus(drive)
        if self.config.output == "elu":
            return functional.elu(drive) + 1.0
        return drive


def _build_core(
    config: NetworkConfig, image_shape: tuple[int, int, int]
) -> Core | EquivariantCore | Stacked2dCore | SpaceTimeCore:
    n_channels, height, width = image_shape
    if config.space_time is not None:
        if config.n_orientations is not None:
            check_equivariance(config.space_time.layers, (height, width))
        return SpaceTimeCore(
            n_channels, config.space_time, n_orientations=config.n_orientations, basis=config.kernel_basis
        )
    if config.stacked is not None:
        return Stacked2dCore(n_channels, config.stacked)
    if config.n_orientations is None:
        return Core(n_channels, config.layers)
    check_equivariance(config.layers, (height, width))
    return EquivariantCore(n_channels, config.layers, config.n_orientations, config.kernel_basis)


def _describe(checkpoint: object) -> str:
    if not isinstance(checkpoint, Mapping):
        return f"a {type(checkpoint).__name__}"
    return f"a mapping with the keys {sorted(map(str, checkpoint))[:8]}"
