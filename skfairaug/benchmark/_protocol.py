"""The protocol of the paper's tables: split, train a biased net, debias it, judge once."""

import time
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from joblib import Memory, Parallel, delayed
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping, LRScheduler
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from skfairaug._finetuner import FairAugmentFineTuner
from skfairaug._inputs._contexts import isolated_random_state
from skfairaug._inputs._groups import encode_groups
from skfairaug.benchmark._alone import one_thread
from skfairaug.benchmark._sensitive import without_sensitive
from skfairaug.datasets._adult import fetch_adult
from skfairaug.datasets._bank import fetch_bank
from skfairaug.datasets._compas import fetch_compas
from skfairaug.datasets._german import fetch_german
from skfairaug.metrics._hard import bias
from skfairaug.metrics._threshold import threshold_curve
from skfairaug.modules._mlp import TabularMLP

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
class Split:
    """One part of a data set: standardised float32 rows, labels 0/1 and group codes."""

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray


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


def split_rows(n_samples, seed):
    """Indices of 60% training, 20% validation and 20% test rows.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    seed : int
        Seed of the split.

    Returns
    -------
    parts : tuple of ndarray
        Indices of the training, validation and test part.
    """
    train, rest = train_test_split(np.arange(n_samples), test_size=0.4, random_state=seed)
    validation, test = train_test_split(rest, test_size=0.5, random_state=seed)
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
    bunch = FETCHERS[data](data_home, sensitive=sensitive, encode="onehot")
    frame = bunch.data
    if drop_sensitive:
        frame = without_sensitive(frame, bunch.sensitive_features)
    X = frame.to_numpy(dtype=np.float64)
    y = bunch.target.to_numpy()
    groups = encode_groups(bunch.sensitive_features, len(y)).codes
    train, validation, test = split_rows(len(y), seed)
    if validation_rows is not None and validation_rows < len(validation):
        validation, _ = train_test_split(
            validation,
            train_size=validation_rows,
            random_state=seed,
            stratify=2 * y[validation] + groups[validation],
        )
    scaler = StandardScaler().fit(X[train])
    X = scaler.transform(X).astype(np.float32)
    return [Split(X[i], y[i], groups[i]) for i in (train, validation, test)]


