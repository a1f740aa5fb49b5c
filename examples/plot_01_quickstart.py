"""
Make a trained network fair
===========================

A network is trained on loan decisions in which every second qualified woman was turned down.
It learns to do the same. A validation set that it has not seen makes it fair, without
training it again and without asking for the applicant's sex when it decides.
"""

# %%
# A biased network
# ----------------
# `make_loans` draws applications with a known qualification. Sixty percent of the rows
# train the network, twenty make it fair and twenty judge it.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier

from skfairaug import FairAugmentFineTuner
from skfairaug.datasets import make_loans
from skfairaug.metrics import threshold_curve
from skfairaug.modules import TabularMLP

torch.manual_seed(0)
loans = make_loans(20_000, random_state=0, label_bias=0.5, encode="onehot")
X = StandardScaler().fit_transform(loans.data).astype(np.float32)
y, sex = loans.target.to_numpy(), loans.sensitive_features

train, rest = train_test_split(np.arange(len(y)), test_size=0.4, random_state=0)
validation, test = train_test_split(rest, test_size=0.5, random_state=0)

net = NeuralNetClassifier(
    TabularMLP,
    module__n_features=X.shape[1],
    module__depth=4,
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=1e-3,
    max_epochs=6,
    verbose=0,
).fit(X[train], y[train])

# %%
# Make it fair
# ------------
# Ten epochs of thirty batches. The estimator reports what it expects on new data: the
# balanced accuracy and bias on the rows that chose the epoch and the threshold.

fair = FairAugmentFineTuner(
    net, constraint="statistical_parity", tolerance=0.05, random_state=0
)
fair.fit(X[validation], y[validation], sensitive_features=sex.iloc[validation])
print(f"balanced accuracy {fair.balanced_accuracy_:.3f}, bias {fair.bias_:+.3f}")

# %%
# Before and after, group by group
# --------------------------------
# fairlearn's ``MetricFrame`` takes the estimator's predictions as it takes any other's.

from fairlearn.metrics import MetricFrame, selection_rate, true_positive_rate
from sklearn.metrics import balanced_accuracy_score

metrics = {
    "selection rate": selection_rate,
    "true positive rate": true_positive_rate,
    "balanced accuracy": balanced_accuracy_score,
}
for name, model in {"before": net, "after": fair}.items():
    frame = MetricFrame(
        metrics=metrics,
        y_true=y[test],
        y_pred=model.predict(X[test]),
        sensitive_features=sex.iloc[test],
    )
    print(f"\n{name}\n{frame.by_group.round(3)}")

# %%
# What each network can reach
# ---------------------------
# Every threshold on a network's score gives a balanced accuracy and a bias; drawn is the
# best balanced accuracy at or below each bias. Inside the tolerance, the fair network is
# more accurate than any threshold on the biased one.

codes = sex.cat.codes.to_numpy()
fig, ax = plt.subplots(layout="constrained")
for name, model in {"biased network": net, "fair network": fair.net_}.items():
    score = model.predict_proba(X[test])[:, 1]
    curve = threshold_curve(y[test], score, codes[test], "statistical_parity")
    order = np.argsort(np.abs(curve.bias))
    best = np.maximum.accumulate(curve.balanced_accuracy[order])
    ax.step(np.abs(curve.bias)[order], best, where="post", label=name)
ax.axvline(0.05, color="0.4", linestyle="--", label="tolerance")
ax.set(xlabel="|statistical parity difference|", ylabel="balanced accuracy")
ax.legend()
plt.show()
