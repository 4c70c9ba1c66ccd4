from .checkpoints.read import (
    read_checkpoint,
)
from .core_digest import (
    core_sha256,
)
from .initialisation import (
    contrast_energy,
    training_statistics,
)
from .insilico import (
    OWN_RESPONSES_VERSION,
    OwnResponsesConfig,
    check_images,
    own_recordings,
)
from .network import (
    Network,
    NetworkConfig,
)
from .network_config import (
    Geometry,
    SessionGeometry,
)
from .predict import (
    evaluating,
    frames_skipped,
    predict,
    predictions,
    resolve_device,
)
from .presets import (
    RECIPES,
    macaque_v4_large_spec,
    macaque_v4_rotation_spec,
    macaque_v4_spec,
    reproducible_v1_spec,
    rotation_cortex_spec,
    rotation_video_spec,
    sensorium_2022_spec,
    simulated_cortex_spec,
    simulated_retina_spec,
)
from .scored import (
    score_recordings,
)

__all__ = [
    "OWN_RESPONSES_VERSION",
    "RECIPES",
    "Geometry",
    "Network",
    "NetworkConfig",
    "OwnResponsesConfig",
    "SessionGeometry",
    "check_images",
    "contrast_energy",
    "core_sha256",
    "evaluating",
    "frames_skipped",
    "macaque_v4_large_spec",
    "macaque_v4_rotation_spec",
    "macaque_v4_spec",
    "own_recordings",
    "predict",
    "predictions",
    "read_checkpoint",
    "reproducible_v1_spec",
    "resolve_device",
    "rotation_cortex_spec",
    "rotation_video_spec",
    "score_recordings",
    "sensorium_2022_spec",
    "simulated_cortex_spec",
    "simulated_retina_spec",
    "training_statistics",
]
