"""What a skorch net takes and says: found, checked, trained, read."""

import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetRegressor
from torch.nn import functional as F

from skfairaug._inputs._adopt import (
    as_net,
    bare_net,
    cannot_take,
    check_device,
    check_weights,
    core_of,
    logits_in,
    not_a_net,
    steps_before,
    through_steps,
)
from skfairaug._inputs._contexts import evaluating, isolated_random_state, overriding
from skfairaug._inputs._given import (
    by_column,
    collected,
    holds_integers,
    is_array,
    is_dataset,
    is_named,
    named_arrays,
    number_of_rows,
    take,
    takes_columns,
    writable,
)
from skfairaug._inputs._rows import float_type, on_device

#: Rows whose outputs are looked at before any work, and how far probabilities may miss one.
LOOKED_AT, ROUNDING = 100, 1e-2


def unwrap(estimator):
    """The skorch net or module in a ``FrozenEstimator`` or Pipeline, or `estimator` itself."""
    return core_of(estimator)


def is_net(estimator):
    """Whether a skorch net, fitted or not, or a module is in `estimator`."""
    return isinstance(unwrap(estimator), NeuralNet | torch.nn.Module)


def is_fitted_net(estimator):
    """Whether a net with trained weights is in `estimator`; a module counts as trained."""
    core = unwrap(estimator)
    if isinstance(core, torch.nn.Module):
        return True
    return isinstance(core, NeuralNet) and core.__sklearn_is_fitted__()


def check_net(estimator):
    """Return the skorch net or module in `estimator`, or raise an error that says what came."""
    core = unwrap(estimator)
    if isinstance(core, torch.nn.Module):
        check_weights(core)
        return core
    if not isinstance(core, NeuralNet) or isinstance(core, NeuralNetRegressor):
        raise not_a_net(estimator)
    check_device(core)
    if is_fitted_net(core):
        check_weights(core.module_)
    elif steps_before(estimator) is not None:
        raise ValueError(
            "the net at the end of the Pipeline is not fitted. Fit the Pipeline first, or put "
            "this estimator at its end, around the net."
        )
    return core


def check_own_loss(net):
    """Refuse a net whose class computes its loss itself, which fine-tuning would replace.

    Raises
    ------
    TypeError
        Naming the class.
    """
    if isinstance(net, torch.nn.Module):
        return
    own = "get_loss" in vars(net) or not type(net).get_loss.__module__.startswith("skorch.")
    if own:
        raise TypeError(
            f"{type(net).__name__} has a get_loss of its own, and fine-tuning has another "
            "loss: what yours adds would be lost. Put it into the module or into a callback, "
            "or leave the network as it is and use skfairaug.FairRule."
        )


def plain(module):
    """A module or criterion as it was before ``torch.compile``."""
    return getattr(module, "_orig_mod", module)


@contextmanager
def uncompiled(net):
    """Run a net's module as it was before ``torch.compile``, which passes hooks by."""
    if plain(net.module_) is net.module_:
        yield net
        return
    with overriding(net, module_=plain(net.module_)):
        yield net


def prototype(net):
    """A net to try rows on: a fitted one, around a module, or a clone with random weights."""
    if isinstance(net, torch.nn.Module):
        return bare_net(net)
    if is_fitted_net(net):
        return net
    with isolated_random_state(0):
        return clone(net).initialize()


def train_net(net, X, y):
    """A trained clone of an unfitted net, for checked rows and class codes as arrays."""
    given = net.module
    net = clone(net).initialize()
    if is_dataset(X):
        raise ValueError(
            "the net is not fitted, and X is a Dataset, of which it could only be trained by "
            "its own means: fit the net first."
        )
    X = in_net_types(net, X)
    check_output(net, on_device(net, X), len(np.unique(y)))
    if isinstance(given, torch.nn.Module):
        warnings.warn(
            f"the net around a given {type(given).__name__} is not initialised, so it is "
            f"trained first, for {net.max_epochs} epochs. To take the module as it is, call "
            "net.initialize().",
            UserWarning,
            stacklevel=2,
        )
    net.partial_fit(X, net_targets(net, torch.from_numpy(y)).numpy())
    vars(net).update({name: _uncompiled(value) for name, value in vars(net).items()})
    net.module_.eval()
    return net


def _uncompiled(value):
    return plain(value) if isinstance(value, torch.nn.Module) else value


def net_targets(net, y):
    """Class codes `y` as outputs of the net, in the dtype that its own criterion wants.

    One number per row is compared with a number, several are indexed by a class.
    """
    order = getattr(net, "output_order_", None)
    if order is not None:
        y = y.new_tensor(order)[y]
    binary = isinstance(net, NeuralNetBinaryClassifier) or isinstance(
        plain(net.criterion_), (torch.nn.BCEWithLogitsLoss, torch.nn.BCELoss)
    )
    return y.to(float_type(net.module_)) if binary else y


