# %% [markdown]
# # Questions and answers
#
# The questions that decortex was made for, each with the function that answers it. (Continues with the database of the
# [first tutorial](01_first_results.md); its study is too small for answers, which the rows say themselves.)

# %%
import pandas as pd

import decortex_schemas as schemas

schemas.connect()
study = "tutorial"

# %% [markdown]
# ## Do networks trained from other seeds find the same clusters?
#
# `decortex agreement STUDY`. A high agreement between starts beside a low one between networks is an optimiser that converges
# to a property of one network.

# %%
from decortex_schemas.queries import agreement

pd.DataFrame(agreement(study)["partitions"])[["method", "k", "finetune", "ari_seeds", "n_pairs_seeds"]]

# %% [markdown]
# ## Is a neuron's predictability tied to its cluster?
#
# `decortex stats STUDY`. The size of the effect first; `p_sessions` speaks of these sessions, `p_population` of sessions in
# general, and two animals are too few for that: the status says so.

# %%
from decortex_schemas.queries import predictability

tied = pd.DataFrame(predictability(study))
assert all("too_few_units" in status for status in tied["population"]), set(tied["population"])
tied[["method", "k", "finetune", "covariates", "omega2", "p_sessions", "population"]]

# %% [markdown]
# ## What did fine-tuning cost, and did it help?
#
# `decortex price STUDY`. The control is the same network trained on as long without a clustering loss.

# %%
from decortex_schemas.queries import improvement, price

costs = pd.DataFrame(price(study))
costs[["method", "k", "finetune", "model_seed", "control", "difference", "equivalent"]]

# %%
pd.DataFrame(improvement(study)["summary"])[["method", "k", "ari_networks_before", "ari_networks_change"]]

# %% [markdown]
# ## Which number of clusters do the data support, if any?
#
# `decortex best-k STUDY`. This study asked for no null models, and without them no K is chosen:

# %%
from decortex.errors import ConfigError
from decortex_schemas.queries import best_k

try:
    best_k(study)
except ConfigError as error:
    answer = str(error)
answer

# %% [markdown]
# ## What does the embedding look like?
#
# A [view](../science/views.md) is a picture, and this number says how much of the neighbourhoods it keeps. No cluster should be read
# off it.

# %%
from decortex_schemas.queries import view_points, views

view = next(view for view in views(study) if view["done"])
assert view_points(view).shape == (view["n_neurons"], 2)
view["kind"], round(view["neighbours_kept"], 2)

# %% [markdown]
# [questions](../how-to/questions.md) has the same questions with their SQL, and the answers on real recordings are in
# [results](../results/overview.md).
