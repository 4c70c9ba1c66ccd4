from .cache import (
    cached,
)
from .checks import (
    check_images,
    check_responses,
)
from .cowley import (
    REFERENCE_SESSIONS,
    animal_of,
    draw_tiers,
    expand_session,
    find_sessions,
    image_id,
    import_cowley_v4,
)
from .filetree import (
    FileTreeTrials,
    content_sha256,
    open_filetree,
)
from .filetree_writer import (
    new_folder,
    write_filetree,
    write_session,
)
from .npy import (
    array_from_bytes,
    read_npz,
)
from .recordings import (
    TIERS,
    InMemoryTrials,
    Recordings,
    Session,
    Trials,
    identities_sha256,
)
from .simulation.simulate import (
    SimulatedCortex,
    SimulationConfig,
    simulate,
    simulate_cortex,
)
from .summary import (
    summarise_recordings,
)

__all__ = [
    "REFERENCE_SESSIONS",
    "TIERS",
    "FileTreeTrials",
    "InMemoryTrials",
    "Recordings",
    "Session",
    "SimulatedCortex",
    "SimulationConfig",
    "Trials",
    "animal_of",
    "array_from_bytes",
    "cached",
    "check_images",
    "check_responses",
    "content_sha256",
    "draw_tiers",
    "expand_session",
    "find_sessions",
    "identities_sha256",
    "image_id",
    "import_cowley_v4",
    "new_folder",
    "open_filetree",
    "read_npz",
    "simulate",
    "simulate_cortex",
    "summarise_recordings",
    "write_filetree",
    "write_session",
]
