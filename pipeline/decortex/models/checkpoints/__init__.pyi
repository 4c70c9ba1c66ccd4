from .bounded import (
    ALLOWANCE_BYTES,
    LOAD_ERRORS,
    check_extent,
    load_bounded,
)
from .content import (
    content_bytes,
)
from .external import (
    BuiltNetwork,
    build_network,
    check_builder,
)
from .fnn import (
    FnnReadout,
    read_fnn,
    save_readout,
)
from .load import (
    load_tensors,
)
from .neuron_map import (
    check_map,
    score_mapped,
)
from .nnfabrik import (
    config_md5,
    read_row,
)
from .read import (
    CheckpointReadout,
    read_checkpoint,
    saved_tensors,
    tensors_of,
)
from .rebuilding.rebuild import (
    rebuild_network,
)
from .rebuilding.rebuild_config import (
    PUBLISHED,
    RebuildConfig,
    VideoOptions,
)

__all__ = [
    "ALLOWANCE_BYTES",
    "LOAD_ERRORS",
    "PUBLISHED",
    "BuiltNetwork",
    "CheckpointReadout",
    "FnnReadout",
    "RebuildConfig",
    "VideoOptions",
    "build_network",
    "check_builder",
    "check_extent",
    "check_map",
    "config_md5",
    "content_bytes",
    "load_bounded",
    "load_tensors",
    "read_checkpoint",
    "read_fnn",
    "read_row",
    "rebuild_network",
    "save_readout",
    "saved_tensors",
    "score_mapped",
    "tensors_of",
]
