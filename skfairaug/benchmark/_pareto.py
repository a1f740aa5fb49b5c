"""ParetoDisplay: balanced accuracy against bias, the front, the tolerance, the choice."""

import numpy as np
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skfairaug._inputs._checks import check_tolerance
from skfairaug._inputs._groups import encode_groups
from skfairaug.benchmark._front import pareto_front
from skfairaug.benchmark._selector import ParetoSelector
from skfairaug.metrics._constraints import CONSTRAINTS
from skfairaug.metrics._hard import bias as signed_bias
from skfairaug.metrics._predictions import (
    encode_decisions,
    label_order,
    predict_labels,
    predict_score,
)
from skfairaug.metrics._threshold import threshold_curve

ANNOTATIONS = ("all", "front", "legend", None)
MARKS = "osD^v"  # one after the other, where the ten colours are used up


class ParetoDisplay:
    """Picture of what can be had: balanced accuracy against the size of the bias.

    Make one with :meth:`from_results`, :meth:`from_estimator` or
    :meth:`from_predictions`. Needs matplotlib (``pip install skfairaug[plot]``).

    Parameters
    ----------
    accuracy, bias : array-like of shape (n_candidates,)
        Balanced accuracy and size of the bias; NaN leaves a candidate out.
    accuracy_error, bias_error : array-like of shape (n_candidates,), default=None
        Half lengths of the error bars; NaN draws none.
    labels : list of str, default=None
        Names of the candidates.
    chosen : tuple of float, default=None
        Balanced accuracy and size of the bias of the choice.
    tolerance : float, default=None
        Bound on the size of the bias, drawn as a line.
    constraint : str, default=None
        Bias measure, for the axis.
    curve : bool, default=False
        Whether the candidates are the cut-offs on one score, of which only the front
        is drawn.
    name : str, default=None
        What the legend calls all this.

    Attributes
    ----------
    front : ndarray of shape (n_candidates,), bool
        The candidates that none other beats, see :func:`pareto_front`.
    line_ : matplotlib Line2D
        The front: the best balanced accuracy at or below each bias.
    points_ : matplotlib ErrorbarContainer, list of them or None
        The candidates; a list with ``annotate="legend"``, None for a curve.
    chosen_ : matplotlib Line2D or None
        The choice.
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    ParetoSelector : Makes the choice.

    Examples
    --------
    >>> from skfairaug.benchmark import ParetoDisplay
    >>> display = ParetoDisplay(
    ...     accuracy=[0.8, 0.75, 0.7], bias=[0.1, 0.02, 0.05], tolerance=0.05)
    >>> display.front
    array([ True,  True, False])
    """

    def __init__(
        self,
        *,
        accuracy,
        bias,
        accuracy_error=None,
        bias_error=None,
        labels=None,
        chosen=None,
        tolerance=None,
        constraint=None,
        curve=False,
        name=None,
    ):
        self.accuracy = np.asarray(accuracy, dtype=float)
        self.bias = np.asarray(bias, dtype=float)
        self.accuracy_error = accuracy_error
        self.bias_error = bias_error
        self.labels = labels
        self.chosen = chosen
        self.tolerance = tolerance
        self.constraint = constraint
        self.curve = curve
        self.name = name
        self.front = pareto_front(self.accuracy, self.bias)

    @classmethod
    def from_results(
        cls, results, *, selector=None, by="method", name=None, ax=None, annotate=None, **kwargs
    ):
        """Draw the candidates of a search or the methods of a comparison.

        Parameters
        ----------
        results : dict of str to array-like, or DataFrame
            ``cv_results_`` of a search, or what :func:`compare` returned.
        selector : ParetoSelector, default=None
            Says which scores to read, the tolerance, and makes the choice.
            None is ``ParetoSelector()``, with the tolerance of a comparison.
        by : str, default="method"
            Column of the results of a comparison that tells the candidates.
        name : str, default=None
            What the legend calls them.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        annotate : {"all", "front", "legend", None}, default=None
            Which candidates to name in the picture; "legend" gives each its own mark and
            names them beside it.
        **kwargs : dict
            Passed to the line of the front, ``color`` to all.

        Returns
        -------
        display : ParetoDisplay
            With error bars of one standard error where there are several splits.
        """
        check_matplotlib_support(f"{cls.__name__}.from_results")
        if selector is None:
            tolerance = _only_value(results, "tolerance")
            selector = (
                ParetoSelector() if tolerance is None else ParetoSelector(tolerance=tolerance)
            )
        candidates = selector.read(results, by)
        index = selector.choose(candidates)
        named = selector.bias in CONSTRAINTS
        display = cls(
            accuracy=candidates.accuracy,
            bias=candidates.bias,
            accuracy_error=candidates.accuracy_error,
            bias_error=candidates.bias_error,
            labels=candidates.labels,
            chosen=(candidates.accuracy[index], candidates.bias[index]),
            tolerance=selector.tolerance,
            constraint=selector.bias if named else _only_value(results, "constraint"),
            name=name,
        )
        return display.plot(ax, annotate=annotate, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        sensitive_features,
        constraint="statistical_parity",
        tolerance=0.05,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Draw what any cut-off on a classifier's score reaches, and what it chose.

        Parameters
        ----------
        estimator : classifier
            Fitted, with `predict_proba` or `decision_function`; two classes.
        X : array-like of shape (n_samples, n_features)
            Rows, best of those that nothing was fitted to.
        y : array-like of shape (n_samples,)
            Labels; the larger is the favourable one.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Group of every row.
        constraint : str or Constraint, default="statistical_parity"
            Bias measure, see `skfairaug.metrics.CONSTRAINTS`.
        tolerance : float, default=0.05
            Bound on the size of the bias, in (0, 1].
        name : str, default=None
            What the legend calls it; None takes the name of the class.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed to the line of the front, ``color`` to all.

        Returns
        -------
        display : ParetoDisplay
            Its picture is drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        return cls.from_predictions(
            y,
            predict_score(estimator, X),
            predict_labels(estimator, X, sensitive_features, label_order(y)),
            sensitive_features=sensitive_features,
            constraint=constraint,
            tolerance=tolerance,
            name=type(estimator).__name__ if name is None else name,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true,
        y_score,
        y_pred=None,
        *,
        sensitive_features,
        constraint="statistical_parity",
        tolerance=0.05,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Draw what any cut-off on a score reaches, and the predictions chosen.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Labels, of two classes; the larger is the favourable one.
        y_score : array-like of shape (n_samples,)
            The larger, the more likely favourable.
        y_pred : array-like of shape (n_samples,), default=None
            Predicted labels; None marks no choice.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Group of every row.
        constraint : str or Constraint, default="statistical_parity"
            Bias measure, see `skfairaug.metrics.CONSTRAINTS`.
        tolerance : float, default=0.05
            Bound on the size of the bias, in (0, 1].
        name : str, default=None
            What the legend calls it.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **kwargs : dict
            Passed to the line of the front, ``color`` to all.

        Returns
        -------
        display : ParetoDisplay
            Its picture is drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        check_tolerance(tolerance)
        decided = y_true if y_pred is None else y_pred
        y, decided, _ = encode_decisions(y_true, decided)
        groups = encode_groups(sensitive_features, len(y))
        curve = threshold_curve(y, y_score, groups.codes, constraint, len(groups.names))
        chosen = None
        if y_pred is not None:
            gap = signed_bias(
                y,
                decided,
                sensitive_features=sensitive_features,
                constraint=constraint,
                pos_label=1,
            )
            chosen = balanced_accuracy_score(y, decided), abs(gap)
        display = cls(
            accuracy=curve.balanced_accuracy,
            bias=np.abs(curve.bias),
            chosen=chosen,
            tolerance=tolerance,
            constraint=getattr(constraint, "name", constraint),
            curve=True,
            name=name,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, *, name=None, annotate=None, **kwargs):
        """Draw the picture.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; several displays may share it. None makes a figure.
        name : str, default=None
            What the legend calls it; None takes that of the display.
        annotate : {"all", "front", "legend", None}, default=None
            Which candidates to name in the picture; "legend" gives each its own mark and
            names them beside it.
        **kwargs : dict
            Passed to the line of the front, ``color`` to all.

        Returns
        -------
        display : ParetoDisplay
            This one.

        Raises
        ------
        ValueError
            If `annotate` is none of those.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        if annotate not in ANNOTATIONS:
            raise ValueError(f"annotate must be one of {ANNOTATIONS}; got {annotate!r}.")
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        name = self.name if name is None else name
        prefix = "" if name is None else f"{name}: "
        self._draw_front(prefix, kwargs)
        self._draw_points(prefix, annotate)
        self._draw_chosen(prefix)
        self._draw_labels(annotate)
        self._draw_frame(beside=annotate == "legend")
        return self

    def _draw_front(self, prefix, kwargs):
        order = np.flatnonzero(self.front)
        order = order[np.argsort(self.bias[order], kind="stable")]
        label = "best cut-off" if self.curve else "front"
        style = {"where": "post", "label": prefix + label, "linewidth": 1.5} | kwargs
        (self.line_,) = self.ax_.step(self.bias[order], self.accuracy[order], **style)

    def _draw_points(self, prefix, annotate):
        self.points_ = None
        if self.curve:
            return
        if annotate == "legend" and self.labels is not None:
            self.points_ = [
                self._draw_some([i], f"{prefix}{label}", fmt=MARKS[i // 10 % len(MARKS)])
                for i, label in enumerate(self.labels)
            ]
            return
        self.points_ = self._draw_some(
            slice(None),
            f"{prefix}candidates",
            fmt="o",
            color=self.line_.get_color(),
            alpha=0.45,
        )

    def _draw_some(self, which, label, **style):
        """Candidates with their error bars."""
        errors = {
            name: None if error is None else error[which]
            for name, error in (
                ("xerr", _drawn(self.bias_error)),
                ("yerr", _drawn(self.accuracy_error)),
            )
        }
        x, y = self.bias[which], self.accuracy[which]
        style = {"markersize": 5, "elinewidth": 0.8, **errors, **style}
        return self.ax_.errorbar(x, y, label=label, **style)

    def _draw_chosen(self, prefix):
        self.chosen_ = None
        if self.chosen is None:
            return
        accuracy, bias = self.chosen
        (self.chosen_,) = self.ax_.plot(
            bias,
            accuracy,
            "o",
            markersize=8,
            color=self.line_.get_color(),
            markeredgecolor="black",
            zorder=4,
            label=f"{prefix}chosen",
        )

    def _draw_labels(self, annotate):
        if annotate in (None, "legend") or self.labels is None:
            return
        for label, accuracy, bias, stands in zip(
            self.labels, self.accuracy, self.bias, self.front, strict=True
        ):
            if np.isfinite(accuracy + bias) and (stands or annotate == "all"):
                self.ax_.annotate(
                    label,
                    (bias, accuracy),
                    xytext=(6, -3),
                    textcoords="offset points",
                    fontsize="small",
                    va="top",
                )

    def _draw_frame(self, beside):
        """The tolerance, the axes and the legend, which several displays share."""
        drawn = {line.get_gid() for line in self.ax_.lines}
        gid = f"tolerance {self.tolerance}"
        if self.tolerance is not None and gid not in drawn:
            self.ax_.axvline(
                self.tolerance, color="0.4", ls="--", lw=1, label="tolerance", gid=gid
            )
        notion = "" if self.constraint is None else f" ({self.constraint.replace('_', ' ')})"
        self.ax_.set(xlabel=f"|bias|{notion}", ylabel="balanced accuracy")
        self.ax_.set_xlim(left=-0.01)
        place = {"loc": "lower right"}
        if beside:
            place = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "fontsize": "small"}
        self.ax_.legend(frameon=False, **place)


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
        Bound on the size of the bias.
    path : str or path
        File to write.
    """
    from matplotlib.figure import Figure  # an extra: only pictures need it

    axes = Figure(figsize=(6.4, 4.4), layout="constrained").subplots()
    for color, (name, net) in zip(("#b3541e", "#1e6bb3"), nets.items(), strict=True):
        display = ParetoDisplay.from_predictions(
            test.y,
            net.predict_proba(test.X)[:, 1],
            predictions[name],
            sensitive_features=test.groups,
            constraint=constraint,
            tolerance=tolerance,
            name=name,
            ax=axes,
            color=color,
        )
    axes.set_title("What each network can reach on test rows")
    display.figure_.savefig(path, dpi=150)


def _drawn(error):
    """Error bars, or None where there are none."""
    error = None if error is None else np.asarray(error, dtype=float)
    return None if error is None or np.isnan(error).all() else np.nan_to_num(error)


def _only_value(results, column):
    """The value of a column that has one, or None."""
    values = set(results[column]) if column in results else set()
    return values.pop() if len(values) == 1 else None
