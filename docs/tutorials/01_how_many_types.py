# %% [markdown]
# # How many types?
#
# You have recordings. Here they become a study, the study is computed, and it says how many types of neurons stand apart. The
# recordings are simulated and small, 36 neurons, two networks, so that the numbers say nothing about neurons; `make demo` does
# the same with 360 neurons and takes minutes. The tutorials that follow read the same study.
#
# Every cell of the tutorials runs in the tests.

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
# A dataset is registered once; its neurons have one order from then on. (Yours: `decortex register dataset FOLDER --name v4`.)

# %%
cortex = SimulationConfig(n_neurons=36, n_animals=2, n_train=160, n_validation=40, n_test=16, n_repeats=3)
register_simulation("tutorial", cortex, seed=3)
(schemas.Dataset & {"dataset": "tutorial"}).proj("kind", "n_neurons")

# %% [markdown]
# ## A study
#
# A sweep is declared whole before anything is computed: networks × embeddings × methods × K × seeds, the fine-tunings that
# start from some of the partitions, and what is asked of clusters. [Studies](../how-to/studies.md) names every part.

# %%
from decortex_schemas.register import PlanFile, declare_plan

epochs = {"max_epochs": 2, "batch_size": 32}
network = {
    "layers": [{"channels": 6, "kernel": 9, "pool": 2}, {"channels": 6, "kernel": 5}],
    "readout": {"kind": "point"},
}
joint = {
    "name": "dec_joint",
    "params": {"kind": "dec_joint", "beta": 0.1},
    "schedule": {**epochs, "learning_rate": 0.001, "schedule": "constant", "keep": "last"},
    "counts": [3],
}
plan = {
    "description": "A tutorial: two small networks, k-means at two K, the joint loss from one of them",
    "networks": [{"dataset": "tutorial", "network": network, "training": epochs, "seeds": [0, 1]}],
    "embeddings": [{"name": "l2", "params": {"kind": "l2"}}],
    "methods": [{"method": "kmeans"}],
    "counts": [2, 3],
    "finetunings": [joint],
    "tuning": {"params": {"n_angles": 6, "n_periods": 2, "n_phases": 4, "n_radii": 2}},
}
declare_plan("tutorial", PlanFile.from_params(plan))

# %% [markdown]
# ## Computing it
#
# `decortex schedule` queues what studies ask for and `decortex work` computes it, in any number of processes on any machine.
# Here both take turns in this one, until nothing is left. What compares partitions with each other reads a *frozen* study, whose
# members are complete and recorded by a digest.

# %%
from decortex_ops.workers import queues_empty, sweep, work
from decortex_schemas.database import computed_tables


def compute() -> None:
    """Queue and work until nothing is left."""
    while sweep().added or not queues_empty():
        summary = work(computed_tables(), stop_when_idle=0.0)
        assert not summary.failed, summary.failed


compute()
schemas.freeze_study("tutorial")
compute()

# %% [markdown]
# ## The answer
#
# The number of types is counted on held-out neurons and asks no clustering method ([how](../science/number-of-types.md)). Eight types
# are true here; so few neurons of barely trained networks show none, or do not decide. Neither says that there are none.

# %%
from decortex_schemas import queries

[(row["model_seed"], row["status"], row["n_types"], row["n_neurons"]) for row in queries.types("tutorial")]

# %% [markdown]
# `decortex answers tutorial` prints this sentence first:

# %%
answer = queries.answers("tutorial")[0]
print(answer["sentence"])
