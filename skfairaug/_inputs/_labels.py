"""Labels as codes, of which the favourable one is 1, and the order of a network's outputs."""

import warnings

import numpy as np
import pandas as pd

from skfairaug._inputs._checks import encode_labels

#: Rows on which a classifier is asked whether it contradicts the labels.
CHANCE_ROWS = 2048

#: Standard errors below chance from which a network's outputs seem to be the other way round.
SURE = 3.0


def encode_favourable(y, pos_label=None, name="y"):
    """Number the classes of `y` so that of two the favourable one is 1.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels: numbers, strings, bools, or a pandas column of any type of its own.
    pos_label : label, default=None
        The favourable one of two. None: the greater, of an ordered categorical by its own
        order.
    name : str, default="y"
        What error messages call `y`.

    Returns
    -------
    codes : ndarray of shape (n_samples,), int64
        Class of each row, an index into `labels`.
    labels : ndarray of shape (n_classes,)
        The distinct labels: sorted, but of two the favourable one is the last.

    Raises
    ------
    ValueError
        If `pos_label` is no label, or there are more than two; and as
        :func:`~skfairaug._inputs._checks.encode_labels` does.

    Examples
    --------
    >>> from skfairaug._inputs._labels import encode_favourable
    >>> codes, labels = encode_favourable(["refused", "granted"], pos_label="granted")
    >>> codes.tolist(), labels.tolist()
    ([0, 1], ['refused', 'granted'])
    """
    codes, classes = encode_labels(y, name)
    if pos_label is not None and len(classes) > 2:
        raise ValueError(
            f"pos_label={pos_label!r} tells the favourable one of two labels, but {name} holds "
            f"{len(classes)}: {classes.tolist()}. Leave it None: each is set against the rest."
        )
    if pos_label is not None and pos_label not in classes.tolist():
        raise ValueError(
            f"pos_label={pos_label!r} is not a label of {name}; expected one of "
            f"{classes.tolist()}."
        )
    if pos_label is None:
        pos_label = greatest(y, classes)
    if len(classes) > 2 or pos_label == classes[-1]:
        return codes, classes
    return 1 - codes, classes[::-1].copy()


def greatest(y, classes):
    """The greatest of the sorted classes of `y`, by the order of an ordered categorical."""
    kind = getattr(y, "dtype", None)
    if isinstance(kind, pd.CategoricalDtype) and kind.ordered:
        present = set(classes.tolist())
        return [label for label in kind.categories.tolist() if label in present][-1]
    return classes[-1]


def in_class_order(values, labels):
    """Scores or probabilities by code as scikit-learn wants them, by sorted class.

    Parameters
    ----------
    values : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Scores of the class with code 1, or a column per code.
    labels : ndarray of shape (n_classes,)
        Label of each code.

    Returns
    -------
    values : ndarray of the same shape
        Scores of the greater class, or a column per sorted class.
    """
    order = np.argsort(labels, kind="stable")
    if values.ndim == 2:
        return values[:, order]
    return values if order[0] == 0 else -values


def output_order(estimator, labels):
    """Which of a fitted classifier's outputs belongs to each code.

    Parameters
    ----------
    estimator : classifier or torch.nn.Module
        What it calls its classes, ``classes_``, decides where those are the labels of `y`.
    labels : ndarray of shape (n_classes,)
        Label of each code.

    Returns
    -------
    order : list of int
        Labels 0, 1, ... (and bools) are outputs themselves. Outputs that are only numbered
        belong to other labels in their order, of two the second to the favourable one.

    Raises
    ------
    ValueError
        If the classifier knows as many other classes.
    """
    n_classes = len(labels)
    numbers, labels = list(range(n_classes)), labels.tolist()
    known = getattr(estimator, "classes_", None)
    known = numbers if known is None else np.asarray(known).tolist()
    if len(known) != n_classes:
        return numbers  # what is made of the outputs is checked where they are seen
    if set(known) == set(labels):
        return [known.index(label) for label in labels]
    if set(labels) == set(numbers) and set(known) == set(numbers):
        return [int(label) for label in labels]
    if set(known) != set(numbers):
        raise ValueError(
            f"the estimator was fitted on the classes {known}, but y holds {labels}: give the "
            "labels that it knows."
        )
    return numbers


def warn_below_chance(codes, predicted, labels, estimator, stacklevel):
    """Warn of a classifier whose balanced accuracy is below chance, by `SURE` standard errors.

    Parameters
    ----------
    codes, predicted : ndarray of shape (n_samples,), int
        Class of each row, and what the classifier says.
    labels : ndarray of shape (2,)
        Label of each code.
    estimator : classifier or torch.nn.Module
        Says, or does not, what its outputs are called.
    stacklevel : int
        As of :func:`warnings.warn`, from this function.
    """
    sizes = np.bincount(codes, minlength=2)
    recalls = np.bincount(codes[codes == predicted], minlength=2) / sizes
    accuracy, error = recalls.mean(), np.sqrt((0.25 / sizes).sum()) / 2
    if not accuracy < 0.5 - SURE * error:
        return
    labels = labels.tolist()
    if labels[0] in np.asarray(getattr(estimator, "classes_", [])).tolist():
        remedy = "Are these the labels that it was trained on, in the same coding?"
    else:
        remedy = (
            f"Its last output was taken to mean {labels[1]!r}. If it means {labels[0]!r}, and "
            f"that is the favourable label, pass pos_label={labels[0]!r}; otherwise say what "
            "its outputs are called: NeuralNetClassifier(module, classes=[...]) of skorch."
        )
    warnings.warn(
        f"the classifier's balanced accuracy on these rows is {accuracy:.3f}, below chance: it "
        f"seems to mean the other label. {remedy}",
        UserWarning,
        stacklevel=stacklevel,
    )
