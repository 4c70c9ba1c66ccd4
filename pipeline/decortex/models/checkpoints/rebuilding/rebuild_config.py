"""What a published network's tensors do not tell, and what the published ones were built with. No tensors here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from decortex.config import Config
from decortex.models.checkpoints.layouts import Masks
from decortex.models.cores import Nonlinearity
from decortex.models.network_config import Output

LARGEST_SIDE = 65535
_Side = Annotated[int, Field(ge=1, le=LARGEST_SIDE)]
_PerLayer = tuple[Annotated[int, Field(ge=0, le=255)], ...]


class VideoOptions(Config):
    """What the tensors of a published network of movies do not tell; layers from the movie upwards."""

    frame_rate: float = Field(gt=0, le=10000, description="frames per second that it was trained at, Hz")
    padding: _PerLayer | None = Field(
        default=None, description="zeros around the frames of each layer's input, in space; null: none"
    )
    time_padding: _PerLayer | None = Field(
        default=None,
        description="zeros at both ends of each layer's input, in time; above 0 the core sees as many frames of the"
        " future; null: none",
    )
    late_padding: _PerLayer | None = Field(
        default=None,
        description="of openretina's 'separable' layers that were built with a number in place of 'same': their"
        " temporal convolution pads in space once more, so that maps grow; null: none",
    )
    stride: _PerLayer | None = Field(default=None, description="stride in space of each layer; null: 1")
    dilation: _PerLayer | None = Field(
        default=None, description="pixels between the taps of each layer's kernel; null: 1"
    )
    time_dilation: _PerLayer | None = Field(
        default=None, description="frames between the taps of each layer's kernel; null: 1"
    )
    nonlinearity: Nonlinearity = Field(
        default="elu", description="behind every layer's norm ('hidden_nonlinearities' of neuralpredictors)"
    )
    final_nonlinearity: bool = Field(
        default=True,
        description="whether it stands behind the last layer too (neuralpredictors leaves it out of cores of one layer"
        " alone, with final_nonlin=False)",
    )
    frames: _PerLayer | None = Field(
        default=None, description="of openretina's 'custom_separable' layers: frames that each kernel spans"
    )
    positive_features: bool = Field(
        default=False,
        description="openretina: readouts built with positive=True, whose features count from 0",
    )
    mean_scale: float = Field(default=1.0, description="openretina: gaussian_mean_scale of the readouts")
    var_scale: float = Field(default=1.0, description="openretina: gaussian_var_scale of the readouts")
    warm_up: int = Field(
        default=0,
        ge=0,
        le=10000,
        description="frames at the start of every clip that are not scored; for openretina's cut_first_n_frames the"
        " core's lag and as many",
    )

    def per_layer(self) -> dict[str, tuple[int, ...] | None]:
        """Options that have a value per layer."""
        return {
            "padding": self.padding,
            "time_padding": self.time_padding,
            "late_padding": self.late_padding,
            "stride": self.stride,
            "dilation": self.dilation,
            "time_dilation": self.time_dilation,
            "frames": self.frames,
        }

    def of_layer(self, number: int, n_layers: int) -> dict[str, int | str]:
        """Options of one layer that were given, by the names of `SpaceTimeLayerConfig`."""
        given = {name: values for name, values in self.per_layer().items() if name != "frames"}
        is_linear = number == n_layers - 1 and not self.final_nonlinearity
        return {
            **{name: values[number] for name, values in given.items() if values is not None},
            "nonlinearity": "linear" if is_linear else self.nonlinearity,
        }


class RebuildConfig(Config):
    """What a published network's tensors do not tell, as its registrant does."""

    core: dict[str, Any] = Field(
        default_factory=dict,
        description="options of the stacked core by neuralpredictors' names; those that the tensors tell as well"
        " are compared with them",
    )
    image_shape: tuple[_Side, _Side, _Side] | None = Field(
        default=None, description="(channels, height, width); null: that of the dataset's images"
    )
    output: Output = Field(default="elu", description="from drive to response; 'elu' adds 1")
    elu_offset: float = Field(default=0.0, description="added to the drive")
    pixel_mean: tuple[float, ...] | None = Field(
        default=None, description="subtracted from each image channel; null: nothing"
    )
    pixel_std: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        default=None, description="divides each image channel; null: nothing"
    )
    final_tanh: bool = Field(default=True, description="whether a grid predictor ends in a tanh")
    masks: Masks | None = Field(
        default=None, description="of factorised readouts: 'normalised' (normalize=True) or 'free'"
    )
    pool_kernel: int | None = Field(
        default=None, ge=1, le=16, description="of pooled point readouts: side and stride of pooling"
    )
    video: VideoOptions | None = Field(
        default=None, description="of networks of movies, in place of 'core'; null: a network of images"
    )

    @model_validator(mode="after")
    def _is_one_kind(self) -> RebuildConfig:
        if self.video is not None and self.core:
            raise ValueError(
                "'core' is of networks of images, 'video' of networks of movies: give one of them"
            )
        return self

    def resolved(self) -> dict[str, Any]:
        """All parameters; without 'video' for networks of images."""
        plain = super().resolved()
        if self.video is None:
            del plain["video"]
        return plain


# `model_config` of the notebooks that trained the two checkpoints of Sensorium 2022 (Willeke et al. 2022), and
# the defaults of `stacked_core_full_gauss_readout` that they leave.
_SENSORIUM_CORE: dict[str, Any] = {
    "pad_input": False,
    "stack": -1,
    "layers": 4,
    "input_kern": 9,
    "hidden_kern": 7,
    "hidden_channels": 64,
    "depth_separable": True,
    "bias": False,
    "momentum": 0.9,
    "batch_norm": True,
    "skip": 0,
    "hidden_dilation": 1,
    "hidden_padding": None,
    "stride": 1,
    "final_nonlinearity": True,
    "elu_shift": [0.0, 0.0],
    "linear": False,
}
PUBLISHED: dict[str, RebuildConfig] = {
    "sensorium": RebuildConfig(core=_SENSORIUM_CORE, image_shape=(1, 36, 64)),
    # image, pupil dilation and its derivative, running speed; then the pupil's x and y for the shifter
    "sensorium_plus": RebuildConfig(core=_SENSORIUM_CORE, image_shape=(6, 36, 64)),
}
