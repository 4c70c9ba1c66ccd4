"""Stimuli of an in-silico experiment, as values."""

from __future__ import annotations

from pydantic import Field, model_validator

from decortex.config import Config

TUNING_VERSION = 1  # raised when equal networks and settings would give other numbers


class TuningConfig(Config):
    """Gratings, patches and spots that are shown to a network."""

    n_angles: int = Field(
        24, ge=4, le=180, description="directions of the wave vector over the full circle; even"
    )
    n_periods: int = Field(8, ge=2, le=40, description="spatial periods, spaced by a factor")
    shortest_period: float = Field(3.0, ge=2.0, description="shortest period, pixels")
    longest_period: float | None = Field(
        None, gt=2.0, description="longest period, pixels; null: half the shorter side of the image"
    )
    n_phases: int = Field(8, ge=4, le=64, description="phases of a static grating and of a patch")
    temporal_frequencies: tuple[float, ...] = Field(
        (0.0625, 0.125),
        description="of movies: cycles per frame of drifting gratings, each above 0 and at most .5",
    )
    contrast: float = Field(
        1.0,
        gt=0,
        le=10,
        description="standard deviation of a grating, in those of the training images' pixels",
    )
    n_radii: int = Field(6, ge=2, le=40, description="radii of patches and spots, spaced by a factor")
    smallest_radius: float = Field(1.5, gt=0.5, description="smallest radius, pixels")

    @model_validator(mode="after")
    def _fits(self) -> TuningConfig:
        if self.n_angles % 2:
            raise ValueError("n_angles is even: a direction and its opposite make one orientation")
        if self.longest_period is not None and self.longest_period <= self.shortest_period:
            raise ValueError("longest_period exceeds shortest_period")
        if not self.temporal_frequencies or not all(0 < f <= 0.5 for f in self.temporal_frequencies):
            raise ValueError("temporal_frequencies lie above 0 and at most at .5 cycles per frame")
        return self
