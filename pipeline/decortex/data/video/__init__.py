"""Recordings of movies: clips of their own lengths, at one frame rate."""

from decortex.data.video.h5_folder import MovieSplit, open_h5_folder
from decortex.data.video.resample import resample_counts, resample_movie, resample_rates

__all__ = ["MovieSplit", "open_h5_folder", "resample_counts", "resample_movie", "resample_rates"]
