"""Recordings: FileTreeDataset folders, natural-image sampling and the simulated cortex."""

from decortex.data.cache import cached
from decortex.data.checks import check_images, check_responses
from decortex.data.filetree import content_sha256, open_filetree
from decortex.data.filetree_writer import write_filetree
from decortex.data.recordings import InMemoryTrials, Recordings, Session, Trials
from decortex.data.simulation.simulate import SimulatedCortex, SimulationConfig, simulate, simulate_cortex

__all__ = [
    "InMemoryTrials",
    "Recordings",
    "Session",
    "SimulatedCortex",
    "SimulationConfig",
    "Trials",
    "cached",
    "check_images",
    "check_responses",
    "content_sha256",
    "open_filetree",
    "simulate",
    "simulate_cortex",
    "write_filetree",
]
