from .clips import (
    NEGATIVE_TOLERANCE,
    DeconvolvedTraces,
    InMemoryClips,
    RepeatedTrials,
    is_in_memory,
)
from .filetree import (
    WITHHELD,
    open_video_session,
    read_frame_rate,
    shared_clips,
)
from .frames import (
    FrameRows,
    frame_responses,
    frame_rows,
)
from .h5_folder import (
    MovieSplit,
    open_h5_folder,
)
from .resample import (
    resample_counts,
    resample_movie,
    resample_rates,
)

__all__ = [
    "NEGATIVE_TOLERANCE",
    "WITHHELD",
    "DeconvolvedTraces",
    "FrameRows",
    "InMemoryClips",
    "MovieSplit",
    "RepeatedTrials",
    "frame_responses",
    "frame_rows",
    "is_in_memory",
    "open_h5_folder",
    "open_video_session",
    "read_frame_rate",
    "resample_counts",
    "resample_movie",
    "resample_rates",
    "shared_clips",
]
