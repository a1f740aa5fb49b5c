"""
Which way is best on my data?
=============================

There are many ways to make a classifier fair, and none is best everywhere. ``compare`` runs
them on the same splits, judges them on rows that nobody saw, and says how sure the answer is.
"""

# %%
# Data and a biased network
# -------------------------
# Made-up loan applications. In the past half of the qualified women were turned down.

import matplotlib.pyplot as plt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier

from skfairaug import FairAugmentFineTuner
from skfairaug.benchmark import ParetoDisplay, compare, summarize
from skfairaug.datasets import make_loans
from skfairaug.modules import TabularMLP
from skfairaug.rivals import (
    EqOddsPostprocessing,
    ExponentiatedGradient,
    PlainFineTuning,
    Reweighing,
    ThresholdOnly,
    ThresholdOptimizer,
)

X, y, sex = make_loans(6000, random_state=0, label_bias=0.5, encode="onehot", return_X_y=True)
X = X.to_numpy()

net = NeuralNetClassifier(
    TabularMLP,
    module__n_features=X.shape[1],
    module__depth=3,
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=1e-3,
    max_epochs=8,
    train_split=None,
    verbose=0,
)

# %%
# The candidates
# --------------
# Those that debias a trained classifier are given none (None): ``compare`` trains the network
# once per split and hands it to them with the validation rows. The others train themselves.
# ``ThresholdOnly`` around a classifier of its own moves the cut-off of that one.

mitigators = {
    "biased network": ThresholdOnly(None, constraint=None),
    "threshold only": ThresholdOnly(None),
    "plain fine-tuning": PlainFineTuning(None),
    "FairAugmentFineTuner": FairAugmentFineTuner(None),
    "fairlearn ThresholdOptimizer": ThresholdOptimizer(None),
    "fairlearn ExponentiatedGradient": ThresholdOnly(
        ExponentiatedGradient(LogisticRegression(max_iter=1000))
    ),
    "AIF360 EqOdds": EqOddsPostprocessing(None),
    "AIF360 Reweighing": ThresholdOnly(Reweighing(LogisticRegression(max_iter=1000))),
}

results = compare(
    mitigators,
    X,
    y,
    sensitive_features=sex,
    estimator=net,
    preprocessor=StandardScaler(),
    constraint="statistical_parity",
    tolerance=0.05,
    cv=3,
    progress=False,
)
results[["method", "split", "balanced_accuracy", "bias", "phi", "fit_seconds", "error"]].round(
    3
)

# %%
# What it says
# ------------
# Means over the splits, the share of splits inside the bound, and a paired test against one
# method that knows that the splits overlap, corrected for the number of tests. Three splits
# are few: the README's tables have ten.

summary = summarize(results, reference="FairAugmentFineTuner")
columns = ["balanced_accuracy", "abs_bias", "inside", "phi", "fit_seconds"]
summary[[*columns, "needs_sensitive_features", "difference", "p_value"]].round(3)

# %%
# The picture
# -----------
# To the left of the dashed line is inside the bound, and up is better. Mind the column
# ``needs_sensitive_features``: some of these methods ask for the group of every person they
# decide on, which is often neither known nor lawful.

ParetoDisplay.from_results(results, annotate="legend")
plt.show()
