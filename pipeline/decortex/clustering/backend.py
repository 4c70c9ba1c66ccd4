"""Which library computes a fit: numpy and scikit-learn on the CPU, or torch on a device. A parameter of a method."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field

from decortex.clustering import torch_backend
from decortex.clustering.kmeans_swap import CPU, SklearnEngine
from decortex.config import Config

Backend: TypeAlias = Literal["numpy", "torch"]


class BackendConfig(Config):
    """Parameters of a method that torch can compute, too.

    The default leaves no trace in the resolved parameters: specifications from before there was a choice keep their
    hash. The two agree up to rounding, not bit for bit, so that `torch` is a specification of its own.
    """

    backend: Backend = Field(
        "numpy", description="'torch' computes on a GPU where there is one; the same up to rounding"
    )

    def resolved(self) -> dict[str, Any]:
        """All parameters, defaults filled in, as plain JSON values; without a `backend` that is the default."""
        plain = super().resolved()
        if self.backend == "numpy":
            del plain["backend"]
        return plain


def engine_of(config: BackendConfig, device: str | None) -> SklearnEngine:
    """Return what computes the steps that touch all neurons.

    Raises
    ------
    InputError
        If torch is asked for and has no such device.
    """
    if config.backend == "numpy":
        return CPU
    return torch_backend.TorchEngine(device)
