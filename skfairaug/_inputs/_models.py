"""What a skorch net takes and says: found, checked, trained, read."""

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from skorch import NeuralNet
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
from skfairaug._inputs._contexts import evaluating, isolated_random_state
from skfairaug._inputs._rows import at, chunks, is_dataset, is_named, on_device


def unwrap(estimator):
    """The skorch net or module in a ``FrozenEstimator`` or Pipeline, or `estimator` itself."""
    return core_of(estimator)


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
    if not isinstance(core, NeuralNet):
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


def train_net(net, X, y):
    """A trained clone of an unfitted net, for rows and class codes as arrays."""
    net = clone(net).initialize()
    if is_dataset(X):
        raise ValueError(
            "the net is not fitted, and X is a Dataset, of which it could only be trained by "
            "its own means: fit the net first."
        )
    check_output(net, on_device(net, X), len(np.unique(y)))
    net.partial_fit(X, net_targets(net, torch.from_numpy(y)).numpy())
    net.module_.eval()
    return net


def net_targets(net, y):
    """Class codes `y` as outputs of the net, in the dtype that its own criterion wants."""
    order = getattr(net, "output_order_", None)
    if order is not None:
        y = torch.as_tensor(order, device=y.device)[y]
    binary = isinstance(net.criterion_, (torch.nn.BCEWithLogitsLoss, torch.nn.BCELoss))
    return y.float() if binary else y


def input_types(net, X):
    """NumPy types in which the net takes an array of integers, the first one where in doubt.

    Tokens stay integers, as an embedding wants them, and pixels stay uint8 where the net
    reads them as it reads pixels in [0, 1]. All else, integers in a table too, is float32.
    """
    if not X.size:
        return [np.float32]
    with isolated_random_state(0):
        if isinstance(net, torch.nn.Module):
            net = bare_net(net)
        elif not is_fitted_net(net):
            net = clone(net).initialize()
        floats = _attempt(net, X[:2].astype(np.float32))
        if X.dtype == np.uint8 and X.ndim > 2:
            raw, unit = _attempt(net, X[:2]), _attempt(net, X[:2].astype(np.float32) / 255)
            if raw is not None and unit is not None and torch.allclose(raw, unit, atol=1e-4):
                return [np.float32, np.uint8]
        elif floats is None:
            return [np.int64]
    return [np.float32]


def _attempt(net, X):
    """Log-probabilities of rows of a type; None where the net refuses it."""
    try:
        return predict_log_proba(net, on_device(net, X))
    except RuntimeError:
        return None


def check_output(net, X, n_classes):
    """Run two rows through the net and compare what comes out with the labels."""
    try:
        log_proba = predict_log_proba(net, at(X, torch.arange(min(2, len(X)), device=X.device)))
    except (RuntimeError, IndexError, TypeError) as error:
        raise cannot_take(X, error) from error
    if log_proba.ndim != 2 or log_proba.shape[1] != n_classes:
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


def log_probabilities(net, output):
    """Class log-probabilities (n, n_classes) of the module's `output`, a column per code.

    Follows skorch's own reading of the criterion: logits under
    ``CrossEntropyLoss`` and ``BCEWithLogitsLoss``, probabilities otherwise.
    Working on the logits keeps the gradient of saturated rows.  ``net.output_order_``, of a
    copy that is fine-tuned, says which output each code is.
    """
    log_proba = _log_outputs(net, output)
    order = getattr(net, "output_order_", None)
    return log_proba if order is None else log_proba[:, order]


def _log_outputs(net, output):
    """Log-probabilities in the order of the module's outputs."""
    output = logits_in(output)
    if output.ndim == 2 and output.shape[1] == 1:
        output = output.squeeze(1)
    criterion = getattr(net.criterion_, "_orig_mod", net.criterion_)
    if net.predict_nonlinearity == "auto":
        if isinstance(criterion, torch.nn.CrossEntropyLoss):
            return F.log_softmax(output.float(), dim=-1)
        if isinstance(criterion, torch.nn.BCEWithLogitsLoss):
            logit = output.float()
            return torch.stack([F.logsigmoid(-logit), F.logsigmoid(logit)], dim=1)
    proba = net._get_predict_nonlinearity()(output).float()
    return proba.clamp_min(torch.finfo(proba.dtype).tiny).log()


@torch.no_grad()
def predict_log_proba(net, X):
    """Class log-probabilities of all rows on the device, in evaluation mode."""
    with evaluating(net.module_):
        return torch.cat([log_probabilities(net, net.infer(part)) for part in chunks(X)])


def net_log_proba(estimator, X):
    """Log-probabilities of what holds a net, in float64 and the order of its outputs.

    Takes rows on the host, in any precision, and leaves the net in the mode that it was in.
    """
    X = behind_steps(estimator, X)
    net = as_net(unwrap(estimator), X)
    log_proba = predict_log_proba(net, on_device(net, as_net_input(net, X)))
    return log_proba.double().cpu().numpy()


def behind_steps(estimator, X):
    """Rows as the net at the end of a Pipeline takes them, numbers in float32."""
    if is_dataset(X) or is_named(X):
        return X
    steps = steps_before(estimator)
    if steps is not None:
        if isinstance(X, np.ndarray) and hasattr(steps, "feature_names_in_"):
            X = pd.DataFrame(X, columns=steps.feature_names_in_)
        X = through_steps(steps, X)
    X = np.asarray(X)
    return X.astype(np.float32) if X.dtype == np.float64 else X


def as_net_input(net, X):
    """Rows in a type that the net takes, as the estimators around a net choose it."""
    if is_dataset(X) or is_named(X):
        return X
    types = input_types(net, X) if X.dtype.kind in "iu" else [np.float32]
    return X if X.dtype in types else X.astype(types[0])
