"""Fitted skorch nets as this library needs them: copied, pickled, split, run.

Nothing here knows about fairness.  Every function leaves the net it is given
as it found it, unless its name says otherwise.
"""

import copy
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNet
from torch.nn import functional as F

from skfairaug._accelerator import (
    accelerator_of,
    portable_attributes,
    take_off_wrappers,
    unwrapped,
)
from skfairaug._rows import at, chunks, is_dataset, on_device


def unwrap(estimator):
    """Return the skorch net inside a ``FrozenEstimator``, or `estimator` itself."""
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def is_fitted_net(estimator):
    """Whether `estimator` is a skorch net (frozen or not) with trained weights."""
    net = unwrap(estimator)
    return isinstance(net, NeuralNet) and net.__sklearn_is_fitted__()


def check_net(estimator):
    """Return the skorch net in `estimator`, or raise a TypeError that says what came."""
    net = unwrap(estimator)
    if isinstance(net, NeuralNet):
        return net
    raise TypeError(
        "estimator must be a skorch classifier (NeuralNetClassifier or "
        "NeuralNetBinaryClassifier), fitted or not, or a FrozenEstimator of one; "
        f"got {type(net).__name__}."
    )


def copy_net(net):
    """Copy a fitted net: its own weights, callbacks and history, nothing shared.

    The attributes are copied one by one because `copy.deepcopy` of a skorch net
    goes through pickle, which refuses local classes and lambdas in a module.
    """
    twin = net.__class__.__new__(net.__class__)
    # torch cannot deep-copy an optimizer apart from its parameters; training
    # makes a new one anyway.
    state = {k: unwrapped(v) for k, v in net.__dict__.items() if k != "optimizer_"}
    shared = [*uncopyable_callbacks(net), accelerator_of(net)]
    memo = {id(part): part for part in shared}
    twin.__dict__.update(copy.deepcopy(state, memo))
    take_off_wrappers(twin)
    twin.optimizer_ = torch.optim.SGD(twin.module_.parameters(), lr=0.0)
    if not any(p.requires_grad for p in twin.module_.parameters()):
        # Frozen as a whole, which says how it was kept and not what may be tuned.
        twin.module_.requires_grad_(True)
    twin.module_.eval()
    return twin


def uncopyable_callbacks(net):
    """Callbacks that hold a lock or an open file (loggers, live displays): to be shared."""
    given = net.callbacks if isinstance(net.callbacks, list) else []
    given = [item[-1] if isinstance(item, tuple) else item for item in given]
    for callback in [*given, *(callback for _, callback in net.callbacks_)]:
        try:
            copy.deepcopy(callback)
        except TypeError:
            yield callback


class PortableNet:
    """A fitted net in a form that pickle and cloudpickle can both see into.

    skorch nests one pickle inside another, so that cloudpickle cannot ship a
    module class from ``__main__`` to a joblib worker.  Here the module is a plain
    attribute, on the CPU; `restore` brings the net back to its device, or to the
    CPU where that device does not exist.
    """

    def __init__(self, net):
        self.frozen = isinstance(net, FrozenEstimator)
        net = unwrap(net)
        moved = net.device != "cpu"  # or accelerate knows where it is
        twin = copy_net(net) if moved or accelerator_of(net) else net
        self.net_class = net.__class__
        self.attributes = portable_attributes(
            {name: value for name, value in twin.__dict__.items() if name != "optimizer_"}
        )
        if moved:
            for name in [*twin._modules, *twin._criteria]:
                part = self.attributes.get(name + "_")
                if isinstance(part, torch.nn.Module):
                    part.to("cpu")

    def restore(self):
        """Return a net that predicts as the original did."""
        net = self.net_class.__new__(self.net_class)
        net.__dict__.update(self.attributes)
        wanted = net.__dict__.get("device", "cpu")
        if str(wanted).startswith("cuda") and not torch.cuda.is_available():
            net.__dict__["device"] = "cpu"
        for name in [*net._modules, *net._criteria]:
            part = net.__dict__.get(name + "_")
            if isinstance(part, torch.nn.Module) and net.device is not None:
                part.to(net.device)
        net.optimizer_ = torch.optim.SGD(net.module_.parameters(), lr=0.0)
        return FrozenEstimator(net) if self.frozen else net


def portable_state(state):
    """Replace every fitted net in an estimator's `__dict__` by a `PortableNet`."""
    return {k: PortableNet(v) if is_fitted_net(v) else v for k, v in state.items()}


def restored_state(state):
    """Undo `portable_state`."""
    return {k: v.restore() if isinstance(v, PortableNet) else v for k, v in state.items()}


