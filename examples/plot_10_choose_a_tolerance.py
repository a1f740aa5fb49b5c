"""
Choose a tolerance with the eyes
================================

How small may the bias be before accuracy suffers? ``ToleranceDisplay`` fits
a classifier for several bounds and draws what each one claims of itself,
and what it does on rows that nobody saw.
"""

# %%
# A biased network
# ----------------
# Made-up loan decisions; half of the qualified women were turned down. The
# column that says the sex is not among the network's inputs.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier

from skfairaug import FairAugmentFineTuner, FairRule
from skfairaug.benchmark import ToleranceDisplay
from skfairaug.datasets import make_loans
from skfairaug.modules import TabularMLP
from skfairaug.rivals import ThresholdOnly

torch.manual_seed(0)
loans = make_loans(
    16_000, random_state=0, label_bias=0.5, encode="onehot", include_sensitive=False
)
X = StandardScaler().fit_transform(loans.data).astype(np.float32)
y = loans.target.to_numpy()
sex = loans.sensitive_features.to_numpy()
train, rest = train_test_split(np.arange(len(y)), test_size=0.6, random_state=0)
validation, test = train_test_split(rest, test_size=0.5, random_state=0)

net = NeuralNetClassifier(
    TabularMLP,
    module__n_features=X.shape[1],
    module__depth=2,
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=1e-3,
    max_epochs=8,
    verbose=0,
).fit(X[train], y[train])

# %%
# What each bound costs
# ---------------------
# The rule is what the fine-tuner teaches its network, and takes a moment to
# fit, so it shows the whole curve. Above: how much accuracy a bound leaves.
# Below: the bias, which is to stay in the grey. Moving the cut-off of the
# biased network is drawn for comparison, at the bias that it ends with.

rows = {"sensitive_features": sex[validation]}
cut_off = ThresholdOnly(net, tolerance=0.05).fit(X[validation], y[validation], **rows)
display = ToleranceDisplay.from_estimator(
    FairRule(net, random_state=0),
    X[validation],
    y[validation],
    **rows,
    tolerances=[0.02, 0.04, 0.06, 0.08, 0.1, 0.12],
    X_test=X[test],
    y_test=y[test],
    sensitive_features_test=sex[test],
    others={"cut-off moved": cut_off},
)
plt.show()

# %%
# The numbers are in a table.

print(display.table.round(3).to_string())

# %%
# The network for the bound that was chosen
# -----------------------------------------
# The curve is flat to the right and steep at the left. Where it bends is a
# choice that costs little; what the law or the house asks for comes first.

tolerance = 0.06
fair = FairAugmentFineTuner(net, tolerance=tolerance, random_state=0)
fair.fit(X[validation], y[validation], **rows)
print(f"network: accuracy {fair.balanced_accuracy_:.3f}, bias {fair.bias_:+.3f}")
rule = display.estimators_[tolerance]
print(f"rule:    accuracy {rule.balanced_accuracy_:.3f}, bias {rule.bias_:+.3f}")
