"""How readout features become an embedding, as a configuration. The map itself is in `mapping`."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field, model_validator

from decortex.config import Config

OrientationKind: TypeAlias = Literal["none", "fft", "aligned", "smooth"]


class EmbeddingConfig(Config):
    """How readout features become an embedding."""

    kind: Literal["raw", "l2", "zscore", "pca", "whiten"] = Field(
        default="l2",
        description="as they are; rows of norm one; columns of mean 0 and variance 1; leading principal"
        " components; the same with variance 1 each",
    )
    l2_first: bool = Field(
        default=False, description="bring rows to norm one before zscore, pca or whiten ('l2' always does)"
    )
    n_components: int | None = Field(
        default=None, ge=1, description="components of pca (required) or whiten (null: all that vary)"
    )

    rotation: OrientationKind = Field(
        default="none",
        description="rotation-equivariant networks, before everything else: 'fft' (magnitude of the Fourier"
        " transform over orientation: forgets preferred and relative orientation), 'aligned' (each neuron of"
        " length one turned towards one common mean), 'smooth' (circular smoothing; for rotation_tmixture)",
    )
    n_orientations: int | None = Field(
        default=None,
        ge=2,
        description="orientations O of the readout's features, index o F + f; with rotation",
    )
    neighbour_weight: float = Field(
        default=0.25, ge=0, le=0.5, description="w of the kernel [w, 1 - 2 w, w] of rotation 'smooth'"
    )
    alignment_starts: int = Field(
        default=3,
        ge=0,
        description="random starts of rotation 'aligned' beside the turn to the strongest neuron",
    )
    alignment_seed: int = Field(default=0, ge=0, description="seed of these starts")

    @model_validator(mode="after")
    def _rotation_fields_where_they_belong(self) -> EmbeddingConfig:
        if (self.rotation == "none") != (self.n_orientations is None):
            raise ValueError("rotation 'fft', 'aligned' and 'smooth' need n_orientations, 'none' takes none")
        owners = {"neighbour_weight": "smooth", "alignment_starts": "aligned", "alignment_seed": "aligned"}
        for name, owner in owners.items():
            if self.rotation != owner and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} belongs to rotation {owner!r}, not to {self.rotation!r}")
        return self

    @model_validator(mode="after")
    def _components_where_they_belong(self) -> EmbeddingConfig:
        if self.kind == "pca" and self.n_components is None:
            raise ValueError("kind 'pca' needs n_components")
        if self.kind not in ("pca", "whiten") and self.n_components is not None:
            raise ValueError(f"kind {self.kind!r} takes no n_components; use 'pca' or 'whiten'")
        return self
