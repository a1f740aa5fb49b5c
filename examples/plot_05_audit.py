"""
Audit a model, before and after
===============================

Who is treated how, and how sure is that? ``audit`` measures every group with an interval,
tests every gap, warns about groups too small to judge, and writes a page for people who do not
read code.
"""

# %%
# A biased network and the fair one made of it
# --------------------------------------------
# Made-up loan decisions; half of the qualified women were turned down.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier

from skfairaug import FairAugmentFineTuner, audit
from skfairaug.auditing import GroupMetricsDisplay
from skfairaug.datasets import make_loans
from skfairaug.modules import TabularMLP

torch.manual_seed(0)
loans = make_loans(10_000, random_state=3, label_bias=0.5, encode="onehot")
X = StandardScaler().fit_transform(loans.data).astype(np.float32)
y, sex = loans.target.to_numpy(), loans.sensitive_features
train, rest = train_test_split(np.arange(len(y)), test_size=0.5, random_state=0)
validation, test = train_test_split(rest, test_size=0.5, random_state=0)

net = NeuralNetClassifier(
    TabularMLP,
    module__n_features=X.shape[1],
    module__depth=3,
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=1e-3,
    max_epochs=8,
    verbose=0,
).fit(X[train], y[train])
fair = FairAugmentFineTuner(net, constraint="statistical_parity", random_state=0)
fair.fit(X[validation], y[validation], sensitive_features=sex.iloc[validation])

# %%
# The audit
# ---------
# The network was made fair by sex. Would it hold by age as well, and in the groups that sex and
# age form together? Both columns are passed; the audit looks at each and at their crossing.

age = pd.cut(
    loans.data["age"], [0, 30, 45, 120], labels=["under 30", "30 to 44", "45 and over"]
)
people = pd.DataFrame({"sex": sex, "age": age})
report = audit(
    fair,
    X[test],
    y[test],
    sensitive_features=people.iloc[test],
    constraint="statistical_parity",
    tolerance=0.05,
    before=net,
    random_state=0,
)
columns = ["gap", "gap_low", "gap_high", "p_adjusted", "verdict", "change"]
print(report.gaps.xs("statistical_parity", level="notion")[columns].round(3).to_string())

# %%
# "within" means that the whole interval lies inside the tolerance. "undecided" is no verdict:
# with this many people the data do not tell. ``change`` compares both models on the same
# people. Between the largest and the smallest of six groups chance alone makes a gap; the test
# knows that, and the verdict waits for it.
#
# Group by group
# --------------

GroupMetricsDisplay.from_audit(report, feature="sex")
GroupMetricsDisplay.from_audit(report, feature="sex × age")
plt.show()

# %%
# Who gets another decision
# -------------------------

print(report.changes.round(3).to_string())

# %%
# A page and a model card
# -----------------------
# The page stands alone: style and figures are inside, nothing is loaded from elsewhere. The
# card is in the format of the Hugging Face hub, with the gaps in its header.

texts = {"data": "A quarter of 10,000 made-up loan applications, used for nothing else."}
page = report.to_html(title="Audit of the loan network", **texts)
card = report.to_model_card(name="loan-network", **texts)
print(f"page: {len(page) // 1024} KiB\n")
print(card[:600])

# %%
# In a notebook the report shows itself.

report  # noqa: B018
