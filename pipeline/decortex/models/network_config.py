"""Architecture of a network and what it must know of its recordings, as configurations. No tensors here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from decortex.config import Config
from decortex.data import Recordings
from decortex.models.cores import (
    KernelBasis,
    LayerConfig,
    MapGeometry,
    SpaceTimeConfig,
    Stacked2dConfig,
    map_geometry,
)
from decortex.models.readouts import ReadoutConfig, ShifterConfig

Output = Literal["softplus", "elu", "linear"]


class NetworkConfig(Config):
    """Architecture and start of a predictive network."""

    layers: tuple[LayerConfig, ...] = Field(
        default=(),
        description="layers of the core, from the image up; none where 'stacked' or 'space_time' says what it is",
    )
    stacked: Stacked2dConfig | None = Field(
        default=None, description="neuralpredictors' stacked core by its own options, in place of layers"
    )
    n_orientations: int | None = Field(
        default=None,
        ge=4,
        le=64,
        multiple_of=4,
        description="rotations of a rotation-equivariant core; null: a plain core",
    )
    kernel_basis: KernelBasis = Field(
        default="pixels",
        description="kernels of a rotation-equivariant core: turned pixel grids, or steerable Hermite functions",
    )
    readout: ReadoutConfig = Field(default=ReadoutConfig(), description="how neurons read the core's maps")
    output: Output = Field(
        default="softplus", description="from drive to response: softplus, elu + 1, or the drive itself"
    )
    response_scale: Literal["mean", "std", "none"] = Field(
        default="mean",
        description="each neuron's output is multiplied by this statistic of its training responses",
    )
    shifter: ShifterConfig | None = Field(
        default=None,
        description="eye movements shift where neurons look: the last two image channels are the pupil's x and y",
    )
    space_time: SpaceTimeConfig | None = Field(
        default=None,
        description="a core of movies, in place of layers; the network then predicts frame by frame",
    )

    @model_validator(mode="after")
    def _belongs(self) -> NetworkConfig:
        given = [bool(self.layers), self.stacked is not None, self.space_time is not None]
        if sum(given) != 1:
            raise ValueError("a core is given by 'layers' (at least one), by 'stacked' or by 'space_time'")
        if self.stacked is not None and self.n_orientations is not None:
            raise ValueError(
                "n_orientations needs a core of 'layers' or 'space_time'; 'stacked' is a plain core"
            )
        if self.shifter is not None and not self.readout.reads_points:
            raise ValueError(f"a shifter moves points, but the readout is of kind {self.readout.kind!r}")
        return self

    def resolved(self) -> dict[str, Any]:
        """All parameters; without 'space_time' for networks of images, whose hash is what it was before movies."""
        plain = super().resolved()
        if self.space_time is None:
            del plain["space_time"]
        return plain

    @property
    def core_layers(self) -> tuple[LayerConfig, ...]:
        """Layers of the core, of images or of movies; none of a stacked one."""
        return self.layers if self.space_time is None else self.space_time.layers

    @property
    def n_features(self) -> int:
        """Channels of the core's maps."""
        if self.stacked is not None:
            return self.stacked.n_features
        return self.core_layers[-1].channels * (self.n_orientations or 1)

    def map_geometry(self, side: int) -> MapGeometry:
        """Follow one axis of the image, ``side`` pixels, to the core's maps."""
        if self.stacked is not None:
            return self.stacked.map_geometry(side)
        return map_geometry(self.core_layers, side)


class SessionGeometry(Config):
    """Name and number of neurons of one session."""

    name: str = Field(min_length=1, description="name of the session")
    n_neurons: int = Field(ge=1, description="its neurons")


class Geometry(Config):
    """What a network must know of its recordings to be rebuilt without them."""

    image_shape: tuple[int, int, int] = Field(description="(channels, height, width) of the images")
    sessions: tuple[SessionGeometry, ...] = Field(min_length=1, description="sessions in order")
    neuron_order_sha256: str = Field(description="digest of the neurons' identities in order")
    frame_rate: float | None = Field(
        default=None, gt=0, description="frames per second of movies, Hz; null: images"
    )

    def resolved(self) -> dict[str, Any]:
        """All of it; without 'frame_rate' for images, whose checkpoints are what they were before movies."""
        plain = super().resolved()
        if self.frame_rate is None:
            del plain["frame_rate"]
        return plain

    @classmethod
    def of(cls, recordings: Recordings) -> Geometry:
        """Take the geometry of recordings."""
        return cls(
            image_shape=recordings.image_shape,
            sessions=tuple(
                SessionGeometry(name=session.name, n_neurons=session.n_neurons)
                for session in recordings.sessions
            ),
            neuron_order_sha256=recordings.neuron_order_sha256,
            frame_rate=recordings.frame_rate,
        )
