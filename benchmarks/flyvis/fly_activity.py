"""Activity of flyvis' fly visual system for clips. Runs in an environment of its own that has flyvis, not decortex.

    python benchmarks/flyvis/fly_activity.py CLIPS.npy OUT.npz --fly 0

`fly_world.py` calls it; `make flyvis` makes both environments. Of flyvis (Lappalainen et al. 2024, Nature
634, 1132) the package index holds the connectome and the untrained network, with the paper's initial parameters:
resting potentials of the 65 cell types drawn from a normal distribution (the fly is the seed), time constants of 50 ms,
synapses scaled by their number. Trained networks are fetched from elsewhere by flyvis' own command and not used.
"""

from __future__ import annotations

import argparse
import inspect
import os
import tempfile
from pathlib import Path

os.environ.setdefault("FLYVIS_ROOT_DIR", tempfile.mkdtemp(prefix="flyvis-"))

import numpy as np
import torch

# Receptors per side of the hexagonal eye, pixels per receptor, seconds per step of integration and steps per frame.
EXTENT, PIXELS, STEP, STEPS_PER_FRAME = 5, 3, 1 / 50, 2
# Neurons are taken from columns this near to the centre, whose inputs lie within the eye.
INNER = 2
CLIPS_AT_ONCE = 10


def torchvision_without_operators() -> torch.library.Library | None:
    """Let a torchvision that was built for another torch be imported; flyvis needs none of its compiled operators."""
    try:
        import torchvision  # noqa: F401, PLC0415
    except RuntimeError:
        missing = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            missing.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return missing
    return None


def main() -> None:
    """Show every clip to one fly and keep the inner columns."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path, help="(n_clips, n_frames, height, width), luminance from 0 to 1")
    parser.add_argument("out", type=Path)
    parser.add_argument("--fly", type=int, required=True, help="seed of the resting potentials")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kept = torchvision_without_operators()
    import flyvis  # noqa: PLC0415
    from flyvis.datasets.rendering import BoxEye  # noqa: PLC0415

    defaults = inspect.signature(flyvis.Network.__init__).parameters
    connectome, nodes = (defaults[name].default.deepcopy() for name in ("connectome", "node_config"))
    connectome.extent, nodes.bias.seed = EXTENT, arguments.fly
    network = flyvis.Network(connectome=connectome, node_config=nodes)
    eye = BoxEye(extent=EXTENT, kernel_size=PIXELS)
    at = network.connectome.nodes
    u, v = at.u[:], at.v[:]
    inner = np.flatnonzero(np.maximum.reduce([np.abs(u), np.abs(v), np.abs(u + v)]) <= INNER)
    clips = np.load(arguments.clips)
    activity = np.empty((*clips.shape[:2], len(inner)), dtype=np.float32)
    for begin in range(0, len(clips), CLIPS_AT_ONCE):
        some = torch.from_numpy(clips[begin : begin + CLIPS_AT_ONCE])
        seen = torch.stack([eye(clip[None]).reshape(len(clip), 1, eye.hexals) for clip in some])
        shown = seen.repeat_interleave(STEPS_PER_FRAME, dim=1)
        voltage = network.simulate(shown, STEP)[..., inner]
        frames = voltage.reshape(len(some), clips.shape[1], STEPS_PER_FRAME, len(inner))
        activity[begin : begin + len(some)] = frames.mean(dim=2).numpy()
    del kept
    np.savez(arguments.out, activity=activity, types=at.type[:][inner].astype(str), u=u[inner], v=v[inner])


if __name__ == "__main__":
    main()
