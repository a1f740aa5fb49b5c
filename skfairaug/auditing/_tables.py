"""The tables of an audit, made of counts."""

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from scipy.stats import false_discovery_control

from skfairaug.auditing._measures import (
    MEASURES,
    cell_rates,
    count_decisions,
    group_gap,
    readable_groups,
)
from skfairaug.auditing._resampling import (
    bootstrap_counts,
    change_interval,
    gap_interval,
    interval,
    permutation_p_value,
    smooth_counts,
)
from skfairaug.metrics._multiple import holm

CORRECTIONS = {
    "holm": holm,
    "fdr_bh": lambda p_values: _where_tested(false_discovery_control, p_values),
    "none": np.asarray,
}


def metric_frame(feature, names, counts):
    """fairlearn's MetricFrame of a feature, with the measures of an audit.

    Parameters
    ----------
    feature : str
        Name of the sensitive feature.
    names : sequence of str
        Names of its groups.
    counts : ndarray of shape (n_groups, 2, 2)
        Rows by group, recorded label and decision.

    Returns
    -------
    frame : MetricFrame
        It is given the cells, weighted by their rows, so that a million rows take no
        longer than a hundred.
    """
    metrics = {name: _of_rows(measure) for name, measure in MEASURES.items()}
    group, label, decision = np.indices(counts.shape).reshape(3, -1)
    return MetricFrame(
        metrics=metrics,
        y_true=label,
        y_pred=decision,
        sensitive_features=pd.Series(np.asarray(names)[group], name=feature),
        sample_params={name: {"sample_weight": counts.ravel()} for name in metrics},
    )


def group_table(sample, when, settings, rng):
    """Size and measures of every group, with intervals.

    Parameters
    ----------
    sample : Sample
        Counts and draws.
    when : {"before", "after"}
        Whose decisions.
    settings : dict
        Level of the intervals and number of resamples.
    rng : numpy Generator
        Source of randomness.

    Returns
    -------
    table : DataFrame
        A row per feature and group.
    """
    tables = {}
    for feature, groups in sample.groupings.items():
        counts, _ = sample.of(feature, when)
        table = _with_intervals(counts, settings, rng)
        table.insert(0, "count", counts.sum((-2, -1)))
        tables[feature] = table.set_axis(list(groups.names))
    return pd.concat(tables, names=["feature", "group"])


def overall_table(sample, when, settings, rng):
    """Size and measures of all rows together, with intervals.

    Parameters
    ----------
    sample : Sample
        Counts and draws.
    when : {"before", "after"}
        Whose decisions.
    settings : dict
        Level of the intervals and number of resamples.
    rng : numpy Generator
        Source of randomness.

    Returns
    -------
    overall : Series
        As a row of :func:`group_table`.
    """
    feature = next(iter(sample.groupings))
    counts = sample.of(feature, when)[0].sum(-3, keepdims=True)
    table = _with_intervals(counts, settings, rng)
    table.insert(0, "count", counts.sum((-2, -1)))
    return table.loc[0].rename("overall")


def gap_table(sample, when, notions, settings, rng):
    """Every gap, its interval, its test and the verdict.

    Parameters
    ----------
    sample : Sample
        Counts and draws.
    when : {"before", "after"}
        Whose decisions.
    notions : list of Constraint
        The notions of fairness.
    settings : dict
        Level, tolerance, number of resamples and correction.
    rng : numpy Generator
        Source of randomness.

    Returns
    -------
    table : DataFrame
        A row per feature and notion.
    """
    rows = {}
    for feature, groups in sample.groupings.items():
        counts, _ = sample.of(feature, when)
        draws = _resample(counts, settings, rng)
        for notion in notions:
            gap = _gap(counts, draws, notion, groups.names, settings, rng)
            rows[feature, notion.name] = gap
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(rows, names=["feature", "notion"])
    adjusted = CORRECTIONS[settings["correction"]](table["p_value"].to_numpy())
    table.insert(4, "p_adjusted", adjusted)
    alpha = 1 - settings["confidence_level"]
    table.insert(5, "verdict", _verdicts(table, settings["tolerance"], alpha))
    return table


