"""AuditReport: the tables of an audit, and the pages made of them."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skfairaug.auditing._pages import render_card, render_fragment, render_page
from skfairaug.auditing._tables import metric_frame


@dataclass
class AuditReport:
    """What :func:`~skfairaug.audit` found.

    Attributes
    ----------
    by_group : DataFrame
        Indexed by feature and group: `count` and, each with its interval in columns
        that end in ``_low`` and ``_high``, `base_rate` (share recorded as favourable),
        `selection_rate`, `true_positive_rate`, `false_positive_rate`, `accuracy` and
        `balanced_accuracy`. NaN where there are no rows to measure on.
    overall : Series
        The same of all rows together.
    gaps : DataFrame
        Indexed by feature and notion, the one that was asked for first: `gap` (two
        groups: signed, first minus second; more: largest minus smallest), `gap_low`,
        `gap_high`, `p_value`, `p_adjusted`, `verdict`, the groups `lowest` and
        `highest`, and the `ratio` of their rates. With a "before" also `change`, how
        much larger the size of the gap became, `change_low` and `change_high`.
    warnings : list of str
        What to know before believing the tables.
    settings : dict
        How it was measured.
    counts : dict of str to ndarray of shape (n_groups, 2, 2)
        Feature -> rows by group, recorded label and decision, unfavourable first: all that
        the tables are made of.
    before : AuditReport or None
        The report on the model that was replaced.
    changes : DataFrame or None
        Indexed by feature and group: `count`, how many people have a decision that is
        `now_favourable` or `now_unfavourable`, both (`changed`) and their share.
    """

    by_group: pd.DataFrame
    overall: pd.Series
    gaps: pd.DataFrame
    warnings: list
    settings: dict
    counts: dict = field(repr=False)
    before: Any = field(default=None, repr=False)
    changes: pd.DataFrame | None = field(default=None, repr=False)

    @cached_property
    def metric_frames(self):
        """fairlearn's frame of each feature, for what it can do beyond this report.

        Returns
        -------
        frames : dict of str to MetricFrame
            Feature -> frame.
        """
        return {
            feature: metric_frame(feature, self.by_group.loc[feature].index, counts)
            for feature, counts in self.counts.items()
        }

    @property
    def verdict(self):
        """The worst verdict on the notion that was asked for, over the features.

        Returns
        -------
        verdict : {"outside", "not measured", "undecided", "within"}
            In this order.
        """
        found = set(self.gaps.xs(self.settings["constraint"], level="notion")["verdict"])
        order = ("outside", "not measured", "undecided", "within")
        return next(verdict for verdict in order if verdict in found)

    def to_html(self, path=None, *, title="Fairness audit", model=None, data=None):
        """Make a page that stands alone: style and figures are in it, nothing is loaded.

        Parameters
        ----------
        path : str or path, default=None
            File to write; None returns the page.
        title : str, default="Fairness audit"
            Its title.
        model : str, default=None
            What was audited, in a sentence; None gives the name of the class.
        data : str, default=None
            Whose rows these are, when and how they were collected.

        Returns
        -------
        page : str or None
            The page if `path` is None. Every text in it is escaped.

        Raises
        ------
        ImportError
            If matplotlib, which draws the figures, is not installed.
        """
        check_matplotlib_support(f"{type(self).__name__}.to_html")
        return _write(render_page(self, title=title, model=model, data=data), path)

    def to_model_card(
        self,
        path=None,
        *,
        name=None,
        model=None,
        data=None,
        task="tabular-classification",
        metadata=None,
    ):
        """Make a model card in the format of the Hugging Face hub.

        Parameters
        ----------
        path : str or path, default=None
            File to write, usually ``README.md``; None returns the card.
        name : str, default=None
            Name of the model; None gives the name of the class.
        model : str, default=None
            What the model is and is for, as Markdown.
        data : str, default=None
            Name of the data it was judged on.
        task : str, default="tabular-classification"
            What the hub calls the task.
        metadata : dict, default=None
            Entries of the header beside those written here, such as
            ``{"license": "bsd-3-clause"}``; they win.

        Returns
        -------
        card : str or None
            The card if `path` is None: a YAML header with the results, then Markdown.
        """
        texts = {"name": name, "model": model, "data": data}
        return _write(render_card(self, task=task, metadata=metadata, **texts), path)

    def _repr_html_(self):
        return render_fragment(self)


def _write(text, path):
    if path is None:
        return text
    Path(path).write_text(text, encoding="utf-8")
    return None
