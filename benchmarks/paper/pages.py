"""A setting's page: the paper's number beside ours in every row, and a figure."""

from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd

from benchmarks.paper.published import PUBLISHED, Published
from benchmarks.paper.rows import OURS
from benchmarks.paper.tables import slug
from skfairaug.benchmark import ParetoDisplay, summarize

#: Differences of balanced accuracy up to this count as the published number.
LEVEL = 0.02


def table(setting, results):
    """Summary of a setting with the published numbers and what became of them.

    Parameters
    ----------
    setting : Setting
        Which one.
    results : DataFrame
        As :func:`compare` gives them.

    Returns
    -------
    table : DataFrame
        A row per method, in the order of the results.
    """
    reference = OURS if OURS in set(results["method"]) else None
    summary = summarize(results)
    tolerance = results["tolerance"].iloc[0]
    published = [PUBLISHED[setting].get(name, Published(None, None)) for name in summary.index]
    table = pd.DataFrame(
        {
            "paper BA": np.array([one.balanced_accuracy for one in published], dtype=float),
            "paper abs bias": np.array([one.bias for one in published], dtype=float),
            "BA": summary["balanced_accuracy"],
            "std": summary["balanced_accuracy_std"],
            "abs bias": summary["abs_bias"],
            "inside": summary["inside"],
            "claimed": summary["claimed"],
            "Phi": summary["phi"],
            "Phi low": summary["phi_low"],
            "Phi high": summary["phi_high"],
            "seconds": summary["fit_seconds"],
            "needs A": summary["needs_sensitive_features"].map({True: "yes", False: "no"}),
            "seeds": summary["n_splits"],
            "errors": summary["n_errors"],
        },
        index=summary.index,
    )
    if reference:
        for name, score in (("BA", "balanced_accuracy"), ("Phi", "phi")):
            tested = summarize(results, reference=reference, score=score)
            table[f"{name} - ours"] = tested["difference"]
            table[f"p of {name}"] = tested["p_value"]
    table["against the paper"] = [
        verdict(one, row["BA"], row["abs bias"], tolerance)
        for one, (_, row) in zip(published, table.iterrows(), strict=True)
    ]
    return table


def verdict(published, accuracy, size, tolerance):
    """In words, what became of a published number.

    Parameters
    ----------
    published : Published
        The paper's row.
    accuracy, size : float
        Our means of balanced accuracy and \\|bias\\|.
    tolerance : float
        Bound on the bias.

    Returns
    -------
    verdict : str
        Empty where the paper has no such row.
    """
    if published.balanced_accuracy is None:
        if published.bias is None:
            return ""
        ours = "out of bound" if size >= tolerance else "inside"
        return f"out of bound there, {ours} here"
    difference = accuracy - published.balanced_accuracy
    if np.isnan(difference):
        return "not reproduced: it failed"
    if abs(difference) <= LEVEL:
        return "reproduced"
    return "higher" if difference > 0 else "not reproduced: lower"


def write(setting, results, folder, name=None, note=None, comparable=True):
    """Write a setting's table (CSV and Markdown) and figure.

    Parameters
    ----------
    setting : Setting
        Which one.
    results : DataFrame
        As :func:`compare` gives them.
    folder : str or path
        Where to.
    name : str, default=None
        Of the files, without suffix; None takes :func:`slug`'s.
    note : str, default=None
        How the run differs from the published one, for the heading.
    comparable : bool, default=True
        Whether its numbers may be compared with the paper's.

    Returns
    -------
    table : DataFrame
        What was written.
    """
    from matplotlib.figure import Figure  # an extra: only pictures need it

    tolerance = results["tolerance"].iloc[0]
    stem = Path(folder) / (name or slug(setting, tolerance))
    rows = table(setting, results)
    if not comparable:
        rows = rows.drop(columns="against the paper")
    rows.to_csv(f"{stem}.csv", float_format="%.3f")
    title = f"{setting.title} within {tolerance:g}"
    if name and "-dropped" in name:
        title += ", group not in X"
    text = rows.reset_index().to_markdown(index=False, floatfmt=".3f", missingval="")
    heading = f"# {title}\n\n" + (f"{note}\n\n" if note else "")
    Path(f"{stem}.md").write_text(f"{heading}{text}\n")
    figure = Figure(figsize=(10, 8), layout="constrained")
    display = ParetoDisplay.from_results(results, ax=figure.subplots(), annotate="legend")
    right = 5 * tolerance
    beyond = rows.index[rows["abs bias"] > right].tolist()
    title += f"; further right: {', '.join(beyond)}" if beyond else ""
    display.ax_.set_title(fill(title, 80))
    display.ax_.set_xlim(right=right)
    shown = rows.drop(index=beyond)
    if len(shown):
        spread = shown["std"].fillna(0)
        low, high = (shown["BA"] - spread).min(), (shown["BA"] + spread).max()
        display.ax_.set_ylim(low - 0.01, high + 0.01)
    figure.savefig(f"{stem}.png", dpi=120)
    return rows