# -- rows ---------------------------------------------------------------------


def in_net_types(net, X):
    """Rows of any kind in the form and the types that a fitted net takes.

    Parameters
    ----------
    net : skorch.NeuralNet
        Fitted or initialised.
    X : array-like, DataFrame, mapping of str to arrays, or torch Dataset
        Rows.

    Returns
    -------
    X : ndarray, dict of str to ndarray, or torch Dataset
        Rows for `on_device`.
    """
    X = collected(X)
    if takes_columns(plain(net.module_), X):
        X = by_column(X)
    if is_named(X):
        X = named_arrays(X, float_types(net)[0])
        return {name: writable(part) for name, part in X.items()}
    if not is_array(X):
        return X
    X = X.detach().cpu().numpy() if isinstance(X, torch.Tensor) else np.asarray(X)
    if X.dtype.kind not in "biuf":
        try:
            X = X.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"X holds {X.dtype} values, and a network takes numbers only ({error})."
            ) from error
    types = net_types(net, X)
    return writable(X) if X.dtype in types else X.astype(types[0])


def float_types(net):
    """NumPy types that the net's rows of floats keep, the one they are cast to first."""
    double = float_type(net.module_) == torch.float64
    return [np.float64, np.float32] if double else [np.float32]


def net_types(net, X):
    """NumPy types in which the net takes an array, the first one where in doubt.

    Tokens stay integers, as an embedding wants them, and pixels stay uint8 where the net
    reads them as it reads pixels in [0, 1]. All else, integers in a table too, are floats
    of the net's own precision.
    """
    floats = float_types(net)
    if not holds_integers(X) or not len(X):
        return floats
    X = np.asarray(X[:2])
    with isolated_random_state(0):
        as_floats = _attempt(net, X.astype(floats[0]))
        if X.dtype == np.uint8 and X.ndim > 2:
            raw, unit = _attempt(net, X), _attempt(net, X.astype(floats[0]) / 255)
            if raw is not None and unit is not None and torch.allclose(raw, unit, atol=1e-4):
                return [*floats, np.uint8]
        elif as_floats is None and _attempt(net, X.astype(np.int64)) is not None:
            return [np.int64]
    return floats


def _attempt(net, X):
    """Log-probabilities of rows of a type; None where the net refuses it."""
    try:
        return predict_log_proba(net, on_device(net, X))
    except (RuntimeError, IndexError):
        return None


# -- outputs ------------------------------------------------------------------


def check_output(net, X, n_classes):
    """Run a few rows through the net and compare what comes out with the labels.

    Parameters
    ----------
    net : skorch.NeuralNet
        Fitted or initialised.
    X : DeviceRows
        Rows.
    n_classes : int or None
        Number of classes of the labels; None where it is not known.

    Raises
    ------
    ValueError
        If the net does not take the rows, has another number of outputs, or says what are
        neither probabilities nor the logits of a criterion that is known.
    """
    some = X.first(LOOKED_AT)
    try:
        with torch.no_grad(), evaluating(net.module_):
            output = logits_in(net.infer(next(iter(some.chunks()))))
    except (RuntimeError, IndexError, TypeError) as error:
        raise cannot_take(X, error) from error
    _check_one_output(net, output)
    log_proba = log_probabilities(net, output)
    if log_proba.ndim != 2 or n_classes not in (None, log_proba.shape[1]):
        raise ValueError(
            f"y has {n_classes} classes but the net predicts "
            f"{tuple(log_proba.shape[1:])} outputs per row. The validation data must "
            "hold every class that the net was trained on."
        )
    if log_proba.isnan().any():
        raise ValueError(
            "the net predicts NaN before any debiasing. Train it again, on standardised X "
            "or with a lower lr."
        )
    if not _known_logits(net):
        _check_probabilities(net, output)


def check_fits(net, X, n_classes):
    """`check_output` for rows on the host, of which a few are moved."""
    some = take(X, np.arange(min(LOOKED_AT, number_of_rows(X))))
    check_output(net, on_device(net, in_net_types(net, some)), n_classes)


def predict_codes(net, X):
    """What a fitted net itself predicts for rows of any kind: class codes.

    Parameters
    ----------
    net : skorch.NeuralNet
        Its own ``predict`` decides.
    X : array-like, DataFrame, mapping of str to arrays, or torch Dataset
        Rows.

    Returns
    -------
    codes : ndarray of shape (n_samples,), int64
        Classes.
    """
    X = in_net_types(net, X)
    check_fits(net, X, None)
    return np.asarray(net.predict(X)).astype(np.int64)