def train_biased_net(train, seed, *, batch_size=256, patience=10, floor=0.0, callbacks=()):
    """The network of the paper's tables, trained on accuracy alone.

    Parameters
    ----------
    train : Split
        Rows; a tenth of them stops the training.
    seed : int
        Seed of the weights.
    batch_size, patience : int
        Rows of a batch; epochs without improvement before it stops.
    floor : float, default=0.0
        Start again, twice as patient, while the best balanced accuracy on the tenth
        is below; three times at most.
    callbacks : sequence of skorch callbacks, default=()
        More callbacks.

    Returns
    -------
    net : NeuralNetClassifier
        Fitted.
    seconds : float
        What it took.
    """
    start = time.perf_counter()
    fit, held = train_test_split(
        np.arange(len(train.y)), test_size=0.1, stratify=train.y, random_state=seed
    )
    held_out = Dataset(train.X[held], train.y[held])
    for attempt in range(3):
        patient = patience * 2**attempt
        with isolated_random_state(seed + 1000 * attempt):
            net = NeuralNetClassifier(
                TabularMLP,
                module__n_features=train.X.shape[1],
                criterion=torch.nn.CrossEntropyLoss,
                optimizer=torch.optim.Adam,
                lr=1e-3,
                batch_size=batch_size,
                max_epochs=30 * patient,
                train_split=predefined_split(held_out),
                callbacks=[
                    EarlyStopping(patience=patient, load_best=True, sink=_quiet),
                    LRScheduler(
                        "ReduceLROnPlateau",
                        monitor="valid_loss",
                        patience=max(3, patient // 3),
                    ),
                    *callbacks,
                ],
                iterator_train__shuffle=True,
                iterator_train__drop_last=True,
                verbose=0,
            ).fit(train.X[fit], train.y[fit])
        net.train_split = None  # nothing of the data stays in the net
        score = net.predict_proba(train.X[held])[:, 1]
        curve = threshold_curve(
            train.y[held], score, np.zeros(len(held), int), "statistical_parity", 1
        )
        if curve.balanced_accuracy.max() >= floor:
            break
    return net, time.perf_counter() - start


def judge(y_pred, split, constraint):
    """Balanced accuracy and signed bias of predictions."""
    return (
        float(balanced_accuracy_score(split.y, y_pred)),
        float(bias(split.y, y_pred, sensitive_features=split.groups, constraint=constraint)),
    )


def best_threshold_predictions(net, validation, test):
    """Test predictions of the biased net at its most accurate threshold."""
    curve = threshold_curve(
        validation.y,
        net.predict_proba(validation.X)[:, 1],
        validation.groups,
        "statistical_parity",
    )
    cut = curve.thresholds[curve.balanced_accuracy.argmax()]
    return (net.predict_proba(test.X)[:, 1].astype(np.float64) > cut).astype(int)


@one_thread()
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
    data, sensitive : str
        The data set and its sensitive feature.
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
    splits = load_splits(data, sensitive, seed, data_home, validation_rows, drop_sensitive)
    train_net = Memory(cache_dir, verbose=0).cache(train_biased_net)
    # Without groups, so that one trained network serves every sensitive feature.
    rows = replace(splits[0], groups=np.empty(0))
    net, seconds = train_net(rows, seed, **TRAINING[data])
    return splits, net, seconds


@one_thread()
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


def run_seed(
    data,
    sensitive,
    constraint,
    tolerance,
    seed,
    *,
    data_home=None,
    validation_rows=None,
    training_rows=None,
    drop_sensitive=False,
    cache_dir=None,
    **params,
):
    """Run the protocol once: split, train, debias, judge on test rows.

    Parameters
    ----------
    data, sensitive, constraint : str
        The setting.
    tolerance : float
        Bias allowed.
    seed : int
        Seed of split, network and debiasing.
    data_home : str or path, default=None
        Folder with the official files.
    validation_rows : int, default=None
        Cut the validation part to so many rows.
    training_rows : {"train", "choose"}, default=None
        Fine-tune on the training rows too. With "choose" they also choose epoch and
        threshold, which is sound only where the network does not fit them better than
        new rows.
    drop_sensitive : bool, default=False
        Leave out the columns that say the group.
    cache_dir : str or path, default=None
        Where trained networks are kept for the next run; None trains anew.
    **params : dict
        Parameters of :class:`~skfairaug.FairAugmentFineTuner`.

    Returns
    -------
    run : Run
        What came out.
    """
    splits, net, net_seconds = prepare(
        data,
        sensitive,
        seed,
        data_home=data_home,
        validation_rows=validation_rows,
        drop_sensitive=drop_sensitive,
        cache_dir=cache_dir,
    )
    tuner = FairAugmentFineTuner(
        net, constraint=constraint, tolerance=tolerance, random_state=seed, **params
    )
    return debias(tuner, splits, seed, training_rows=training_rows, net_seconds=net_seconds)


def run_seeds(seeds, *, n_jobs=None, **setting):
    """Yield the runs of several seeds as they end, fanned out by joblib.

    Parameters
    ----------
    seeds : iterable of int
        Seeds.
    n_jobs : int, default=None
        Processes.
    **setting : dict
        Arguments of :func:`run_seed`.

    Yields
    ------
    run : Run
        One per seed, in the order of ending.
    """
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    yield from parallel(delayed(run_seed)(seed=seed, **setting) for seed in seeds)


def summary(runs, tolerance):
    """Means over runs, the share of seeds inside the bound, and median seconds."""
    frame = {name: np.array([asdict(run)[name] for run in runs]) for name in asdict(runs[0])}
    return {
        "balanced_accuracy": frame["balanced_accuracy"].mean(),
        "balanced_accuracy_std": frame["balanced_accuracy"].std(),
        "abs_bias": np.abs(frame["bias"]).mean(),
        "inside": (np.abs(frame["bias"]) < tolerance).mean(),
        "phi": frame["phi"].mean(),
        "seconds": float(np.median(frame["seconds"])),
    }


def _quiet(message):
    """Sink for callbacks that print."""
