# %% [markdown]
# # Is predictability tied to cluster?
#
# You have a partition, and one score per neuron: how well a network predicts it. (Continues with the database of
# [the first tutorial](01_how_many_types.md), whose study is too small for an answer about animals, as the answer says.)

# %%
import pandas as pd

import decortex
import decortex_schemas as schemas
from decortex_schemas import queries

schemas.connect()

# %% [markdown]
# ## Three arrays
#
# Scores, labels and sessions are enough, and no database is asked. The effect comes first: `epsilon2_within` is the share of the
# variance of the scores within sessions that lies between clusters, beside its p.

# %%
partition = schemas.Clustering & {"dataset": "tutorial", "method": "kmeans", "k": 3, "model_seed": 0}
labels = partition.fetch1("labels")
chosen = {"tier": "test", "metric": "correlation_to_average"}
scores = (schemas.Performance.Score & partition.proj() & chosen).fetch1("score_values")
sessions = (schemas.Dataset.Neuron & partition.proj()).to_arrays("session", order_by="neuron_idx")
tied = decortex.association(scores, labels, sessions=sessions, seed=0)
(tied.epsilon2_within, tied.p_permutation)

# %% [markdown]
# ## The same in a study
#
# With covariates held fixed, corrected over all partitions, and for the population too: `decortex stats tutorial`. Two animals
# are too few for the population, and the status says so.

# %%
table = pd.DataFrame(queries.predictability("tutorial"))
assert all("too_few_units" in status for status in table["population"]), set(table["population"])
table[["method", "k", "finetune", "covariates", "omega2", "p_sessions", "population"]]

# %%
from decortex_ops.reports import draw_figure

drawn = {"k": "3", "finetune": "none", "model_seed": "0"}
draw_figure("performance", "tutorial", drawn).figure.get_suptitle()

# %% [markdown]
# `decortex answers tutorial` prints this sentence third:

# %%
answer = queries.answers("tutorial")[2]
print(answer["sentence"])
