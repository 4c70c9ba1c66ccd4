"""What a notebook asks for, under one name each: arrays and files in, frozen results out, no database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.arrays import real_array
from decortex.clustering import ClusteringResult, fit, fit_grid
from decortex.data import Recordings, SimulationConfig, open_filetree
from decortex.data import simulate as simulate_recordings
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import CheckpointError, ConfigError, InputError
from decortex.evaluation import selection
from decortex.evaluation.association import AssociationResult, associate
from decortex.evaluation.selection import KSelection, RawFeatures, SelectionConfig
from decortex.models import RECIPES, Network, NetworkConfig, read_checkpoint
from decortex.models.checkpoints import load_tensors
from decortex.models.training import TrainingConfig, TrainingOutcome, fit_network
from decortex.progress import ProgressLine

FloatArray = NDArray[np.float64]
# Called with steps done and steps in all.
Progress = Callable[[int, int], None]


def cluster(
    x: Any, method: str = "kmeans", *, n_clusters: int, seed: int = 0, **params: Any
) -> ClusteringResult:
    """Cluster neurons once; the same as `decortex.clustering.fit`.

    Parameters
    ----------
    x : array_like of float, shape (n_neurons, n_features)
        The embedding.
    method : str
        A name of `decortex.clustering.methods`.
    n_clusters : int
        Number of clusters K.
    seed : int
        Of the starts.
    **params
        Parameters of the method (docs/science/methods.md).

    Returns
    -------
    ClusteringResult
        With ``labels``, int16 of shape (n_neurons,); 0 is the largest cluster.

    Raises
    ------
    InputError
        If the array is no finite matrix of neurons x features.
    ConfigError
        If there is no such method or parameter.

    Examples
    --------
    >>> import numpy as np, decortex
    >>> x = np.random.default_rng(0).normal(size=(60, 4)) + 9 * (np.arange(60) % 2)[:, None]
    >>> decortex.cluster(x, n_clusters=2).k_effective
    2
    """
    return fit(x, method, n_clusters=n_clusters, seed=seed, **params)


def cluster_grid(
    x: Any,
    method: str = "kmeans",
    *,
    n_clusters: Iterable[int] = range(2, 31),
    seeds: Iterable[int] = range(3),
    **params: Any,
) -> list[ClusteringResult]:
    """Cluster neurons at every K and seed, sharing what can be shared; as `decortex.clustering.fit_grid`.

    Parameters
    ----------
    x : array_like of float, shape (n_neurons, n_features)
        The embedding.
    method : str
        A name of `decortex.clustering.methods`.
    n_clusters, seeds : iterable of int
        The grid.
    **params
        Parameters of the method.

    Returns
    -------
    list of ClusteringResult
        By K, then by seed.

    Examples
    --------
    >>> import numpy as np, decortex
    >>> x = np.random.default_rng(0).normal(size=(60, 4))
    >>> [found.k_effective for found in decortex.cluster_grid(x, "gmm", n_clusters=[2, 3], seeds=[0])]
    [2, 3]
    """
    return fit_grid(x, method, n_clusters=n_clusters, seeds=seeds, **params)


def embed(source: Any, *, kind: str = "l2", **params: Any) -> FloatArray:
    """Turn readout features into the embedding that is clustered.

    Parameters
    ----------
    source : str, Path, Network, or array_like of shape (n_neurons, n_features)
        A checkpoint file of ours or of another project, a network, or the features themselves.
    kind : str
        'raw', 'l2', 'zscore', 'pca' or 'whiten' (`decortex.embeddings.EmbeddingConfig`).
    **params
        Its other fields, for example ``n_components=20``.

    Returns
    -------
    ndarray of float64, shape (n_neurons, n_out)
        One row per neuron, in the order of the source.

    Raises
    ------
    CheckpointError
        If the file holds no readout that is known.
    InputError
        If neurons cannot be embedded (features that are not finite, or zero under 'l2'); says how many and which.

    Examples
    --------
    >>> import numpy as np, decortex
    >>> decortex.embed(np.array([[3.0, 4.0], [0.0, 2.0]])).tolist()
    [[0.6, 0.8], [0.0, 1.0]]
    """
    if isinstance(source, (str, Path)):
        raw = np.asarray(read_checkpoint(source).embedding)
    elif isinstance(source, Network):
        raw = source.embedding().detach().cpu().numpy()
    else:
        raw = real_array(source, "features", kinds="fiub")
    if raw.ndim != 2:
        raise InputError(
            f"an embedding is made of features of shape (n_neurons, n_features), got {raw.shape}."
        )
    fitted = fit_map(raw, EmbeddingConfig.from_params({"kind": kind, **params}))
    if len(fitted.excluded):
        first = ", ".join(str(neuron) for neuron in fitted.excluded.indices[:5])
        reasons = ", ".join(sorted(set(fitted.excluded.reasons)))
        raise InputError(
            f"{len(fitted.excluded)} of {len(raw)} neurons cannot be embedded ({reasons}); "
            f"the first are {first}. Remove them, or use kind 'raw' if their features are zero."
        )
    return np.ascontiguousarray(fitted.apply(raw), dtype=np.float64)


def association(
    scores: Any, labels: Any, *, sessions: Any = None, seed: int = 0, n_permutations: int = 9999
) -> AssociationResult:
    """Test whether a neuron's score is tied to its cluster, within sessions; as `associate`.

    Parameters
    ----------
    scores : array_like of float, shape (n_neurons,)
        For example the correlation of prediction and response; NaN where undefined.
    labels : array_like of int, shape (n_neurons,)
        Cluster of each neuron, -1 where it has none.
    sessions : array_like, shape (n_neurons,), optional
        Session of each neuron. Without it all neurons count as one session, as ``n_sessions`` says.
    seed, n_permutations : int
        Of the permutation test.

    Returns
    -------
    AssociationResult
        Effect size with its interval, and the p-value of the permutation within sessions.

    Examples
    --------
    >>> import numpy as np, decortex
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(90) % 3
    >>> decortex.association(rng.normal(size=90) + labels, labels, n_permutations=99).n_sessions
    1
    """
    values = np.asarray(scores, dtype=np.float64)
    groups = np.zeros(len(values), dtype=np.int64) if sessions is None else np.asarray(sessions)
    unknown = np.array([one is None or (isinstance(one, float) and np.isnan(one)) for one in groups.tolist()])
    if unknown.any():
        raise InputError(
            f"every neuron has a session, but {int(unknown.sum())} of {len(groups)} are missing (first: neuron"
            f" {int(np.argmax(unknown))}). Leave these neurons out, or give them a session of their own."
        )
    return associate(values, np.asarray(labels), groups, seed=seed, n_permutations=n_permutations)


def load_network(path: str | Path) -> Network:
    """Load a network that decortex trained; nothing of the file is run.

    Parameters
    ----------
    path : str or Path
        A checkpoint that ``torch.save(network.checkpoint(), path)`` wrote.

    Raises
    ------
    CheckpointError
        If the file holds no such checkpoint. Embeddings of other projects' networks: `read_checkpoint`.

    Examples
    --------
    >>> import decortex
    >>> network = decortex.load_network("network.pt")       # doctest: +SKIP
    """
    content = load_tensors(Path(path))
    if "format" not in content:
        raise CheckpointError(
            f"{str(path)!r} holds no network of decortex. Of other projects' checkpoints the embedding can be read: "
            "decortex.read_checkpoint(path); the whole network is rebuilt by `decortex register model --rebuild`."
        )
    return Network.from_checkpoint(content)


def train(
    recordings: Recordings,
    recipe: str | tuple[NetworkConfig, TrainingConfig] = "simulated_cortex",
    *,
    seed: int = 0,
    **options: Any,
) -> tuple[Network, TrainingOutcome]:
    """Train a network on recordings.

    Parameters
    ----------
    recordings : Recordings
        From `open_recordings` or `simulate`.
    recipe : str or (NetworkConfig, TrainingConfig)
        A name of `decortex.models.RECIPES`, or a specification of your own.
    seed : int
        Of the network's start and the order of its batches.
    **options
        Of `decortex.models.training.fit_network`, for example ``progress``.

    Returns
    -------
    network : Network
        At its best epoch.
    outcome : TrainingOutcome
        The curve of training and why it stopped.

    Examples
    --------
    >>> import decortex
    >>> network, outcome = decortex.train(decortex.simulate(), seed=0)      # doctest: +SKIP
    """
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise ConfigError(f"{recipe!r} is no recipe; there are {', '.join(sorted(RECIPES))}.")
        recipe = RECIPES[recipe]()
    network = Network.build(recipe[0], recordings, seed=seed)
    return network, fit_network(network, recordings, recipe[1], seed=seed, **options)


def simulate(*, seed: int = 0, **params: Any) -> Recordings:
    """Simulate recordings of a cortex whose neurons' functional types are known.

    Parameters
    ----------
    seed : int
        Of everything that is drawn.
    **params
        Fields of `decortex.data.SimulationConfig`, for example ``spread=0.5``.

    Returns
    -------
    Recordings
        Images, responses, and the true type of each neuron in ``recordings.neurons``.

    Examples
    --------
    >>> import decortex
    >>> small = {"n_neurons": 12, "n_train": 8, "n_validation": 4, "n_test": 2, "n_repeats": 2, "n_animals": 1}
    >>> decortex.simulate(seed=0, **small).n_neurons
    12
    """
    return simulate_recordings(SimulationConfig.from_params(params), seed)


def open_recordings(path: str | Path, **options: Any) -> Recordings:
    """Open recordings in the FileTreeDataset layout; as `decortex.data.open_filetree`.

    Parameters
    ----------
    path : str or Path
        One session, or a folder of sessions.
    **options
        Of `open_filetree`: ``behaviour``, ``frame_rate``.

    Raises
    ------
    DatasetError
        If the folder is not such a data set; says what is missing where.

    Examples
    --------
    >>> import decortex
    >>> recordings = decortex.open_recordings("sessions")   # doctest: +SKIP
    """
    return open_filetree(Path(path), **options)


def choose_k(
    x: Any,
    method: str = "kmeans",
    *,
    counts: Iterable[int] = range(2, 16),
    config: SelectionConfig | None = None,
    raw: RawFeatures | None = None,
    donors: Any = None,
    progress: Progress | bool = True,
    n_threads: int | None = None,
    **params: Any,
) -> KSelection:
    """Say which number of clusters the neurons support, if any; writes a line of progress with the time left.

    The same as `decortex.evaluation.selection.choose_k`, which is silent.

    Parameters
    ----------
    x : array_like, shape (n_neurons, n_features)
        Embedding.
    method : str
        A name of `decortex.clustering.methods`.
    counts : iterable of int
        Grid of K, each at least 2.
    config : SelectionConfig, optional
        Null models, refits and levels.
    raw : RawFeatures, optional
        Where the embedding was normalised.
    donors : array_like, shape (n_neurons,), optional
        Animal of every neuron.
    progress : bool or callable
        True: a line on standard error every five seconds; False: none; or called with (steps done, steps in all).
    n_threads : int, optional
        Threads that work side by side; default: as many as numerical libraries may take cores.
    **params
        Parameters of the method.

    Returns
    -------
    KSelection
        ``k`` and ``sentence`` are the answer.

    Raises
    ------
    InputError
        If x is not finite, the grid is empty, a K is below 2 or above the number of neurons, or donors do not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((120, 2)) + 12 * np.repeat([[0, 0], [1, 0]], 60, axis=0)
    >>> config = SelectionConfig(n_surrogates=2)
    >>> choose_k(x, counts=(2, 3), config=config, progress=False, n_init=1).k
    2
    """
    line = ProgressLine("choose_k", every=5.0) if progress is True else None
    return selection.choose_k(
        x,
        method,
        counts=counts,
        config=config,
        raw=raw,
        donors=donors,
        progress=line if isinstance(progress, bool) else progress,
        n_threads=n_threads,
        **params,
    )