def _check_one_output(net, output):
    """Refuse a single output of a net that takes the largest of several."""
    if isinstance(net, NeuralNetBinaryClassifier) or output.ndim > 2:
        return
    if output.ndim < 2 or output.shape[1] == 1:
        raise ValueError(
            f"the module gives one output per row, of shape {tuple(output.shape)}, of which "
            f"{type(net).__name__} would take the largest: use skorch's "
            "NeuralNetBinaryClassifier for two classes and one output."
        )


def _known_logits(net):
    """Whether skorch turns the module's outputs into probabilities by a known criterion."""
    logits = (torch.nn.CrossEntropyLoss, torch.nn.BCEWithLogitsLoss)
    return net.predict_nonlinearity == "auto" and isinstance(plain(net.criterion_), logits)


def _check_probabilities(net, output):
    """Refuse outputs that skorch would report as probabilities and that are none."""
    proba = _probabilities(net, output)
    off = (proba.sum(1) - 1).abs().max().item()
    lowest = proba.min().item()
    if lowest >= -ROUNDING and off <= ROUNDING:
        return
    criterion = type(plain(net.criterion_)).__name__
    came = f"values from {lowest:.3g} on" if lowest < 0 else f"rows that sum to 1 ± {off:.2g}"
    remedy = (
        "give the net a predict_nonlinearity that makes probabilities of them (for logits "
        "'lambda logits: logits.softmax(1)')"
    )
    if isinstance(net, NeuralNetBinaryClassifier):
        remedy = (
            "give the net a predict_nonlinearity that makes the probability of both classes "
            "of them (for a logit 'lambda z: torch.stack([-z, z], 1).sigmoid()')"
        )
    elif criterion == "NLLLoss":
        remedy = (
            "let the module end in a Softmax, or, if they are logits, use the criterion "
            "CrossEntropyLoss"
        )
    raise ValueError(
        f"the net's outputs are no probabilities: under {criterion} skorch takes them as they "
        f"are, and they hold {came}. Please {remedy}."
    )


def log_probabilities(net, output):
    """Class log-probabilities (n, n_classes) of the module's `output`, a column per code.

    Follows skorch's own reading of the criterion: logits under
    ``CrossEntropyLoss`` and ``BCEWithLogitsLoss``, probabilities otherwise.
    Working on the logits keeps the gradient of saturated rows.  ``net.output_order_``, of a
    copy that is fine-tuned, says which output each code is.
    """
    log_proba = log_outputs(net, output)
    order = getattr(net, "output_order_", None)
    return log_proba if order is None else log_proba[:, order]


def log_outputs(net, output):
    """Log-probabilities in the order of the module's outputs."""
    output = logits_in(output)
    if output.ndim == 2 and output.shape[1] == 1:
        output = output.squeeze(1)
    if _known_logits(net):
        logits = output.float()
        if isinstance(plain(net.criterion_), torch.nn.CrossEntropyLoss):
            return F.log_softmax(logits, dim=-1)
        return torch.stack([F.logsigmoid(-logits), F.logsigmoid(logits)], dim=1)
    proba = _probabilities(net, output)
    return proba.clamp_min(torch.finfo(proba.dtype).tiny).log()


def _probabilities(net, output):
    """What skorch makes of outputs; one number per row is the probability of class 1."""
    output = logits_in(output)
    if output.ndim == 2 and output.shape[1] == 1:
        output = output.squeeze(1)
    proba = net._get_predict_nonlinearity()(output).float()
    return torch.stack([1 - proba, proba], dim=1) if proba.ndim == 1 else proba


@torch.no_grad()
def predict_log_proba(net, X):
    """Class log-probabilities of all rows on the device, in evaluation mode."""
    with evaluating(net.module_):
        return torch.cat([log_probabilities(net, net.infer(part)) for part in X.chunks()])


def net_log_proba(estimator, X, n_classes=None):
    """Log-probabilities of what holds a net, in float64 and the order of its outputs.

    Takes rows of any kind and precision, and leaves the net in the mode that it was in.
    """
    X = behind_steps(estimator, X)
    net = as_net(unwrap(estimator), X)
    X = in_net_types(net, X)
    check_fits(net, X, n_classes)
    log_proba = predict_log_proba(net, on_device(net, X))
    return log_proba.double().cpu().numpy()


def behind_steps(estimator, X):
    """Rows as the steps before the net in a Pipeline hand them on to it."""
    steps = steps_before(estimator)
    if steps is None or not is_array(X):
        return X
    if isinstance(X, np.ndarray) and hasattr(steps, "feature_names_in_"):
        X = pd.DataFrame(X, columns=steps.feature_names_in_)
    return through_steps(steps, X)
