"""ToleranceDisplay: what each bound on the bias costs, claimed and measured."""

import warnings

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.utils._optional_dependencies import check_matplotlib_support
from skorch import NeuralNet

from skfairaug._inputs._checks import check_tolerance, encode_labels
from skfairaug._inputs._groups import encode_groups
from skfairaug._inputs._models import unwrap
from skfairaug.benchmark._jobs import is_fitted
from skfairaug.exceptions import FairnessNotReachedWarning
from skfairaug.metrics._cells import cell_counts, prediction_rates
from skfairaug.metrics._constraints import get_constraint
from skfairaug.metrics._hard import bias as signed_bias
from skfairaug.metrics._predictions import predict_labels

#: Bounds that are tried where none are named.
TOLERANCES = (0.02, 0.05, 0.1, 0.15, 0.2)


class ToleranceDisplay:
    """Picture of what a bound on the bias costs: accuracy and bias for several bounds.

    Make one with :meth:`from_estimator`. Needs matplotlib (``pip install skfairaug[plot]``).

    Parameters
    ----------
    table : DataFrame
        A row per bound, by which it is indexed: `claimed_accuracy`, `claimed_bias` and
        `claimed_error` (a standard error), `reached` (whether the fit did not warn),
        `accuracy`, `accuracy_error`, `bias` and `bias_error` on test rows. Biases are signed;
        NaN is not drawn.
    others : DataFrame, default=None
        Indexed by name: `accuracy` and `bias` of classifiers that know no bound.
    constraint : str, default=None
        Bias measure, for the axis.

    Attributes
    ----------
    estimators_ : dict of float to classifier
        Bound -> the classifier fitted with it; from :meth:`from_estimator`.
    axes_ : ndarray of matplotlib Axes of shape (2,)
        Balanced accuracy above, size of the bias below.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    ParetoDisplay : The candidates of a search, accuracy against bias.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfairaug.benchmark import ToleranceDisplay
    >>> table = pd.DataFrame(
    ...     {"claimed_accuracy": [0.70, 0.75], "claimed_bias": [0.01, 0.06],
    ...      "claimed_error": [0.01, 0.01], "reached": [True, True]},
    ...     index=[0.05, 0.1])
    >>> display = ToleranceDisplay(table=table)
    """

    def __init__(self, *, table, others=None, constraint=None):
        self.table = table
        self.others = others
        self.constraint = constraint

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        sensitive_features,
        tolerances=TOLERANCES,
        X_test=None,
        y_test=None,
        sensitive_features_test=None,
        others=None,
        progress=True,
        axes=None,
    ):
        """Fit a classifier for each bound, judge it on test rows, and draw both.

        Parameters
        ----------
        estimator : classifier
            With a parameter `tolerance`, as :class:`~skfairaug.FairAugmentFineTuner` and
            :class:`~skfairaug.FairRule`, fitted or not; a clone is fitted for each bound.
            :class:`~skfairaug.FairRule` over the same network takes a second for each, and is
            what the fine-tuner teaches its network.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Validation rows.
        y : array-like of shape (n_samples,)
            Their labels.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Their groups.
        tolerances : sequence of float, default=(0.02, 0.05, 0.1, 0.15, 0.2)
            Bounds, in (0, 1].
        X_test, y_test, sensitive_features_test : array-like, default=None
            Rows that nothing was fitted to or chosen on, to measure. None measures nothing:
            what is drawn are the claims of each fit.
        others : dict of str to classifier, default=None
            Fitted classifiers to judge on the same rows. The biased one inside `estimator`, if
            it is fitted, is drawn in any case.
        progress : bool, default=True
            Whether to print a line per fit.
        axes : sequence of two matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ToleranceDisplay
            Its picture is drawn; its `estimators_` are the fitted classifiers.

        Raises
        ------
        ValueError
            If `estimator` has no parameter `tolerance`, a bound is not in (0, 1], or only some
            of the test rows, labels and groups are given.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        tolerances = _checked_tolerances(estimator, tolerances)
        test = _checked_test(X_test, y_test, sensitive_features_test)
        constraint = get_constraint(estimator.get_params(deep=False).get("constraint"))
        rows, fitted = [], {}
        for tolerance in tolerances:
            model, reached = _fit(estimator, tolerance, X, y, sensitive_features)
            row = _claims(model) | {"reached": reached}
            if test is not None:
                row |= judge(model, *test, constraint)
            rows.append(row)
            fitted[tolerance] = model
            if progress:
                print(_line(tolerance, row))
        biased = _biased(estimator)
        models = {} if biased is None else {"biased": biased}
        judged_on = (X, y, sensitive_features) if test is None else test
        points = {
            name: judge(model, *judged_on, constraint)
            for name, model in (models | (others or {})).items()
        }
        display = cls(
            table=pd.DataFrame(rows, index=pd.Index(tolerances, name="tolerance")),
            others=pd.DataFrame(points).T if points else None,
            constraint=constraint.name,
        )
        display.estimators_ = fitted
        return display.plot(axes)

    def plot(self, axes=None):
        """Draw the picture.

        Parameters
        ----------
        axes : sequence of two matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ToleranceDisplay
            This one.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        if axes is None:
            import matplotlib.pyplot as plt

            _, axes = plt.subplots(2, sharex=True, figsize=(6.4, 6.0), layout="constrained")
        self.axes_ = np.asarray(axes)
        self.figure_ = self.axes_[0].figure
        step = np.diff(np.sort(self.table.index)).min() if len(self.table) > 1 else 0.05
        self._draw("claimed", "claimed_accuracy", "claimed_bias", (None, "claimed_error"), 0)
        errors = "accuracy_error", "bias_error"
        self._draw("measured on test rows", "accuracy", "bias", errors, 0.12 * step)
        self._draw_others()
        self._draw_frame()
        return self

    def _draw(self, label, accuracy, bias, errors, shift):
        """The points of one kind in both panels; hollow where the bound was not reached."""
        table = self.table
        if accuracy not in table:
            return
        color = "C0" if shift == 0 else "C1"
        sizes = table[accuracy], table[bias].abs()
        for ax, values, error in zip(self.axes_, sizes, errors, strict=True):
            x = table.index.to_numpy() + shift
            bars = None if error is None else table[error].fillna(0)
            ax.errorbar(x, values, bars, fmt="o-", color=color, markersize=5, lw=1, label=label)
            missed = ~table["reached"].to_numpy(dtype=bool)
            ax.plot(
                x[missed],
                values[missed],
                "o",
                color=color,
                markerfacecolor="white",
                markersize=5,
                zorder=4,
            )

    def _draw_others(self):
        """Classifiers without a bound, above the smallest one that they keep."""
        if self.others is None:
            return
        marks = zip("sD^vP*X", self.others.iterrows(), strict=False)
        for mark, (name, row) in marks:
            self.axes_[0].plot(
                abs(row["bias"]),
                row["accuracy"],
                mark,
                color="0.25",
                label=f"{name}, at its bias",
            )

    def _draw_frame(self):
        above, below = self.axes_
        largest = 1.05 * max([*self.table.index, *self._drawn_biases()])
        below.plot([0, largest], [0, largest], color="0.4", ls="--", lw=1, label="the bound")
        below.fill_between([0, largest], [0, largest], color="0.93", zorder=0)
        notion = "" if self.constraint is None else f" ({self.constraint.replace('_', ' ')})"
        above.set(ylabel="balanced accuracy")
        below.set(xlabel="bound on the bias: tolerance", ylabel=f"|bias|{notion}")
        below.set_xlim(0, largest)
        below.set_ylim(bottom=0)
        above.set_xlim(0, largest)
        above.legend(frameon=False, loc="lower right", fontsize="small")
        below.legend(frameon=False, loc="upper left", fontsize="small")

    def _drawn_biases(self):
        return [] if self.others is None else self.others["bias"].abs()


