"""The protocol of the paper's tables: split, train a biased net, debias it, judge once."""

import time
from dataclasses import dataclass, replace

import numpy as np
from joblib import Memory
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skfairaug._inputs._groups import encode_groups
from skfairaug.benchmark import compare
from skfairaug.benchmark._alone import alone
from skfairaug.benchmark._biased_net import Split, best_threshold_predictions, train_biased_net
from skfairaug.benchmark._sensitive import without_sensitive
from skfairaug.benchmark._splits import split_rows
from skfairaug.datasets import fetch_adult, fetch_bank, fetch_compas, fetch_german
from skfairaug.metrics import bias

FETCHERS = {
    "adult": fetch_adult,
    "bank": fetch_bank,
    "compas": fetch_compas,
    "german": fetch_german,
}

#: How each biased network is trained. The small tables plateau near chance unless
#: training is patient; below `floor` (balanced accuracy) it starts again, twice as so.
TRAINING = {
    "adult": {"batch_size": 64, "patience": 10, "floor": 0.0},
    "bank": {"batch_size": 64, "patience": 10, "floor": 0.0},
    "compas": {"batch_size": 64, "patience": 30, "floor": 0.62},
    "german": {"batch_size": 64, "patience": 60, "floor": 0.62},
}


@dataclass(frozen=True)
class Run:
    """One seed of one setting, judged on test rows."""

    seed: int
    balanced_accuracy: float
    bias: float
    phi: float
    seconds: float
    validation_balanced_accuracy: float
    validation_bias: float
    probability_inside: float
    biased_balanced_accuracy: float
    biased_bias: float
    net_seconds: float


def load_table(data, sensitive, data_home=None, drop_sensitive=False):
    """Rows, labels and groups of a public table.

    Parameters
    ----------
    data : {"adult", "bank", "compas", "german"}
        Data set.
    sensitive : str
        Its sensitive feature.
    data_home : str or path, default=None
        Folder with the official files.
    drop_sensitive : bool, default=False
        Leave out the columns that say the group.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Rows, one-hot encoded.
    y : ndarray of shape (n_samples,)
        Labels, 0 or 1.
    sensitive_features : Series of length n_samples
        Groups.
    """
    bunch = FETCHERS[data](data_home, sensitive=sensitive, encode="onehot")
    frame = bunch.data
    if drop_sensitive:
        frame = without_sensitive(frame, bunch.sensitive_features)
    return frame.to_numpy(dtype=np.float64), bunch.target.to_numpy(), bunch.sensitive_features


def parts_of(y, groups, seed, validation_rows=None):
    """Indices of training, validation and test rows (60/20/20).

    Parameters
    ----------
    y, groups : ndarray of shape (n_samples,)
        Labels and codes of groups.
    seed : int
        Seed of the split.
    validation_rows : int, default=None
        Keep so many rows of the validation part, stratified by label and group.

    Returns
    -------
    parts : tuple of ndarray
        Indices of the training, validation and test part.
    """
    train, validation, test = split_rows(len(y), seed)
    if validation_rows is not None and validation_rows < len(validation):
        validation, _ = train_test_split(
            validation,
            train_size=validation_rows,
            random_state=seed,
            stratify=2 * y[validation] + groups[validation],
        )
    return train, validation, test


def load_splits(
    data, sensitive, seed, data_home=None, validation_rows=None, drop_sensitive=False
):
    """Train, validation and test part (60/20/20), standardised on train.

    Parameters
    ----------
    data : {"adult", "bank", "compas", "german"}
        Data set.
    sensitive : str
        Its sensitive feature.
    seed : int
        Seed of the splits.
    data_home : str or path, default=None
        Folder with the official files.
    validation_rows : int, default=None
        Keep so many rows of the validation part, stratified by label and group.
    drop_sensitive : bool, default=False
        Leave out the columns that say the group.

    Returns
    -------
    splits : list of Split
        Train, validation, test.
    """
    X, y, sensitive_features = load_table(data, sensitive, data_home, drop_sensitive)
    groups = encode_groups(sensitive_features, len(y)).codes
    parts = parts_of(y, groups, seed, validation_rows)
    X = StandardScaler().fit(X[parts[0]]).transform(X).astype(np.float32)
    return [Split(X[i], y[i], groups[i]) for i in parts]


def train_network(X, y, seed, *, data, train=train_biased_net):
    """The biased network of a data set, for :func:`~skfairaug.benchmark.compare`.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Training rows.
    y : ndarray of shape (n_samples,)
        Labels, 0 or 1.
    seed : int
        Seed of the weights.
    data : {"adult", "bank", "compas", "german"}
        Decides how patiently it is trained.
    train : callable, default=train_biased_net
        What trains it, such as one that remembers.

    Returns
    -------
    net : NeuralNetClassifier
        Fitted.
    """
    return train(Split(X, y, np.empty(0)), seed, **TRAINING[data])[0]


