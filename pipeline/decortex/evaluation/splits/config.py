"""Settings of the number of types: folds, subclusters, levels. No algorithm here."""

from __future__ import annotations

from pydantic import Field

from decortex.config import Config


class SplitConfig(Config):
    """How the number of types is judged; docs/science/number-of-types-measured.md says how the values were chosen."""

    alpha: float = Field(
        default=0.05,
        gt=0,
        lt=0.5,
        description="level of every number of types; docs/science/number-of-types-measured.md has how often a continuum"
        " is then said to have types",
    )
    futile_p: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="if every p of the first repeat is larger, there are no more repeats",
    )
    path_factor: float = Field(
        default=5.0,
        ge=1,
        description="the density path's p counts this many times where the prism between the centres shows less",
    )
    path_consent: float = Field(
        default=4.0,
        ge=1,
        description="a valley in the prism between the centres counts if the density path's p is at"
        " most this many times larger",
    )
    max_depth: float = Field(
        default=0.75, gt=0, le=1, description="density in a valley over that beside it, at most"
    )
    max_failing_levels: int = Field(
        default=6, ge=0, description="numbers of types in a row that may fail before a larger one that passes"
    )
    max_types: int = Field(default=16, ge=2, le=64, description="largest number of types looked at")
    n_repeats: int = Field(default=3, ge=1, le=100, description="repeats of the folds, averaged")
    n_folds: int = Field(default=5, ge=2, le=50, description="folds; with fewer donors, as many as donors")
    min_fold_share: float = Field(
        default=0.5, gt=0, le=1, description="a boundary that fewer folds have than this share is no boundary"
    )
    subclusters: tuple[int, ...] = Field(
        default=(2, 3, 4, 6, 10, 18, 32),
        min_length=1,
        description="numbers of k-means subclusters that are joined",
    )
    min_per_subcluster: int = Field(
        default=15, ge=2, description="training neurons per subcluster, at least, on average"
    )
    max_neurons: int = Field(
        default=6000, ge=100, description="of more neurons, a random sample of this many decides"
    )
    max_outlier_share: float = Field(
        default=0.15, ge=0, lt=1, description="neurons set aside as outliers, at most"
    )
    n_shuffles: int = Field(
        default=0, ge=0, le=100, description="data sets of shuffled features that are counted beside the data"
    )
