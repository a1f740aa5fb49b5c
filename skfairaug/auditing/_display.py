"""GroupMetricsDisplay: the measures of every group, with intervals, before and after."""

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skfairaug.auditing._audit import audit, audit_predictions
from skfairaug.auditing._measures import MEASURES
from skfairaug.auditing._panels import (
    MEASURES_DRAWN,
    draw_measures,
    figure_size,
    make_panels,
)


class GroupMetricsDisplay:
    """Picture of the measures of every group, one panel per measure.

    Make one with :meth:`from_audit`, :meth:`from_estimator` or :meth:`from_predictions`.
    Needs matplotlib (``pip install skfairaug[plot]``).

    Parameters
    ----------
    by_group : DataFrame
        A row per group; for each measure a column, and the ends of its interval in
        columns that end in ``_low`` and ``_high``.
    before : DataFrame, default=None
        The same for the model that was replaced.
    overall : Series, default=None
        The measures of all groups together, drawn as lines.
    measures : sequence of str, default=("selection_rate", "true_positive_rate", \
"false_positive_rate", "accuracy")
        Columns to draw.
    title : str, default=None
        What the groups are.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_measures,)
        Axes with the panels.
    figure_ : matplotlib Figure
        Figure with the axes.
    points_ : list of matplotlib ErrorbarContainer
        The model's groups, one entry per panel.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfairaug.auditing import GroupMetricsDisplay
    >>> by_group = pd.DataFrame(
    ...     {"accuracy": [0.7, 0.8], "accuracy_low": [0.6, 0.75], "accuracy_high": [0.8, 0.85]},
    ...     index=["f", "m"])
    >>> display = GroupMetricsDisplay(by_group=by_group, measures=["accuracy"])
    """

    def __init__(
        self, *, by_group, before=None, overall=None, measures=MEASURES_DRAWN, title=None
    ):
        self.by_group = by_group
        self.before = before
        self.overall = overall
        self.measures = measures
        self.title = title

    @classmethod
    def from_audit(cls, report, *, feature=None, measures=MEASURES_DRAWN, axes=None, **kwargs):
        """Draw an audit, with the model it replaces if that was audited too.

        Parameters
        ----------
        report : AuditReport
            What :func:`~skfairaug.audit` returned.
        feature : str, default=None
            Sensitive feature to draw; None takes the first.
        measures : sequence of str, default=("selection_rate", "true_positive_rate", \
"false_positive_rate", "accuracy")
            Measures to draw, columns of ``report.by_group``.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each measure; None makes a figure.
        **kwargs : dict
            Passed to matplotlib's ``errorbar``.

        Returns
        -------
        display : GroupMetricsDisplay
            Its picture is drawn.

        Raises
        ------
        ValueError
            If the report has no such feature or measure.
        """
        features = report.settings["features"]
        feature = features[0] if feature is None else feature
        if feature not in features:
            raise ValueError(f"feature must be one of {features}; got {feature!r}.")
        display = cls(
            by_group=report.by_group.loc[feature],
            before=None if report.before is None else report.before.by_group.loc[feature],
            overall=report.overall,
            measures=measures,
            title=feature,
        )
        return display.plot(axes, **kwargs)

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, sensitive_features, before=None, axes=None, **kwargs
    ):
        """Audit a classifier and draw the result.

        Parameters
        ----------
        estimator : classifier
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Recorded labels.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Group of every row.
        before : classifier or array-like of shape (n_samples,), default=None
            What it replaces, or the decisions of that.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each measure; None makes a figure.
        **kwargs : dict
            Passed to :func:`~skfairaug.audit`, or `feature` and `measures` to
            :meth:`from_audit`.

        Returns
        -------
        display : GroupMetricsDisplay
            Its picture is drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        drawn = {key: kwargs.pop(key) for key in ("feature", "measures") if key in kwargs}
        report = audit(
            estimator, X, y, sensitive_features=sensitive_features, before=before, **kwargs
        )
        return cls.from_audit(report, axes=axes, **drawn)

    @classmethod
    def from_predictions(
        cls, y_true, y_pred, *, sensitive_features, before=None, axes=None, **kwargs
    ):
        """Audit decisions and draw the result.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Recorded labels.
        y_pred : array-like of shape (n_samples,)
            Decisions.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Group of every row.
        before : array-like of shape (n_samples,), default=None
            Decisions that these replace.
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each measure; None makes a figure.
        **kwargs : dict
            Passed to :func:`audit_predictions`, or `feature` and `measures` to
            :meth:`from_audit`.

        Returns
        -------
        display : GroupMetricsDisplay
            Its picture is drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        drawn = {key: kwargs.pop(key) for key in ("feature", "measures") if key in kwargs}
        report = audit_predictions(
            y_true, y_pred, sensitive_features=sensitive_features, before=before, **kwargs
        )
        return cls.from_audit(report, axes=axes, **drawn)

    def plot(self, axes=None, **kwargs):
        """Draw the picture.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each measure; None makes a figure.
        **kwargs : dict
            Passed to matplotlib's ``errorbar``.

        Returns
        -------
        display : GroupMetricsDisplay
            This one.

        Raises
        ------
        ValueError
            If a measure is not in the table, or there is not one of the axes for each.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        unknown = [name for name in self.measures if name not in self.by_group]
        if unknown:
            raise ValueError(f"measures {unknown} are not known; expected of {list(MEASURES)}.")
        if axes is None:
            import matplotlib.pyplot as plt

            size = figure_size(self.by_group, self.measures)
            axes = make_panels(plt.figure(figsize=size, layout="constrained"), self.measures)
        self.axes_ = np.atleast_1d(axes)
        if len(self.axes_) != len(self.measures):
            raise ValueError(
                f"{len(self.measures)} measures need as many axes; got {len(self.axes_)}."
            )
        self.figure_ = self.axes_[0].figure
        self.points_ = draw_measures(
            self.axes_,
            self.by_group,
            self.measures,
            before=self.before,
            overall=self.overall,
            title=self.title,
            **kwargs,
        )
        return self
