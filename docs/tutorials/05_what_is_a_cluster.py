# %% [markdown]
# # What is a cluster?
#
# You have a partition and the networks it was made from. Networks that predict can be asked: they are shown gratings, patches and
# spots, and their answers are read as an electrophysiologist would. (Continues with the database of
# [the first tutorial](01_how_many_types.md), whose plan asked for the tuning.)

# %%
import pandas as pd

import decortex_schemas as schemas
from decortex_schemas import queries

schemas.connect()

# %% [markdown]
# ## Tuning by cluster
#
# `decortex clusters tutorial --method kmeans -k 3`. An index tells clusters apart where they differ by more than the networks do
# ([indices and stimuli](../how-to/tuning.md)).

# %%
rows = pd.DataFrame(queries.cluster_profiles("tutorial", method="kmeans", k=3))
assert len(rows) == 3
rows

# %% [markdown]
# ## A picture, and what it is worth
#
# A [view](../science/views.md) is a picture; `neighbours_kept` says how much of the neighbourhoods it keeps. No cluster should be
# read off it.

# %%
view = next(view for view in queries.views("tutorial") if view["done"])
assert queries.view_points(view).shape == (view["n_neurons"], 2)
view["kind"], round(view["neighbours_kept"], 2)

# %% [markdown]
# `decortex answers tutorial` prints this sentence last:

# %%
answer = queries.answers("tutorial")[4]
print(answer["sentence"])
