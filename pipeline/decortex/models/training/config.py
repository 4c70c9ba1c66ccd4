"""How a network is trained or trained on, as a configuration. The loop is in `decortex.models.training.loop`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from decortex.config import Config


class TrainingConfig(Config):
    """How a network is trained or trained on."""

    trains: Literal["both", "readout", "core"] = Field(
        default="both", description="what is trained; a core that is not keeps its batch-norm statistics"
    )
    loss: Literal["poisson", "mse"] = Field(
        default="poisson",
        description="mean over images and neurons: Poisson, or squared error in units of the response scale",
    )
    optimiser: Literal["adam", "adamw"] = Field(default="adam", description="adamw decays weights apart")
    learning_rate: float = Field(default=8e-3, gt=0, le=1, description="peak rate")
    position_rate: float | None = Field(
        default=None, gt=0, le=1, description="peak rate of readout positions and widths; null: as the others"
    )
    schedule: Literal["one_cycle", "constant", "plateau"] = Field(
        default="one_cycle",
        description="rate rises and falls over max_epochs, stays, or falls to .3 of itself whenever the validation"
        " correlation has not risen for six epochs",
    )
    weight_decay: float = Field(default=0.0, ge=0, le=100, description="decay of the core's kernels")
    feature_weight_decay: float = Field(default=0.0, ge=0, le=100, description="decay of readout features")
    feature_l1: float = Field(
        default=0.0, ge=0, le=100, description="factor of the mean over neurons of the features' L1 norm"
    )
    feature_group_l1: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="factor of the mean over neurons of the sum over features of their norm over orientations"
        " (rotation-equivariant cores; for a plain core this is feature_l1)",
    )
    feature_log_norm: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        description="factor of the adaptive log-norm penalty: a learned scale a neuron weighs its L1 norm"
        " (Turishcheva et al. 2024); the core's last layer should have neither scale nor bias",
    )
    log_norm_width: float = Field(
        default=0.1, gt=0, le=10, description="how far those scales may lie from 1, in logarithms"
    )
    input_laplace: float = Field(
        default=0.0,
        ge=0,
        le=1e6,
        description="factor of the first kernels' roughness: mean squared Laplacian over mean squared weight",
    )
    gradient_clip: float | None = Field(
        default=None, gt=0, description="largest norm of the whole gradient; null: not clipped"
    )
    weight_average: float = Field(
        default=0.0, ge=0, lt=1, description="decay of the running average of weights that is kept; 0: none"
    )
    shift: int = Field(default=0, ge=0, le=32, description="training images shift by up to this many pixels")
    batch_size: int = Field(
        default=64, ge=1, le=65536, description="images (or clips) a batch, mixed over sessions"
    )
    max_epochs: int = Field(default=12, ge=1, le=10000, description="epochs at most")
    patience: int | None = Field(
        default=None, ge=1, description="stop after this many epochs without a better one; null: never"
    )
    keep: Literal["best", "last"] = Field(
        default="best", description="keep the epoch of the best validation correlation, or the last"
    )
    optimiser_state: Literal["new", "carried"] = Field(
        default="new",
        description="carried: go on with optimiser, rates and average of a training handed over after an epoch",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="of the core's and readout's products on a GPU; losses, weights and scores stay float32",
    )
    max_cache_bytes: int = Field(
        default=2 * 1024**3, ge=0, description="images up to this size are kept in memory, else streamed"
    )
    window: int | None = Field(
        default=None,
        ge=2,
        le=10000,
        description="of movies: frames of each clip that an epoch trains on, from a random one on; null: as many as the"
        " shortest clip has",
    )

    def resolved(self) -> dict[str, Any]:
        """All parameters as plain JSON values; ``window`` and ``optimiser_state`` only where they do something.

        Training had hashes before movies, and before it could go on from another's state; they stay what they were.
        """
        plain = super().resolved()
        if self.window is None:
            del plain["window"]
        if self.optimiser_state == "new":
            del plain["optimiser_state"]
        return plain
