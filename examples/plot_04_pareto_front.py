"""
Choose on a Pareto front
========================

More accurate or fairer? Among many settings only a few are worth the question: those that no
other beats on both. This example draws that front for a grid search and lets
``ParetoSelector`` choose on it, then finds a front with Optuna.
"""

# %%
# A biased network
# ----------------
# Made-up loan decisions; half of the qualified women were turned down.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import optuna
import sklearn
import torch
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier

from skfairaug import FairAugmentFineTuner
from skfairaug.benchmark import ParetoDisplay, ParetoSelector
from skfairaug.datasets import make_loans
from skfairaug.exceptions import FairnessNotReachedWarning
from skfairaug.metrics import bias, make_fairness_scorer, statistical_parity_difference
from skfairaug.modules import TabularMLP

torch.manual_seed(0)
X, y, sex = make_loans(7000, random_state=2, label_bias=0.5, encode="onehot", return_X_y=True)
X = StandardScaler().fit_transform(X).astype(np.float32)
y, sex = y.to_numpy(), sex.cat.codes.to_numpy()
train, rest = train_test_split(np.arange(len(y)), test_size=0.6, random_state=0)
search_rows, test = train_test_split(rest, test_size=0.4, random_state=0)

net = NeuralNetClassifier(
    TabularMLP,
    module__n_features=X.shape[1],
    module__depth=2,
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=1e-3,
    max_epochs=5,
    verbose=0,
).fit(X[train], y[train])

# %%
# What its thresholds reach
# -------------------------
# ``from_estimator`` draws every cut-off on the score, and the decisions the network makes.

display = ParetoDisplay.from_estimator(
    net, X[test], y[test], sensitive_features=sex[test], name="biased network"
)
plt.show()

# %%
# A grid search that chooses
# --------------------------
# The search scores accuracy and bias. A scorer that keeps the sign lets the luck of the folds
# cancel. The selector takes the candidate with the best expected Phi: its balanced accuracy
# times the probability that its bias, known up to a standard error, is inside the tolerance.

selector = ParetoSelector(tolerance=0.05)
# Not every candidate keeps its bound, and it says so. The search is there to
# judge that.
warnings.simplefilter("ignore", FairnessNotReachedWarning)
with sklearn.config_context(enable_metadata_routing=True):
    search = GridSearchCV(
        FairAugmentFineTuner(
            net, max_epochs=5, steps_per_epoch=10, random_state=0
        ).set_fit_request(sensitive_features=True),
        {"tolerance": [0.03, 0.06, 0.1, 0.2]},
        scoring={
            "balanced_accuracy": "balanced_accuracy",
            "bias": make_fairness_scorer(statistical_parity_difference, absolute=False),
        },
        refit=selector,
        cv=3,
    ).fit(X[search_rows], y[search_rows], sensitive_features=sex[search_rows])
print("chosen:", search.best_params_)
for i in np.flatnonzero(selector.front(search.cv_results_)):
    print("not beaten:", search.cv_results_["params"][i])

# %%
# A bar is a standard error over the folds. Those left of the tolerance by less than a bar may
# well be outside on new data, and the choice keeps its distance.

ParetoDisplay.from_results(search.cv_results_, selector=selector, annotate="all")
plt.show()

# %%
# On rows that nobody saw
# -----------------------

fair = search.best_estimator_
_, ax = plt.subplots(layout="constrained")
for name, model in {"biased": net, "chosen by the search": fair}.items():
    ParetoDisplay.from_estimator(
        model, X[test], y[test], sensitive_features=sex[test], name=name, ax=ax
    )
plt.show()

# %%
# The front with Optuna
# ---------------------
# Optuna optimises several objectives by itself and keeps the trials that none other beats in
# ``study.best_trials``. One split serves here; a search of one's own would use several.

fit_rows, judge_rows = train_test_split(search_rows, test_size=0.5, random_state=1)


def objective(trial):
    """Balanced accuracy and size of the bias of one setting."""
    model = FairAugmentFineTuner(
        net,
        tolerance=trial.suggest_float("tolerance", 0.02, 0.3, log=True),
        caution=trial.suggest_float("caution", 0.0, 1.0),
        distillation=trial.suggest_float("distillation", 0.0, 1.0),
        max_epochs=5,
        steps_per_epoch=10,
        random_state=0,
    )
    model.fit(X[fit_rows], y[fit_rows], sensitive_features=sex[fit_rows])
    y_pred = model.predict(X[judge_rows])
    gap = bias(y[judge_rows], y_pred, sensitive_features=sex[judge_rows])
    return balanced_accuracy_score(y[judge_rows], y_pred), abs(gap)


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(
    directions=["maximize", "minimize"], sampler=optuna.samplers.TPESampler(seed=0)
)
study.optimize(objective, n_trials=10)

accuracy, gap = np.array([trial.values for trial in study.trials]).T
display = ParetoDisplay(
    accuracy=accuracy,
    bias=gap,
    tolerance=0.05,
    constraint="statistical_parity",
    name="Optuna",
).plot()
print("trials on the front:", np.flatnonzero(display.front))
print("Optuna says:        ", sorted(trial.number for trial in study.best_trials))
plt.show()
