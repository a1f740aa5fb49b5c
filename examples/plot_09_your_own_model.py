"""
Your own model, from raw columns
================================

A network written and trained in plain PyTorch, on a table as people have it: text, missing
values, float64, and the group dropped. It goes in with the steps before it, and one classifier
from raw columns to fair decisions comes out.
"""

# %%
# The table
# ---------
# Loan decisions in which every second qualified woman was turned down. The sex is no column of
# ``X``; district and career gap give it away in part. Every tenth income is not known, and the
# decisions are words.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from skfairaug import FairAugmentFineTuner, FairRule
from skfairaug.benchmark import compare, summarize
from skfairaug.datasets import make_loans

X, y, sex = make_loans(
    9000, label_bias=0.5, include_sensitive=False, return_X_y=True, random_state=0
)
X = X.astype(dict.fromkeys(("housing", "purpose", "district"), "str"))
X.loc[::10, "income"] = np.nan
X.loc[::15, "housing"] = None
decision = y.map({0: "refused", 1: "granted"})
train, rest = slice(0, 4000), slice(4000, None)
X.head()

# %%
# Steps to float32
# ----------------
# ``categories`` fixes the width of the one-hot columns, and with it that of the network's
# input.

text = {
    "housing": ["mortgage", "own", "rent", "missing"],
    "purpose": sorted(X["purpose"].unique()),
    "district": sorted(X["district"].unique()),
}
encode = make_column_transformer(
    (
        make_pipeline(
            SimpleImputer(strategy="constant", fill_value="missing"),
            OneHotEncoder(
                categories=list(text.values()), handle_unknown="ignore", sparse_output=False
            ),
        ),
        list(text),
    ),
    remainder=make_pipeline(SimpleImputer(), StandardScaler()),
)
Z = torch.from_numpy(encode.fit_transform(X[train]).astype(np.float32))

# %%
# A network and a loop of your own
# --------------------------------
# The last layer has one output. The object around it stands for those of Hugging Face, whose
# ``logits`` are found.


class Output(dict):
    """A mapping with attributes, like ``transformers``' ModelOutput."""

    __getattr__ = dict.__getitem__


class Network(nn.Module):
    """Two layers, and an output as the caller likes it."""

    def __init__(self, n_features):
        super().__init__()
        self.body = nn.Linear(n_features, 32)
        self.head = nn.Linear(32, 1)

    def forward(self, X):
        return Output(logits=self.head(self.body(X).relu()))


torch.manual_seed(0)
network = Network(Z.shape[1])
optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
target = torch.tensor(y[train].to_numpy()).float()
for _ in range(100):
    loss = nn.functional.binary_cross_entropy_with_logits(network(Z).logits[:, 0], target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# Make it fair
# ------------
# The fitted steps and the network are one Pipeline. ``pos_label`` says which of the words is
# favourable; the network was trained on 1 = granted.

model = Pipeline([("encode", encode), ("network", network)])
fair = FairAugmentFineTuner(
    model, pos_label="granted", tolerance=0.05, max_epochs=10, random_state=0
)
fair.fit(X[rest], decision[rest], sensitive_features=sex[rest])
print(f"bias on new rows: {fair.bias_:+.3f}, inside {fair.probability_inside_:.0%} surely")
fair.predict(X.head(3))

# %%
# It was a copy that changed. ``net_`` says how the outputs were read.

print(type(fair.net_).__name__, fair.net_.criterion_, fair.net_.module_ is network)

# %%
# Compare
# -------
# On splits of the rows that the network was not trained on, with the rule that needs no
# fine-tuning over the same Pipeline. Both start from raw columns.

results = compare(
    {"fine-tuned": FairAugmentFineTuner(None, max_epochs=10), "rule": FairRule()},
    X[rest].reset_index(drop=True),
    decision[rest].reset_index(drop=True),
    sensitive_features=sex[rest].reset_index(drop=True),
    estimator=model,
    pos_label="granted",
    cv=3,
    progress=False,
)
summarize(results)

# %%
# A picture of it: the closer to zero, the fairer.

figure, ax = plt.subplots()
for method, rows in results.groupby("method"):
    ax.scatter(rows["bias"], rows["balanced_accuracy"], label=method)
ax.axvspan(-0.05, 0.05, alpha=0.1)
ax.set(xlabel="bias (women minus men)", ylabel="balanced accuracy")
ax.legend()
plt.show()
