"""The network in what a caller gives: a skorch net, a module, a Pipeline that ends in one.

Whatever came is taken apart into a *core* (the skorch net or the module) and the steps before
it.  A module becomes a skorch net of its own, whose class says how its outputs are read; the
module itself is shared, and nothing here writes to it.
"""

import copy
from collections.abc import Mapping

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from skfairaug._inputs._contexts import evaluating
from skfairaug._inputs._given import collected, is_array, number_of_rows, take
from skfairaug._inputs._rows import on_device

#: Rows of the one forward pass that tells logits from probabilities.
PROBE = 128

#: How far the probabilities of a row may be from one in sum, in float32 and many classes.
ROUNDING = 1e-3


class TakesLogits(NeuralNet):
    """A skorch net whose module may return its logits in an object, by name or in a tuple."""

    def infer(self, x, **fit_params):
        """The module's logits or probabilities, a tensor."""
        return logits_in(super().infer(x, **fit_params))


class ModuleNet(NeuralNetClassifier, TakesLogits):
    """A skorch net around a module of two or more outputs."""


class OneOutputNet(NeuralNetBinaryClassifier, TakesLogits):
    """A skorch net around a module of one output."""


# -- taking apart ---------------------------------------------------------------


def core_of(estimator):
    """What is left of an estimator without ``FrozenEstimator`` and earlier Pipeline steps."""
    while True:
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif isinstance(estimator, Pipeline) and estimator.steps:
            estimator = estimator.steps[-1][1]
        else:
            # torch.compile hides the module that it was given in one of its own.
            return getattr(estimator, "_orig_mod", estimator)


def with_core(estimator, core):
    """The same wrapping and earlier steps around another core; `estimator` stays as it is."""
    if isinstance(estimator, FrozenEstimator):
        return FrozenEstimator(with_core(estimator.estimator, core))
    if isinstance(estimator, Pipeline):
        twin = copy.copy(estimator)
        *first, (name, last) = estimator.steps
        twin.steps = [*first, (name, with_core(last, core))]
        return twin
    return core


def steps_before(estimator):
    """The earlier steps of a Pipeline that ends in a net, as a Pipeline; None without any."""
    steps = []
    while isinstance(estimator, FrozenEstimator | Pipeline):
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        else:
            steps += estimator.steps[:-1]
            estimator = estimator.steps[-1][1]
    if not steps:
        return None
    if len({name for name, _ in steps}) < len(steps):  # of Pipelines in one another
        steps = [(f"{i}-{name}", step) for i, (name, step) in enumerate(steps)]
    return Pipeline(steps)


def through_steps(steps, X):
    """Rows after the frozen steps of a Pipeline, as a net takes them: dense."""
    X = steps.transform(X)
    return X.toarray() if issparse(X) else X


# -- a net around a module ------------------------------------------------------


def as_net(core, X):
    """A skorch net out of a core: itself, or one around the module.

    Parameters
    ----------
    core : skorch.NeuralNet or torch.nn.Module
        As from `core_of`.
    X : ndarray, mapping or Dataset
        Rows on the host; the first ones tell how the module's outputs are read.

    Returns
    -------
    net : skorch.NeuralNet
        Around the caller's module.

    Raises
    ------
    ValueError
        If the module refuses the rows, or its output has a shape of no classifier.
    """
    if isinstance(core, NeuralNet):
        return core
    probe, X = bare_net(core), collected(X)
    n_rows = min(PROBE, number_of_rows(X))
    X = take(X, np.arange(n_rows))
    X = on_device(probe, np.asarray(X) if is_array(X) else X)
    try:
        with torch.no_grad(), evaluating(probe.module_):
            output = probe.infer(next(iter(X.chunks())))
    except (RuntimeError, IndexError) as error:
        raise cannot_take(X, error) from error
    return make_net(probe.module_, output.float(), n_rows)


def bare_net(module):
    """A net that runs a module, whatever its outputs mean."""
    check_weights(module)
    return _around(ModuleNet, module, criterion=nn.CrossEntropyLoss)


