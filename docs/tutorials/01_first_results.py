# %% [markdown]
# # First results on the simulated cortex
#
# From recordings to evaluated clusters, in one process and in small: 36 simulated neurons of known types, two networks, k-means
# at two K. Numbers this small say nothing about neurons; `make demo` does the same with 360 neurons and takes minutes.
#
# Every cell of these tutorials runs in the tests.

# %%
import decortex_schemas as schemas
from decortex.data.simulation import SimulationConfig
from decortex_schemas.register import register_defaults
from decortex_schemas.tables import register_simulation

schemas.connect()  # your lab's server where DJ_HOST is set, else a private one
register_defaults()

# %% [markdown]
# ## Recordings
#
# A dataset is registered once; its neurons have one order from then on. A simulated one is regenerated from its parameters
# and seed, so only these are stored. (Your own: `decortex register dataset FOLDER --name v4`.)

# %%
cortex = SimulationConfig(n_neurons=36, n_animals=2, n_train=160, n_validation=40, n_test=16, n_repeats=3)
register_simulation("tutorial", cortex, seed=3)
(schemas.Dataset & {"dataset": "tutorial"}).proj("kind", "n_neurons")

# %% [markdown]
# ## A study
#
# A sweep is declared whole before anything is computed: networks × embeddings × methods × K × seeds, and the fine-tunings
# that start from some of the partitions. [Studies](../how-to/studies.md) names every part.

# %%
from decortex_schemas.register import PlanFile, declare_plan

epochs = {"max_epochs": 2, "batch_size": 32}
plan = PlanFile.from_params(
    {
        "description": "A tutorial: two small networks, k-means at two K, the joint loss from one of them",
        "networks": [
            {
                "dataset": "tutorial",
                "network": {
                    "layers": [{"channels": 6, "kernel": 9, "pool": 2}, {"channels": 6, "kernel": 5}],
                    "readout": {"kind": "point"},
                },
                "training": epochs,
                "seeds": [0, 1],
            }
        ],
        "embeddings": [{"name": "l2", "params": {"kind": "l2"}}],
        "methods": [{"method": "kmeans"}],
        "counts": [2, 3],
        "seeds": [0],
        "finetunings": [
            {
                "name": "dec_joint",
                "params": {"kind": "dec_joint", "beta": 0.1},
                "schedule": {**epochs, "learning_rate": 0.001, "schedule": "constant", "keep": "last"},
                "counts": [3],
            }
        ],
    }
)
declare_plan("tutorial", plan)

# %% [markdown]
# ## Computing it
#
# `decortex schedule` queues what studies ask for and `decortex work` computes it, in any number of processes on any machine.
# Here both take turns in this one, until nothing is left.

# %%
from decortex_ops.workers import queues_empty, sweep
from decortex_ops.workers import work
from decortex_schemas.database import computed_tables


def compute() -> None:
    """Queue and work until nothing is left."""
    while sweep().added or not queues_empty():
        summary = work(computed_tables(), stop_when_idle=0.0)
        assert not summary.failed, summary.failed


compute()
len(schemas.Clustering & {"dataset": "tutorial"})

# %% [markdown]
# ## Freezing and comparing
#
# What compares partitions with each other (do networks from other seeds find the same clusters?) reads a *frozen* study, whose
# members are complete and recorded by a digest.

# %%
schemas.freeze_study("tutorial")
compute()

# %%
import pandas as pd

from decortex_schemas.queries import results

table = pd.DataFrame(results("tutorial"))
table[["method", "k", "finetune", "ari_truth", "ari_seeds", "correlation_before", "correlation_after", "epsilon2"]]

# %% [markdown]
# ## A figure and a page
#
# `decortex figure` and `decortex report` write files; from Python a figure is an object.

# %%
from decortex_ops.reports import draw_figure

chosen = {"k": "3", "finetune": "none", "model_seed": "0"}
figure = draw_figure("performance", "tutorial", chosen).figure
figure.get_suptitle()

# %% [markdown]
# On a terminal: `decortex results tutorial`, `decortex agreement tutorial`, `decortex report tutorial -o tutorial.html`,
# and `decortex dashboard` to look around.