def judge(model, X, y, sensitive_features, constraint):
    """Balanced accuracy and signed bias of a classifier, each with a standard error.

    Parameters
    ----------
    model : classifier
        Fitted.
    X, y, sensitive_features : array-like
        Rows that it has not seen.
    constraint : Constraint
        Bias measure.

    Returns
    -------
    measures : dict of str to float
        `accuracy`, `accuracy_error`, `bias` and `bias_error`.
    """
    y_pred = predict_labels(model, X, sensitive_features)
    codes, classes = encode_labels(y)
    if isinstance(unwrap(model), NeuralNet):  # which knows classes by number
        y_pred = classes[np.asarray(y_pred, dtype=int)]
    decided = np.searchsorted(classes, y_pred)
    recalls = recall_score(y, y_pred, average=None, labels=classes, zero_division=0)
    groups = encode_groups(sensitive_features, len(codes))
    shape = len(classes), len(groups.names)
    rates = prediction_rates(decided, codes, groups.codes, *shape)
    counts = cell_counts(codes, groups.codes, *shape)
    if len(classes) == 2:
        error = constraint.standard_error(rates, counts)[0]
    else:
        gaps, errors = (
            one(rates, counts) for one in (constraint.class_gaps, constraint.class_errors)
        )
        error = constraint.over_classes(gaps, errors)
    return {
        "accuracy": float(balanced_accuracy_score(y, y_pred)),
        "accuracy_error": float(
            np.sqrt((recalls * (1 - recalls) / np.bincount(codes)).sum()) / len(classes)
        ),
        "bias": float(
            signed_bias(y, y_pred, sensitive_features=sensitive_features, constraint=constraint)
        ),
        "bias_error": float(error),
    }


