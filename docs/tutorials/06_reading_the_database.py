# %% [markdown]
# # Reading the database: DataJoint, SQL, pandas
#
# Three ways to the same rows. (Continues with the database of the [first tutorial](01_how_many_types.md).)

# %%
import pandas as pd

import decortex_schemas as schemas

schemas.connect()

# %% [markdown]
# ## DataJoint
#
# `&` restricts, `*` joins by shared columns, `.proj()` chooses columns. Nothing is read before you ask for rows.

# %%
partitions = schemas.Clustering & {"dataset": "tutorial", "k": 3}
partitions.proj("fit_status", "largest_share").to_dicts()

# %%
# which clusters hold more than a third of the neurons, with the name of the method
large = schemas.Clustering.Cluster * schemas.ClusteringMethod.proj("method_name") & "share > 0.33"
len(large & {"dataset": "tutorial"})

# %% [markdown]
# One array per key: labels and scores stand in the order of `Dataset.Neuron.neuron_idx`, so they line up with the neurons.

# %%
key = (partitions & {"model_seed": 0}).keys()[0]
labels = (schemas.Clustering & key).fetch1("labels")
neurons = pd.DataFrame((schemas.Dataset.Neuron & key).to_dicts(order_by="neuron_idx")).assign(cluster=labels)
neurons.groupby("cluster")[["neuron_idx"]].count()

# %% [markdown]
# Embeddings are files in the store that a row refers to; reading one checks it against its digest.

# %%
from decortex_schemas.tables import load_embedding

x = load_embedding(key)
assert x.shape == (len(labels), (schemas.Embedding & key).fetch1("n_features"))

# %% [markdown]
# ## SQL
#
# The tables are plain MySQL. `full_table_name` says what a table is called there.

# %%
query = f"""
    SELECT k, COUNT(*) AS partitions, AVG(largest_share) AS largest
    FROM {schemas.Clustering.full_table_name} WHERE dataset = %s GROUP BY k ORDER BY k
"""
by_k = schemas.schema.connection.query(query, args=("tutorial",), as_dict=True).fetchall()
assert [row["k"] for row in by_k] == [2, 3]
assert by_k[1]["partitions"] == len(partitions)
by_k

# %% [markdown]
# ## pandas
#
# The questions that commands and dashboard ask are functions that return plain rows, `decortex_schemas.queries`; every command
# prints the same with `--csv` and `--json`.

# %%
from decortex_schemas.queries import results

table = pd.DataFrame(results("tutorial"))
table.pivot_table(index="k", columns="finetune", values="correlation_after")

# %% [markdown]
# ## What a row rests on
#
# Every row names what computed it, and its key leads up the chain to the recordings.

# %%
from decortex_schemas.queries import provenance

chain = provenance("Clustering", dict(key))
assert [step["table"] for step in chain["chain"]][-1] in ("Embedding", "ClusterCount", "Seed", "ClusteringMethod")
chain["recompute"]