def gap_change_table(sample, notions, level):
    """How much the size of each gap changed, on the same resamples.

    Parameters
    ----------
    sample : Sample
        Counts and draws of both decisions.
    notions : list of Constraint
        The notions of fairness.
    level : float
        Level of the intervals.

    Returns
    -------
    table : DataFrame
        `change` is negative where the gap shrank; a row per feature and notion.
    """
    rows = {}
    for feature in sample.groupings:
        old, old_draws = sample.of(feature, "before")
        new, new_draws = sample.of(feature, "after")
        for notion in notions:
            kept = readable_groups(new, notion)  # before and after have the same cells
            if kept.sum() < 2:
                rows[feature, notion.name] = [np.nan] * 3
                continue
            change = _size(new[kept], notion) - _size(old[kept], notion)
            changes = _size(new_draws[:, kept], notion) - _size(old_draws[:, kept], notion)
            ends = change_interval(float(change), changes, level)
            rows[feature, notion.name] = [float(change), *ends]
    columns = ["change", "change_low", "change_high"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.set_index(pd.MultiIndex.from_tuples(rows, names=["feature", "notion"]))


def decision_change_table(sample):
    """How many people of each group get another decision.

    Parameters
    ----------
    sample : Sample
        Counts of both decisions.

    Returns
    -------
    table : DataFrame
        A row per feature and group.
    """
    tables = {}
    for feature, groups in sample.groupings.items():
        decided = sample.of(feature)[0].sum(1)  # group, before, after
        table = pd.DataFrame(
            {
                "count": decided.sum((1, 2)),
                "now_favourable": decided[:, 0, 1],
                "now_unfavourable": decided[:, 1, 0],
            },
            index=list(groups.names),
        )
        table["changed"] = table["now_favourable"] + table["now_unfavourable"]
        table["share_changed"] = table["changed"] / table["count"]
        tables[feature] = table
    return pd.concat(tables, names=["feature", "group"])


def _of_rows(measure):
    """A measure of counts as fairlearn wants it, of rows."""

    def metric(y_true, y_pred, sample_weight):
        return float(measure(count_decisions(y_true, y_pred, sample_weight)))

    return metric


def _resample(counts, settings, rng):
    """Samples of the rows, from rates that are smoothed where all were decided alike."""
    return bootstrap_counts(smooth_counts(counts), settings["n_resamples"], rng)


def _with_intervals(counts, settings, rng):
    draws, level = _resample(counts, settings, rng), settings["confidence_level"]
    columns = {}
    for name, measure in MEASURES.items():
        columns[name] = measure(counts)
        columns[f"{name}_low"], columns[f"{name}_high"] = interval(measure(draws), level)
    return pd.DataFrame(columns)


def _gap(counts, draws, notion, names, settings, rng):
    """One gap, its interval, its test, and the groups that make it."""
    readable = readable_groups(counts, notion)
    if readable.sum() < 2:
        unknown = dict.fromkeys(["gap", "gap_low", "gap_high", "p_value"], np.nan)
        return unknown | {"lowest": "", "highest": "", "ratio": np.nan}
    counts, draws = counts[readable], draws[:, readable]
    names = np.asarray(names)[readable]
    low, high = gap_interval(counts, draws, notion, settings["confidence_level"])
    values = notion.statistics(*cell_rates(counts, notion))
    binding = values[:, np.ptp(values, axis=0).argmax()]
    ratio = np.nan  # a ratio of averaged rates means nothing
    if np.size(notion.weights) == 1 and binding.max() > 0:
        ratio = binding.min() / binding.max()
    return {
        "gap": float(group_gap(counts, notion)),
        "gap_low": float(low),
        "gap_high": float(high),
        "p_value": permutation_p_value(counts, notion, settings["n_resamples"], rng),
        "lowest": names[binding.argmin()],
        "highest": names[binding.argmax()],
        "ratio": ratio,
    }


def _verdicts(gaps, tolerance, alpha):
    """See the Notes of `audit`."""
    inside = np.maximum(gaps["gap_low"].abs(), gaps["gap_high"].abs()) < tolerance
    beyond = (gaps["gap_low"] >= tolerance) | (gaps["gap_high"] <= -tolerance)
    return np.select(
        [gaps["gap"].isna(), inside, beyond & (gaps["p_adjusted"] < alpha)],
        ["not measured", "within", "outside"],
        "undecided",
    )


def _size(counts, notion):
    return np.abs(group_gap(counts, notion))


def _where_tested(correct, p_values):
    """Correct the p-values that are there."""
    adjusted = np.array(p_values, dtype=float)
    tested = ~np.isnan(adjusted)
    if tested.any():
        adjusted[tested] = correct(adjusted[tested])
    return adjusted