def _checked_tolerances(estimator, tolerances):
    if "tolerance" not in estimator.get_params(deep=False):
        raise ValueError(
            f"estimator must have a parameter tolerance; {type(estimator).__name__} has none."
        )
    tolerances = sorted({float(tolerance) for tolerance in tolerances})
    if not tolerances:
        raise ValueError("tolerances is empty; at least one bound is needed.")
    for tolerance in tolerances:
        check_tolerance(tolerance)
    return tolerances


def _checked_test(*parts):
    """Test rows, labels and groups; None where there are none."""
    given = [part is not None for part in parts]
    if any(given) and not all(given):
        raise ValueError(
            "give X_test, y_test and sensitive_features_test together, or none of them."
        )
    return parts if all(given) else None


def _biased(estimator):
    """The fitted classifier inside, or None."""
    biased = getattr(estimator, "estimator", None)
    return biased if biased is not None and is_fitted(biased) else None


def _fit(estimator, tolerance, X, y, sensitive_features):
    """A clone fitted for a bound, and whether it did not warn that it missed it."""
    model, biased = clone(estimator), _biased(estimator)
    if biased is not None:
        model.set_params(estimator=biased)  # of a fitted tree clone keeps nothing
    model.set_params(tolerance=tolerance)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, sensitive_features=sensitive_features)
    missed = [one for one in caught if issubclass(one.category, FairnessNotReachedWarning)]
    for one in caught:
        if one not in missed:  # that a bound is missed is what the picture shows
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return model, not missed


def _claims(model):
    """What a fitted classifier says of itself; NaN where it says nothing."""
    names = {
        "claimed_accuracy": "balanced_accuracy_",
        "claimed_bias": "bias_",
        "claimed_error": "bias_standard_error_",
    }
    return {key: float(getattr(model, name, np.nan)) for key, name in names.items()}


def _line(tolerance, row):
    """One line on a fit."""
    text = (
        f"tolerance {tolerance:g}: balanced accuracy {row['claimed_accuracy']:.3f}, "
        f"bias {row['claimed_bias']:+.3f} +- {row['claimed_error']:.3f}"
    )
    if "bias" in row:
        text += f" (measured {row['accuracy']:.3f}, {row['bias']:+.3f})"
    return text if row["reached"] else f"{text}, not reached"
