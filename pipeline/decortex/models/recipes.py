"""Ready specifications of networks and their training, with what they reach. Nothing is trained here."""

from __future__ import annotations

from collections.abc import Callable

from decortex.models.cores import LayerConfig
from decortex.models.network import NetworkConfig
from decortex.models.readouts import ReadoutConfig
from decortex.models.training_config import TrainingConfig

Spec = tuple[NetworkConfig, TrainingConfig]


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


RECIPES: dict[str, Callable[[], Spec]] = {
    "simulated_cortex": simulated_cortex_spec,
    "simulated_cortex_rotation": rotation_cortex_spec,
    "macaque_v4": macaque_v4_spec,
}
