"""Digest of a network's core: networks with the same core have their readouts in one space."""

from __future__ import annotations

import hashlib

import numpy as np

from decortex.models.network import Network


def core_sha256(network: Network) -> str:
    """Sha256 over the core's tensors and the statistics by which images are scaled before it.

    Readouts of two networks with equal digests are weights on the same features; readouts of networks that were trained
    apart are not, however alike their architectures are.

    Parameters
    ----------
    network : Network

    Returns
    -------
    str
        64 hex digits.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if name.startswith("core.") or name in ("pixel_mean", "pixel_std"):
            values = np.ascontiguousarray(tensor.detach().cpu().numpy())
            digest.update(f"{name} {values.dtype.str} {values.shape} ".encode() + values.tobytes())
    return digest.hexdigest()
