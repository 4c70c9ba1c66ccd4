# %% [markdown]
# # Does DEC help, and what does it cost?
#
# You have networks and partitions of them, and a clustering loss has fine-tuned the networks. (Continues with the database of
# [the first tutorial](01_how_many_types.md), whose study asked for the joint loss at K = 3.)

# %%
import pandas as pd

import decortex_schemas as schemas
from decortex_schemas import queries

schemas.connect()

# %% [markdown]
# ## What it cost
#
# `decortex price tutorial`. The control is the same network trained on as long, on the same batches, without a clustering loss:
# a fine-tuning is judged against it, since a network that trains on usually improves.

# %%
costs = pd.DataFrame(queries.price("tutorial"))
costs[["method", "k", "finetune", "model_seed", "control", "difference", "equivalent"]]

# %% [markdown]
# ## What it gained
#
# Agreement between networks after fine-tuning against that of its own starts, in the same networks. Two networks are one pair:
# there is a number and no interval.

# %%
gains = pd.DataFrame(queries.improvement("tutorial")["summary"])
gains[["method", "k", "finetune", "ari_networks_before", "ari_networks_change"]]

# %% [markdown]
# A higher agreement is an improvement only above what the same fine-tuning does to neurons without types
# ([the fine-tuned null](../science/nulls.md)). `decortex answers tutorial` prints this sentence fourth:

# %%
answer = queries.answers("tutorial")[3]
print(answer["sentence"])
