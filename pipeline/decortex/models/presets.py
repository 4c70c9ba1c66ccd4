"""Ready specifications of networks and their training, with what they reach. Nothing is trained here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from decortex.models.cores import LayerConfig, SpaceTimeConfig, SpaceTimeLayerConfig, Stacked2dConfig
from decortex.models.network import NetworkConfig
from decortex.models.readouts import GridPredictorConfig, ReadoutConfig
from decortex.models.training import TrainingConfig

Spec = tuple[NetworkConfig, TrainingConfig]

# What the published losses of mouse V1 are summed over, where ours are means: images of a batch times the root of
# the number of batches.
_SUMMED = 128 * (4470 / 128) ** 0.5
# Training as both networks for mouse V1 publish it.
_MOUSE_V1: dict[str, Any] = {
    "loss": "poisson",
    "optimiser": "adam",
    "schedule": "plateau",
    "batch_size": 128,
    "max_epochs": 200,
    "patience": 24,
}


def simulated_cortex_spec() -> Spec:
    """Return the specification for the simulated cortex: images of 36 pixels, spike counts.

    Two full convolutions, a point readout, Poisson loss.
    """
    network = NetworkConfig(
        layers=(
            LayerConfig(channels=16, kernel=11, pool=2),
            LayerConfig(channels=16, kernel=5, norm="plain"),
        ),
        readout=ReadoutConfig(kind="point", start="correlation"),
        output="softplus",
        response_scale="mean",
    )
    training = TrainingConfig(
        loss="poisson",
        optimiser="adam",
        learning_rate=8e-3,
        position_rate=4e-3,
        feature_l1=0.02,
        batch_size=64,
        max_epochs=10,
    )
    return network, training


def rotation_cortex_spec() -> Spec:
    """Return the specification of a rotation-equivariant network for the simulated cortex.

    As `simulated_cortex_spec`, with 8 features at 8 orientations and a group penalty over orientations.
    """
    network, training = simulated_cortex_spec()
    layers = tuple(layer.model_copy(update={"channels": 8}) for layer in network.layers)
    return (
        network.model_copy(update={"layers": layers, "n_orientations": 8}),
        training.model_copy(update={"feature_l1": 0.0, "feature_group_l1": 0.02}),
    )


def macaque_v4_spec() -> Spec:
    """Return the specification for macaque V4: grey images of 56 pixels, responses averaged over repeats.

    A full convolution and three depth-separable ones, a Gaussian mask for each neuron, squared error.
    """
    network = NetworkConfig(
        layers=(
            LayerConfig(channels=32, kernel=7, stride=2, padding=3, nonlinearity="relu"),
            LayerConfig(channels=64, kernel=5, stride=2, padding=2, separable=True, nonlinearity="relu"),
            LayerConfig(channels=128, kernel=3, padding=1, separable=True, nonlinearity="relu"),
            LayerConfig(channels=64, kernel=3, padding=1, separable=True, nonlinearity="relu"),
        ),
        readout=ReadoutConfig(kind="mask", start="centre", width=0.35, feature_start=0.5),
        output="softplus",
        response_scale="std",
    )
    training = TrainingConfig(
        loss="mse",
        optimiser="adamw",
        learning_rate=1e-2,
        weight_decay=0.05,
        feature_weight_decay=0.2,
        gradient_clip=5.0,
        weight_average=0.99,
        shift=2,
        batch_size=32,
        max_epochs=10,
    )
    return network, training


def macaque_v4_large_spec() -> Spec:
    """Return `macaque_v4_spec` half as wide again and trained for 24 epochs: better, and six times as long."""
    network, training = macaque_v4_spec()
    layers = tuple(layer.model_copy(update={"channels": layer.channels * 3 // 2}) for layer in network.layers)
    return network.model_copy(update={"layers": layers}), training.model_copy(update={"max_epochs": 24})


def macaque_v4_rotation_spec() -> Spec:
    """Return `macaque_v4_spec` with a rotation-equivariant core: a quarter of the features at 4 orientations.

    Strided kernels have even sides, so that every layer takes its input's whole, and 90 degrees are exact.
    """
    network, training = macaque_v4_spec()
    sides = ((6, 2), (4, 1), (3, 1), (3, 1))
    layers = tuple(
        layer.model_copy(update={"channels": layer.channels // 4, "kernel": kernel, "padding": padding})
        for layer, (kernel, padding) in zip(network.layers, sides, strict=True)
    )
    return network.model_copy(update={"layers": layers, "n_orientations": 4}), training


def sensorium_2022_spec() -> Spec:
    """Return the baseline of Sensorium 2022 (Willeke et al.): mouse V1, grey images of 36 x 64 pixels.

    Core and readout are the published configuration, option for option. Its loss is a sum over a batch of 128 images
    and all neurons, times the root of (training images / 128), so that a published penalty of 1 is 1 / (128 x 5.9)
    of the mean over neurons of the features' L1 norm here, and 1 / (128 x 5.9 x 7,776) of the first kernels'
    roughness, at the competition's 4,470 images and 7,776 neurons. Positions come from where neurons lie in
    cortex; use readout kind 'gaussian' without a grid predictor where that is not known.
    """
    network = NetworkConfig(
        stacked=Stacked2dConfig(
            hidden_channels=64,
            input_kern=9,
            hidden_kern=7,
            layers=4,
            pad_input=False,
            stack=-1,
            depth_separable=True,
            bias=False,
            momentum=0.9,
        ),
        readout=ReadoutConfig(
            kind="gaussian",
            start="centre",
            covariance="full",
            sigma_start=0.1,
            grid_predictor=GridPredictorConfig(hidden_layers=1, hidden_features=30, final_tanh=True),
        ),
        output="elu",
        response_scale="std",
    )
    penalties = {"feature_l1": 0.0076 / _SUMMED, "input_laplace": 6.3831 / (_SUMMED * 7776)}
    return network, TrainingConfig.from_params({**_MOUSE_V1, "learning_rate": 9e-3, **penalties})


def reproducible_v1_spec() -> Spec:
    """Return a rotation-equivariant network for mouse V1 whose readout norms are held (Turishcheva et al. 2024).

    Kernels of 13, 5 and 5 pixels, 16 features at 8 orientations (Ecker et al. 2019), no scale or bias in the last
    normalisation; point readout drawn around a learned position; adaptive log-norm penalty of 10 with width .1. The
    authors sum it, over the neurons of one batch, beside a summed loss; here both are means, so that 10 becomes
    10 / (128 x 5.9), and the width of the scales is kept by the same factor.
    """
    network = NetworkConfig(
        layers=(
            LayerConfig(channels=16, kernel=13),
            LayerConfig(channels=16, kernel=5),
            LayerConfig(channels=16, kernel=5, norm="plain"),
        ),
        n_orientations=8,
        kernel_basis="hermite",
        readout=ReadoutConfig(kind="gaussian", start="correlation", sigma_start=0.1, adaptive_penalty=True),
        output="elu",
        response_scale="std",
    )
    penalties = {"feature_log_norm": 10 / _SUMMED, "log_norm_width": 0.1 * _SUMMED**0.5}
    return network, TrainingConfig.from_params({**_MOUSE_V1, "learning_rate": 8e-3, **penalties})


def simulated_retina_spec() -> Spec:
    """Return the specification for the simulated video retina: clips of 50 frames of 36 x 36 pixels, counts per frame.

    Two layers that are separable in space and time (10 pixels and 11 frames, 3 pixels and 7 frames; lag 16), a point
    readout, Poisson loss, batches of four clips.
    """
    network = NetworkConfig(
        space_time=SpaceTimeConfig(
            layers=(
                SpaceTimeLayerConfig(channels=16, kernel=10, stride=2, padding=4, frames=11),
                SpaceTimeLayerConfig(channels=24, kernel=3, padding=1, frames=7, norm="plain"),
            )
        ),
        readout=ReadoutConfig(kind="point", start="correlation"),
        output="softplus",
        response_scale="mean",
    )
    training = TrainingConfig(
        loss="poisson",
        optimiser="adam",
        learning_rate=8e-3,
        position_rate=2e-2,
        feature_l1=0.02,
        batch_size=4,
        max_epochs=9,
    )
    return network, training


def rotation_video_spec() -> Spec:
    """Return the specification of a rotation-equivariant network for the simulated video cortex.

    As `simulated_retina_spec`, with 8 features at 8 orientations: orientation and direction of motion roll together.
    """
    network, training = simulated_retina_spec()
    assert network.space_time is not None
    layers = tuple(layer.model_copy(update={"channels": 8}) for layer in network.space_time.layers)
    space_time = network.space_time.model_copy(update={"layers": layers})
    return (
        network.model_copy(update={"space_time": space_time, "n_orientations": 8}),
        training.model_copy(update={"feature_l1": 0.0, "feature_group_l1": 0.02}),
    )


RECIPES: dict[str, Callable[[], Spec]] = {
    "simulated_cortex": simulated_cortex_spec,
    "simulated_cortex_rotation": rotation_cortex_spec,
    "simulated_retina": simulated_retina_spec,
    "simulated_video_rotation": rotation_video_spec,
    "macaque_v4": macaque_v4_spec,
    "macaque_v4_large": macaque_v4_large_spec,
    "macaque_v4_rotation": macaque_v4_rotation_spec,
    "sensorium_2022": sensorium_2022_spec,
    "reproducible_v1": reproducible_v1_spec,
}
