"""
In a Pipeline, in a grid search
===============================

A fairness hyper-parameter is a hyper-parameter: it belongs inside cross-validation. This
example tunes the tolerance and the caution of a Pipeline with scorers that see the groups,
and picks the most accurate setting whose bias stays inside the bound.
"""

# %%
# Metadata routing
# ----------------
# With scikit-learn's routing on, `sensitive_features` goes where it is asked for: to the
# last step's ``fit`` and to the fairness scorers.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import sklearn
import torch
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch import NeuralNetClassifier

from skfairaug import FairAugmentFineTuner
from skfairaug.benchmark import ParetoDisplay, ParetoSelector
from skfairaug.datasets import make_loans
from skfairaug.exceptions import FairnessNotReachedWarning
from skfairaug.metrics import make_fairness_scorer, phi_scorer, statistical_parity_difference
from skfairaug.modules import TabularMLP

sklearn.set_config(enable_metadata_routing=True)
torch.manual_seed(0)

X, y, sex = make_loans(8000, random_state=1, label_bias=0.5, encode="onehot", return_X_y=True)
X, y, sex = X.to_numpy(dtype=np.float32), y.to_numpy(), sex.cat.codes.to_numpy()
train, rest = train_test_split(np.arange(len(y)), test_size=0.7, random_state=0)

scaler = StandardScaler().fit(X[train])
net = NeuralNetClassifier(
    TabularMLP,
    module__n_features=X.shape[1],
    module__depth=2,
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=1e-3,
    max_epochs=5,
    verbose=0,
).fit(scaler.transform(X[train]), y[train])

# %%
# The search
# ----------
# `clone` keeps the trained net, so every candidate starts from the same weights. As `refit`,
# :class:`~skfairaug.benchmark.ParetoSelector` picks the candidate that is most accurate and
# surely inside the bound.

tuner = FairAugmentFineTuner(
    net, max_epochs=5, steps_per_epoch=10, random_state=0
).set_fit_request(sensitive_features=True)
pipeline = make_pipeline(FunctionTransformer(scaler.transform), tuner)
scoring = {
    "balanced_accuracy": "balanced_accuracy",
    "bias": make_fairness_scorer(statistical_parity_difference),
    "phi": phi_scorer("statistical_parity", tolerance=0.05),
}

search = GridSearchCV(
    pipeline,
    {
        "fairaugmentfinetuner__tolerance": [0.03, 0.05, 0.1],
        "fairaugmentfinetuner__caution": [0.0, 1.0],
    },
    scoring=scoring,
    refit=ParetoSelector(tolerance=0.05),
    cv=3,
)
with warnings.catch_warnings():
    # Without caution a candidate is as likely outside its bound as inside,
    # and says so. The search is there to judge that.
    warnings.simplefilter("ignore", FairnessNotReachedWarning)
    search.fit(X[rest], y[rest], sensitive_features=sex[rest])
print(search.best_params_)

# %%
# What the search saw
# -------------------
# A bar is the standard error over the folds.

ParetoDisplay.from_results(search.cv_results_, annotate="all")
plt.show()

sklearn.set_config(enable_metadata_routing=False)
