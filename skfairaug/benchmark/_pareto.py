"""The trade-off of a network: balanced accuracy against bias at every threshold."""

import numpy as np

from skfairaug.metrics._hard import bias
from skfairaug.metrics._threshold import threshold_curve


def plot_pareto(nets, predictions, test, constraint, tolerance, path):
    """Draw the trade-off of fitted nets on test rows, and the predictions chosen.

    Parameters
    ----------
    nets : dict of str to skorch net
        Name -> net.
    predictions : dict of str to ndarray
        Name -> predicted labels, 0 or 1, of the test rows.
    test : Split
        Rows to judge on.
    constraint : str
        Bias measure.
    tolerance : float
        Bias allowed.
    path : str or path
        File to write.
    """
    from matplotlib.figure import Figure  # an extra: only pictures need it

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    for color, (name, net) in zip(("#b3541e", "#1e6bb3"), nets.items(), strict=True):
        score = net.predict_proba(test.X)[:, 1]
        curve = threshold_curve(test.y, score, test.groups, constraint)
        size, best = envelope(np.abs(curve.bias), curve.balanced_accuracy)
        axes.step(size, best, where="post", color=color, label=f"{name}: best threshold")
        y_pred = predictions[name]
        gap = bias(test.y, y_pred, sensitive_features=test.groups, constraint=constraint)
        recalls = [np.mean(y_pred[test.y == label] == label) for label in (0, 1)]
        axes.plot(abs(gap), np.mean(recalls), "o", color=color, label=f"{name}: chosen")
    axes.axvline(tolerance, color="0.4", linestyle="--", linewidth=1, label="tolerance")
    axes.set_xlabel(f"|bias| ({constraint.replace('_', ' ')})")
    axes.set_ylabel("balanced accuracy")
    axes.set_title("What each network can reach on test rows")
    axes.set_xlim(left=-0.01)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=150)


def envelope(size, accuracy):
    """Best accuracy at or below each bias, sorted by bias."""
    order = np.lexsort((-accuracy, size))
    return size[order], np.maximum.accumulate(accuracy[order])