def run_methods(
    methods,
    table,
    seeds,
    *,
    estimator,
    constraint,
    tolerance,
    validation_rows=None,
    training_rows=None,
    n_jobs=None,
    path=None,
):
    """Run methods over seeds: each is fitted, and judged once on test rows.

    Parameters
    ----------
    methods : dict of str to classifier
        Name -> estimator.
    table : tuple
        Rows, labels and groups, as :func:`load_table` gives them.
    seeds : list of int
        Seeds of splits, networks and methods.
    estimator : callable or None
        What trains the biased classifier.
    constraint : str
        Bias measure.
    tolerance : float
        Bias allowed.
    validation_rows : int, default=None
        Cut the validation part to so many rows.
    training_rows : {"train", "choose"}, default=None
        Pass the training rows along too: they train and measure the bias. With "choose"
        they count as rows that the biased classifier has not seen, and also choose epoch
        and threshold, which is sound only where it does not fit them better than new rows.
    n_jobs : int, default=None
        Processes.
    path : path, default=None
        CSV file to which each result is appended; resumes.

    Returns
    -------
    results : DataFrame
        As :func:`~skfairaug.benchmark.compare` gives them.
    """
    X, y, sensitive_features = table
    groups = encode_groups(sensitive_features, len(y)).codes
    splits = {seed: parts_of(y, groups, seed, validation_rows) for seed in seeds}
    if training_rows == "choose":
        splits = {
            seed: (train, np.concatenate([validation, train]), test)
            for seed, (train, validation, test) in splits.items()
        }
    return compare(
        methods,
        X,
        y,
        sensitive_features=sensitive_features,
        estimator=estimator,
        preprocessor=StandardScaler(),
        constraint=constraint,
        tolerance=tolerance,
        held_out=training_rows == "train",
        cv=splits,
        n_jobs=n_jobs,
        path=path,
    )


def judge(y_pred, split, constraint):
    """Balanced accuracy and signed bias of predictions."""
    return (
        float(balanced_accuracy_score(split.y, y_pred)),
        float(bias(split.y, y_pred, sensitive_features=split.groups, constraint=constraint)),
    )


def prepare(
    data,
    sensitive,
    seed,
    *,
    data_home=None,
    validation_rows=None,
    drop_sensitive=False,
    cache_dir=None,
):
    """Load one split and train its biased network.

    Parameters
    ----------
    data : {"adult", "bank", "compas", "german"}
        Data set.
    sensitive : str
        Its sensitive feature.
    seed : int
        Seed of split and network.
    data_home : str or path, default=None
        Folder with the official files.
    validation_rows : int, default=None
        Cut the validation part to so many rows.
    drop_sensitive : bool, default=False
        Leave out the columns that say the group.
    cache_dir : str or path, default=None
        Where trained networks are kept for the next run; None trains anew.

    Returns
    -------
    splits : list of Split
        Train, validation, test.
    net : NeuralNetClassifier
        Trained on the first.
    seconds : float
        What training took, when it was done.
    """
    with alone(seed):
        splits = load_splits(data, sensitive, seed, data_home, validation_rows, drop_sensitive)
        train_net = Memory(cache_dir, verbose=0).cache(train_biased_net)
        # Without groups, so that one trained network serves every sensitive feature.
        rows = replace(splits[0], groups=np.empty(0))
        net, seconds = train_net(rows, seed, **TRAINING[data])
    return splits, net, seconds


def debias(tuner, splits, seed, *, training_rows=None, net_seconds=0.0):
    """Fit a tuner on validation rows and judge it on test rows, once.

    Parameters
    ----------
    tuner : FairAugmentFineTuner
        Holds the fitted net, the constraint and the tolerance.
    splits : list of Split
        Train, validation, test.
    seed : int
        To be reported.
    training_rows : {"train", "choose"}, default=None
        Fine-tune on the training rows too. With "choose" they also choose epoch and
        threshold, which is sound only where the network does not fit them better than
        new rows.
    net_seconds : float, default=0.0
        To be reported.

    Returns
    -------
    run : Run
        What came out.
    """
    train, validation, test = splits
    net, constraint = tuner.estimator, tuner.constraint
    before = judge(best_threshold_predictions(net, validation, test), test, constraint)
    X, y, groups, held_out = validation.X, validation.y, validation.groups, None
    if training_rows is not None:
        X = np.concatenate([X, train.X])
        y = np.concatenate([y, train.y])
        groups = np.concatenate([groups, train.groups])
        if training_rows == "train":
            held_out = np.arange(len(y)) < len(validation.y)
    with alone(seed):
        start = time.perf_counter()
        tuner.fit(X, y, sensitive_features=groups, held_out=held_out)
        seconds = time.perf_counter() - start
    accuracy, gap = judge(tuner.predict(test.X), test, constraint)
    return Run(
        seed=seed,
        balanced_accuracy=accuracy,
        bias=gap,
        phi=accuracy if abs(gap) < tuner.tolerance else 0.0,
        seconds=seconds,
        validation_balanced_accuracy=tuner.balanced_accuracy_,
        validation_bias=tuner.bias_,
        probability_inside=tuner.probability_inside_,
        biased_balanced_accuracy=before[0],
        biased_bias=before[1],
        net_seconds=net_seconds,
    )
