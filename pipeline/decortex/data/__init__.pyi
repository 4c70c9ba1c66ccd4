from .anndata_file import AnnDataTable, read_anndata, write_anndata
from .cache import (
    cached,
)
from .checks import (
    check_images,
    check_responses,
)
from .cowley import (
    REFERENCE_SESSIONS,
    StoredImage,
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
    ALLOWANCE_BYTES,
    array_from_bytes,
    read_array,
    read_header,
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
from .simulation.video import (
    SimulatedVideo,
    VideoSimulationConfig,
    simulate_video,
)
from .summary import (
    summarise_recordings,
)
from .tables import (
    NeuronTable,
    TableColumns,
    neuron_table,
    read_table,
    same_number,
)
from .video import (
    MovieSplit,
    open_h5_folder,
)

__all__ = [
    "ALLOWANCE_BYTES",
    "REFERENCE_SESSIONS",
    "TIERS",
    "AnnDataTable",
    "FileTreeTrials",
    "InMemoryTrials",
    "MovieSplit",
    "NeuronTable",
    "Recordings",
    "Session",
    "SimulatedCortex",
    "SimulatedVideo",
    "SimulationConfig",
    "StoredImage",
    "TableColumns",
    "Trials",
    "VideoSimulationConfig",
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
    "neuron_table",
    "new_folder",
    "open_filetree",
    "open_h5_folder",
    "read_anndata",
    "read_array",
    "read_header",
    "read_npz",
    "read_table",
    "same_number",
    "simulate",
    "simulate_cortex",
    "simulate_video",
    "summarise_recordings",
    "write_anndata",
    "write_filetree",
    "write_session",
]