def make_net(module, output, n_rows):
    """The net that reads a module's outputs as what those of some rows show them to be."""
    if output.shape in {(n_rows,), (n_rows, 1)}:
        if ((output >= 0) & (output <= 1)).all():
            return _around(
                OneOutputNet, module, criterion=nn.BCELoss, predict_nonlinearity=both_classes
            )
        return _around(OneOutputNet, module, criterion=nn.BCEWithLogitsLoss)
    if output.ndim != 2 or len(output) != n_rows:
        raise ValueError(
            f"the module's output for {n_rows} rows has shape {tuple(output.shape)}. Expected "
            f"are logits or probabilities of two or more classes, ({n_rows}, n_classes), or "
            f"one logit or probability per row, ({n_rows},) or ({n_rows}, 1)."
        )
    sums = output.sum(1)
    if (output >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=ROUNDING):
        return _around(ModuleNet, module, criterion=nn.NLLLoss)
    return _around(ModuleNet, module, criterion=nn.CrossEntropyLoss)


def _around(kind, module, **settings):
    device = str(next(module.parameters()).device)
    net = kind(
        module, device=device, callbacks="disable", train_split=None, verbose=0, **settings
    )
    return net.initialize()


def both_classes(probability):
    """Probabilities of both classes out of that of the second."""
    return torch.stack([1 - probability, probability], dim=-1)


def logits_in(output):
    """The tensor of logits in what a module returned.

    A tensor is itself; of a tuple it is the first entry, as in skorch; an object or a mapping
    has it as ``logits``, as those of Hugging Face.
    """
    if isinstance(output, tuple) and not hasattr(output, "logits"):
        output = output[0]
    if isinstance(output, torch.Tensor):
        return output
    logits = getattr(output, "logits", None)
    if logits is None and isinstance(output, Mapping):
        logits = output.get("logits")
    if not isinstance(logits, torch.Tensor):
        raise TypeError(
            f"the module returned a {type(output).__name__}; expected a tensor, a tuple that "
            "starts with one, or an object or mapping with one called logits."
        )
    return logits


# -- what is refused ------------------------------------------------------------


def not_a_net(estimator):
    """The error for what holds no network."""
    core = core_of(estimator)
    came = core.__name__ if isinstance(core, type) else type(core).__name__
    if isinstance(core, type) and issubclass(core, nn.Module):
        came = f"the class {came}, not a trained module of it"
    elif isinstance(estimator, Pipeline):
        came = f"a Pipeline that ends in {came}"
    return TypeError(
        "estimator must be a skorch classifier (NeuralNetClassifier or "
        "NeuralNetBinaryClassifier), fitted or not, a trained torch module, a fitted Pipeline "
        f"that ends in one of them, or a FrozenEstimator of each; got {came}. What is no "
        "network is made fair by skfairaug.FairRule, which takes any fitted classifier and "
        "does not see the group, or by ThresholdOnly, ThresholdOptimizer and OxonFair of "
        "skfairaug.rivals."
    )


def check_weights(module):
    """Check that a module's weights can be fine-tuned where they are.

    Raises
    ------
    ValueError
        If there are none, they hold no values yet, they are integers or of half precision,
        or they lie on several devices.
    """
    named = list(module.named_parameters())
    name = type(module).__name__
    if not named:
        raise ValueError(
            f"the module {name} has no parameters, so there is nothing to fine-tune. "
            "(Quantised layers keep their weights elsewhere: give the module from before.)"
        )
    for key, weight in named:
        if nn.parameter.is_lazy(weight) or weight.is_meta:
            raise ValueError(
                f"the weight {key!r} of {name} holds no values yet: "
                + ("it is on the meta device." if weight.is_meta else "run a batch through it.")
            )
        if weight.dtype not in (torch.float32, torch.float64):
            kind = str(weight.dtype).removeprefix("torch.")
            way = (
                "half precision loses small steps"
                if weight.is_floating_point()
                else ("integers have no gradient")
            )
            raise ValueError(
                f"the weight {key!r} of {name} is {kind}, and {way}: give the module in "
                "float32, module.float() or a copy of it, and cast the result back."
            )
    devices = sorted({str(weight.device) for _, weight in named})
    if len(devices) > 1:
        raise ValueError(f"the weights of {name} lie on {devices}; one device is expected.")


def check_device(net):
    """Raise where the device of a skorch net is not there."""
    if net.device is None or torch.device(net.device).type == "cpu":
        return
    try:
        torch.empty(0, device=net.device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"the net's device {str(net.device)!r} is not there ({error}). Give a net on one "
            "that is: device='cpu'."
        ) from error


def cannot_take(X, error):
    """The error for rows on the device that a module refuses."""
    if X.tensor is None:
        return ValueError(f"the net cannot take X ({error}).")
    shape = tuple(X.tensor.shape)
    return ValueError(
        f"the net cannot take X of shape {shape}: its first layer expects "
        f"other features than the {shape[1:]} of each row ({error})."
    )
