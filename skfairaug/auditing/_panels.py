"""One panel per measure, one row per group: drawing, shared by display and page."""

import numpy as np

MEASURES_DRAWN = ("selection_rate", "true_positive_rate", "false_positive_rate", "accuracy")
BEFORE = {"color": "#b3541e", "markerfacecolor": "white", "label": "before"}
AFTER = {"color": "#1e6bb3", "label": "after"}
OFFSET = 0.13  # of before and after from the middle of a group's row


def figure_size(by_group, measures):
    """Width and height in inches of a figure with a panel for each measure."""
    return 1.8 + 1.9 * len(measures), 1.3 + 0.42 * len(by_group)


def make_panels(figure, measures):
    """Axes side by side that share the groups."""
    return figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]


def draw_measures(axes, by_group, measures, *, before=None, overall=None, title=None, **kwargs):
    """Draw measures of groups with their intervals.

    Parameters
    ----------
    axes : sequence of matplotlib Axes
        One for each measure.
    by_group : DataFrame
        A row per group, as in a report.
    measures : sequence of str
        Columns to draw.
    before : DataFrame, default=None
        The same of another model.
    overall : Series, default=None
        The measures of all groups together.
    title : str, default=None
        What the groups are.
    **kwargs : dict
        Passed to ``errorbar``.

    Returns
    -------
    points : list of matplotlib ErrorbarContainer
        One for each measure.
    """
    rows = np.arange(len(by_group))
    offset = 0.0 if before is None else OFFSET
    points = []
    for ax, name in zip(axes, measures, strict=True):
        if overall is not None:
            ax.axvline(overall[name], color="0.75", linewidth=1, label="everybody, after")
        if before is not None:
            _draw_intervals(ax, before, name, rows - offset, BEFORE)
        points.append(_draw_intervals(ax, by_group, name, rows + offset, AFTER | kwargs))
        ax.set_title(name.replace("_", " "), fontsize="medium")
        ax.set_yticks(rows, [_plain(group) for group in by_group.index])
        ax.set_ylim(len(rows) - 0.5, -0.5)  # the first group on top
        ax.grid(axis="x", color="0.92")
        ax.set_axisbelow(True)
    if title is not None:
        axes[0].set_ylabel(_plain(title))
    if before is not None:
        handles, labels = axes[0].get_legend_handles_labels()
        place = {"loc": "outside lower center", "ncols": len(labels), "frameon": False}
        axes[0].figure.legend(handles, labels, **place)
    return points


def _draw_intervals(ax, table, name, rows, style):
    value = table[name].to_numpy(dtype=float)
    errors = np.zeros((2, len(value)))
    if f"{name}_low" in table:
        errors[0] = value - table[f"{name}_low"]
        errors[1] = table[f"{name}_high"] - value
    errors = np.nan_to_num(errors).clip(0)
    return ax.errorbar(value, rows, xerr=errors, **({"fmt": "o", "markersize": 5} | style))


def _plain(text):
    """Text that matplotlib does not take for mathematics."""
    return str(text).replace("$", r"\$")
