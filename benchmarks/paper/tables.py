"""The paper's tables of tabular data, run again."""

from functools import partial
from pathlib import Path

import pandas as pd
from joblib import Memory
from sklearn.linear_model import LogisticRegression

from benchmarks.paper.protocol import load_table, run_methods, train_network
from benchmarks.paper.rows import (
    lightgbm,
    methods,
    strong_methods,
    train_strong_network,
    tree_methods,
)
from skfairaug.benchmark._biased_net import train_biased_net


def run_setting(
    setting,
    seeds,
    *,
    tolerance=0.05,
    drop_sensitive=False,
    training_rows=None,
    data_home=None,
    rows=None,
    n_jobs=None,
    folder,
    cache_dir,
):
    """Run the rows of a table in one setting; resumes.

    Parameters
    ----------
    setting : Setting
        Data, sensitive feature and measure.
    seeds : list of int
        Seeds of splits, networks and methods.
    tolerance : float, default=0.05
        Bias allowed.
    drop_sensitive : bool, default=False
        Leave out the columns that say the group.
    training_rows : {"train", "choose"}, default=None
        Pass the training rows along, see :func:`~benchmarks.paper.protocol.run_methods`.
    data_home : str or path, default=None
        Folder with the official files.
    rows : list of str, default=None
        Names of the methods to run; None runs all.
    n_jobs : int, default=None
        Processes.
    folder : str or path
        Where each result is appended to a CSV file.
    cache_dir : str or path
        Where trained networks are kept.

    Returns
    -------
    results : DataFrame
        As :func:`compare` gives them.
    """
    table = load_table(setting.data, setting.sensitive, data_home, drop_sensitive)
    remember = Memory(cache_dir, verbose=0).cache
    train = partial(train_network, data=setting.data, train=remember(train_biased_net))
    paper = methods(table[0].shape[1]), train
    strong = strong_methods(), remember(train_strong_network)
    forest = tree_methods(LogisticRegression)  # whose names count here
    known = [*paper[0], *strong[0], *forest]
    unknown = sorted(set(rows or ()) - set(known))
    if unknown:
        raise ValueError(f"no such rows: {unknown}; there are {known}.")
    if not rows or set(rows) & forest.keys():
        forest = tree_methods(lightgbm())
    name = slug(setting, tolerance, drop_sensitive, training_rows)
    parts = []
    for mitigators, train in (paper, strong, (forest, None)):
        wanted = {name: one for name, one in mitigators.items() if not rows or name in rows}
        if wanted:
            parts.append(
                run_methods(
                    wanted,
                    table,
                    seeds,
                    estimator=train,
                    constraint=setting.constraint,
                    tolerance=tolerance,
                    training_rows=training_rows,
                    n_jobs=n_jobs,
                    path=Path(folder) / f"{name}-runs.csv",
                )
            )
    return pd.concat(parts, ignore_index=True)


def slug(setting, tolerance, drop_sensitive=False, training_rows=None):
    """Name of a setting's files."""
    parts = [*setting, f"{tolerance:g}"] + ["dropped"] * drop_sensitive
    parts += [f"training-rows-{training_rows}"] if training_rows else []
    return "-".join(parts).replace("_", "-")
