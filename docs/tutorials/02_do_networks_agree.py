# %% [markdown]
# # Do other networks, seeds and methods find the same clusters?
#
# You have checkpoints of one network, trained from two seeds by somebody else. The readouts alone are enough, one vector per
# neuron, without recordings and without code of the authors. (Continues with the database of
# [the first tutorial](01_how_many_types.md).)

# %%
import tempfile
from pathlib import Path

import numpy as np
import torch

import decortex_schemas as schemas

schemas.connect()

# %% [markdown]
# ## Two checkpoints
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
# ## Registering them
#
# Readouts of known networks ([which](../how-to/import-networks.md)) are recognised; another needs the name of its tensor
# (neurons × features). The second seed belongs to the dataset of the first, or they are never compared. On the command line:
# `decortex register model mine-0.pth --name mine --seed 0 --embedding-key readout.weights`.

# %%
from decortex_schemas.register import PlanFile, declare_plan, register_checkpoint

key = "readout.weights"
register_checkpoint(folder / "mine-0.pth", name="mine", seed=0, embedding_key=key)
register_checkpoint(folder / "mine-1.pth", dataset="mine", name="mine", seed=1, embedding_key=key)

# %% [markdown]
# ## A study with its null
#
# Agreement by itself is no evidence: `agreement_null` also draws surrogates without types of both networks at once.

# %%
from decortex_ops.workers import queues_empty, sweep, work
from decortex_schemas.database import computed_tables

plan = {
    "networks": [{"dataset": "mine", "imported": "mine"}],
    "embeddings": [{"name": "raw", "params": {"kind": "raw"}}],
    "methods": [{"method": "kmeans"}, {"method": "gmm"}],
    "counts": [3],
    "agreement_null": {"methods": ["kmeans"]},
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
# ## The answer
#
# At the true K both seeds must find the same neurons together, and the labels are the types that we made.

# %%
from sklearn.metrics import adjusted_rand_score

from decortex_schemas import queries

agreed = {(row["method"], row["k"]): row["ari_seeds"] for row in queries.agreement("mine")["partitions"]}
labels = (schemas.Clustering & {"dataset": "mine", "method": "kmeans", "k": 3, "model_seed": 0}).fetch1("labels")
assert adjusted_rand_score(types, labels) == 1
assert agreed["kmeans", 3] == 1
agreed

# %% [markdown]
# `decortex answers mine` prints this sentence second:

# %%
answer = queries.answers("mine")[1]
print(answer["sentence"])
