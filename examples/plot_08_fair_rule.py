"""
The fair rule in a picture
==========================

``FairRule`` puts a fair decision on top of any fitted classifier. It does
not ask for the group of the person it decides on. This example draws
what it does with boosted trees, once without the group among the
columns and once with it.
"""

# %%
# Trees that learned a bias
# -------------------------
# Loan decisions in which every second qualified woman was turned down.
# The column that says the sex is left out of the first table and kept
# in the second. Sixty percent of the rows train the trees, twenty make
# them fair and twenty judge.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from skfairaug import FairRule
from skfairaug.datasets import make_loans
from skfairaug.metrics import bias
from skfairaug.steps import cell_posterior, rule_scores, rule_terms

rows = np.arange(20_000)
train, rest = train_test_split(rows, test_size=0.4, random_state=0)
validation, test = train_test_split(rest, test_size=0.5, random_state=0)


def judge(model, X, y, sex):
    """Print accuracy and bias on the test rows."""
    y_pred = model.predict(X[test])
    accuracy = balanced_accuracy_score(y[test], y_pred)
    gap = bias(y[test], y_pred, sensitive_features=sex[test])
    print(f"  holds:  accuracy {accuracy:.3f}, bias {gap:+.3f}")


rules = {}
for name, keep in {"not in X": False, "in X": True}.items():
    loans = make_loans(
        20_000,
        random_state=0,
        label_bias=0.5,
        encode="onehot",
        include_sensitive=keep,
    )
    X, y = loans.data.to_numpy(), loans.target.to_numpy()
    sex = loans.sensitive_features.to_numpy()
    trees = HistGradientBoostingClassifier(
        max_leaf_nodes=8, learning_rate=0.05, random_state=0
    ).fit(X[train], y[train])
    print(f"Sex {name}, trees alone")
    judge(trees, X, y, sex)

    rule = FairRule(trees, tolerance=0.05, random_state=0)
    rule.fit(
        X[validation],
        y[validation],
        sensitive_features=sex[validation],
    )
    print(f"Sex {name}, fair rule")
    print(
        f"  claims: accuracy {rule.balanced_accuracy_:.3f}, "
        f"bias {rule.bias_:+.3f} +- {rule.bias_standard_error_:.3f}, "
        f"inside with probability {rule.probability_inside_:.2f}"
    )
    judge(rule, X, y, sex)
    rules[name] = rule, X, y, sex

# %%
# The rule by hand
# ----------------
# The rule looks at two things: what the trees say, calibrated, and how
# likely the other columns make each group. Their product is the
# posterior of the (label, group) cells; gain and price of a favourable
# decision are linear in it. The functions of ``skfairaug.steps`` give the
# score wherever it is asked for, here on a grid.


def inputs_of(log_odds):
    """What the calibration reads: a line, with its tails bent."""
    return np.column_stack([log_odds, np.tanh(log_odds / 2)])


def log_odds_of(rule, X):
    """What the trees say of some rows."""
    proba = rule.estimator_.predict_proba(X)
    return np.log(proba[:, 1] / proba[:, 0])


def score_on_grid(rule, X, y, sex, log_odds, woman):
    """Score above the cut-off, for log-odds and p(woman | x)."""
    inputs = inputs_of(log_odds_of(rule, X))
    calibration = LogisticRegression(C=100).fit(inputs, y)
    class_proba = calibration.predict_proba(inputs_of(log_odds.ravel()))
    woman = woman.ravel()
    group_proba = np.column_stack([woman, 1 - woman])
    group_proba = np.stack([group_proba, group_proba], axis=1)
    q = cell_posterior(class_proba, group_proba)
    shares = pd.crosstab(y, sex, normalize=True).to_numpy()
    terms = rule_terms(q, shares, "statistical_parity")
    scores = rule_scores(terms, rule.multipliers_)
    cut = np.log(rule.threshold_ / (1 - rule.threshold_))
    return (scores[:, 1] - scores[:, 0] - cut).reshape(log_odds.shape)


# %%
# The picture
# -----------
# A point is an applicant of the test rows. To the right the trees think
# better of the application; the higher, the more its other columns look
# like a woman's. For the trees alone the cut would be a vertical line.
# The rule's cut leans: at the top of the picture less is asked for than
# at the bottom. Where a column says the sex, the points lie on two lines
# and the leaning cut becomes one threshold for each group. The points
# of the right panel are spread a little, to be seen.

fig, axes = plt.subplots(
    ncols=2,
    sharex=True,
    sharey=True,
    figsize=(9, 4),
    layout="constrained",
)
grid = np.meshgrid(np.linspace(-4.5, 4, 200), np.linspace(0, 1, 100))
noise = np.random.RandomState(0).uniform(-0.03, 0.03, len(test))
for ax, name in zip(axes, rules, strict=True):
    rule, X, y, sex = rules[name]
    log_odds = log_odds_of(rule, X[test])
    woman = rule.group_estimator_.predict_proba(X[test])[:, 0]
    shown = woman + (noise if name == "in X" else 0)
    loan = rule.predict(X[test]) == 1
    for rows, label in ((loan, "loan"), (~loan, "no loan")):
        ax.scatter(log_odds[rows], shown[rows], s=3, label=label)
    fitted = X[validation], y[validation], sex[validation]
    score = score_on_grid(rule, *fitted, *grid)
    ax.contour(*grid, score, levels=[0], colors="black")
    ax.set(xlabel="log-odds of the trees", title=f"sex {name}")
axes[0].set_ylabel("p(woman | x)")
axes[1].legend(loc="center right", markerscale=4)
plt.show()
