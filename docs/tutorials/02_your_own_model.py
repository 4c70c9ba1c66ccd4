# %% [markdown]
# # Your own model
#
# Somebody else's network takes part by its readout alone: one vector a neuron. That needs no recordings here and no code of
# its authors; to score or fine-tune it, the whole network is rebuilt, which [models](../how-to/models.md) describes. (Continues with
# the database of the [first tutorial](01_first_results.md).)

# %%
import tempfile
from pathlib import Path

import numpy as np
import torch

import decortex_schemas as schemas

schemas.connect()

# %% [markdown]
# ## A checkpoint
#
# Any torch file with a state dict. Here: 36 neurons in three clouds, as two training seeds of one architecture would leave them.

# %%
folder = Path(tempfile.mkdtemp())
types = np.arange(36) % 3
for seed in (0, 1):
    rng = np.random.default_rng(seed)
    features = 2 * np.eye(8)[types] + 0.3 * rng.normal(size=(36, 8))
    torch.save({"readout.weights": torch.tensor(features, dtype=torch.float32)}, folder / f"mine-{seed}.pth")

# %% [markdown]
# ## Registering it
#
# Readouts that are known (Gaussian and factorised ones of neuralpredictors, Sensorium, and those listed in
# [models](../how-to/models.md)) are found by themselves; another needs the name of its (neurons × features) tensor. On the command line:
# `decortex register model mine-0.pth --name mine --seed 0 --embedding-key readout.weights`.

# %%
from decortex_schemas.register import register_checkpoint

register_checkpoint(folder / "mine-0.pth", name="mine", seed=0, embedding_key="readout.weights")
register_checkpoint(
    folder / "mine-1.pth", dataset="mine", name="mine", seed=1, embedding_key="readout.weights"
)
(schemas.ModelTask & {"dataset": "mine"}).proj()

# %% [markdown]
# ## A study of it

# %%
from decortex_ops.workers import queues_empty, sweep
from decortex_ops.workers import work
from decortex_schemas.database import computed_tables
from decortex_schemas.register import PlanFile, declare_plan

plan = {
    "networks": [{"dataset": "mine", "imported": "mine"}],
    "embeddings": [{"name": "raw", "params": {"kind": "raw"}}],
    "methods": [{"method": "kmeans"}, {"method": "gmm"}],
    "counts": [2, 3, 4],
}
declare_plan("mine", PlanFile.from_params(plan))


def compute() -> None:
    """Queue and work until nothing is left."""
    while sweep().added or not queues_empty():
        assert not work(computed_tables(), stop_when_idle=0.0).failed


compute()
schemas.freeze_study("mine")
compute()

# %% [markdown]
# Do both seeds find the same neurons together? At the true K they must, and the labels are the types we made.

# %%
from sklearn.metrics import adjusted_rand_score

from decortex_schemas.queries import agreement

agreed = {(row["method"], row["k"]): row["ari_seeds"] for row in agreement("mine")["partitions"]}
labels = (schemas.Clustering & {"dataset": "mine", "method": "kmeans", "k": 3, "model_seed": 0}).fetch1("labels")
found = adjusted_rand_score(types, labels)
assert found == 1
assert agreed["kmeans", 3] == 1
agreed

# %% [markdown]
# A perfect score on data that we made says that the tools work. Which K *your* data support, if any, is asked with surrogates
# that have no types: give the plan a `"selection"` and read [the number of clusters](../science/number-of-clusters.md).
#
# Clustering needs no database at all, where a partition is all you want:

# %%
from decortex.clustering import fit

result = fit(2 * np.eye(8)[types] + 0.1, "spectral", n_clusters=3, seed=0, n_neighbors=5)
result.n_clusters, result.status