def log_probabilities(net, output):
    """Class log-probabilities (n, n_classes) of the module's `output`.

    Follows skorch's own reading of the criterion: logits under
    ``CrossEntropyLoss`` and ``BCEWithLogitsLoss``, probabilities otherwise.
    Working on the logits keeps the gradient of saturated rows.
    """
    output = output[0] if isinstance(output, tuple) else output
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
    """Class codes `y` in the dtype that the net's own criterion wants."""
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
        if not is_fitted_net(net):
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


@torch.no_grad()
def predict_log_proba(net, X):
    """Class log-probabilities of all rows on the device, in evaluation mode."""
    with evaluating(net.module_):
        return torch.cat([log_probabilities(net, net.infer(part)) for part in chunks(X)])


def check_output(net, X, n_classes):
    """Run two rows through the net and compare what comes out with the labels."""
    try:
        log_proba = predict_log_proba(net, at(X, torch.arange(min(2, len(X)), device=X.device)))
    except (RuntimeError, IndexError, TypeError) as error:
        shape = tuple(getattr(X, "shape", (len(X),)))
        raise ValueError(
            f"the net cannot take X of shape {shape}: its first layer expects "
            f"other features than the {shape[1:]} of each row ({error})."
        ) from error
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


def find_head(net, X, layer=None):
    """Return the net's last linear layer: what comes before it is the encoder f'.

    The last ``nn.Linear`` *executed* in a forward pass, or the module called
    `layer` (a name as in ``module.named_modules()``).
    """
    if layer is not None:
        return find_layer(net, layer)
    modules = dict(net.module_.named_modules())
    executed = []
    hooks = [
        module.register_forward_pre_hook(lambda module, _: executed.append(module))
        for module in modules.values()
        if isinstance(module, torch.nn.Linear)
    ]
    try:
        predict_log_proba(net, at(X, torch.arange(min(2, len(X)), device=X.device)))
    finally:
        for hook in hooks:
            hook.remove()
    if not executed:
        raise ValueError(
            "the net has no nn.Linear layer, so its representation is not known. "
            "Name the layer whose input is the representation: layer='...', one of "
            f"{sorted(name for name in modules if name)}."
        )
    return executed[-1]


def weight_layers(module):
    """Linear and convolutional layers with a trainable weight of their own, in order."""
    kinds = (torch.nn.Linear, torch.nn.modules.conv._ConvNd)
    layers = [part for part in module.modules() if isinstance(part, kinds)]
    weights = [part._parameters.get("weight") for part in layers]
    layers = [
        layer
        for layer, weight in zip(layers, weights, strict=True)
        if weight is not None and weight.requires_grad
    ]
    if not layers:
        raise ValueError(
            "the net has no linear or convolutional layer with a trainable weight of its own."
        )
    return layers


def find_layer(net, layer, what="layer"):
    """Return the module called `layer`, a name as in ``module.named_modules()``."""
    modules = dict(net.module_.named_modules())
    if layer not in modules:
        raise ValueError(
            f"{what}={layer!r} is not a module of the net; it has "
            f"{sorted(name for name in modules if name)}."
        )
    return modules[layer]


class Encoder:
    """The net up to its head: ``encoder(X)`` is the representation f'(X).

    Stops the forward pass at the head, so a representation costs no more than
    the layers below it.
    """

    class _Reached(Exception):
        pass

    def __init__(self, net, head):
        self.net = net
        self.head = head

    def __call__(self, X):
        seen = []

        def stop(module, inputs):
            seen.append(inputs[0])
            raise Encoder._Reached

        hook = self.head.register_forward_pre_hook(stop)
        try:
            self.net.infer(X)
        except Encoder._Reached:
            pass
        finally:
            hook.remove()
        return seen[0].flatten(1).float()

    @torch.no_grad()
    def all_rows(self, X):
        """Representations of all rows, without gradient."""
        return torch.cat([self(part) for part in chunks(X)])


@contextmanager
def evaluating(module):
    """Put a module in evaluation mode, and every part back into its own mode after."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield module
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def frozen(module):
    """Evaluation mode and no parameter gradients, both restored on leaving."""
    wanted = [(p, p.requires_grad) for p in module.parameters()]
    module.requires_grad_(False)
    try:
        with evaluating(module):
            yield module
    finally:
        for parameter, requires_grad in wanted:
            parameter.requires_grad_(requires_grad)


@contextmanager
def overriding(net, **methods):
    """Give a net other methods for the time of the block."""
    before = {name: net.__dict__[name] for name in methods if name in net.__dict__}
    net.__dict__.update(methods)
    try:
        yield net
    finally:
        for name in methods:
            del net.__dict__[name]
        net.__dict__.update(before)


@contextmanager
def isolated_random_state(seed):
    """Seed torch and NumPy inside the block; give the caller's states back after."""
    numpy_state = np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
