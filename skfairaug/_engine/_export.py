"""A fitted classifier as a plain torch module, for where this package is not installed.

The cut-off goes into the last bias, so that a module of the caller's own class decides
fairly at its default cut-off. Where it cannot, a graph of torch.fx goes around that module:
its code is generated, stands in the graph and is pickled with it, so nothing is imported
to run it.
"""

import copy

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import fx, nn

from skfairaug._engine._signature import FORMS, around, plain_module
from skfairaug._inputs._copies import copy_net
from skfairaug._inputs._rows import on_device


class Deployable:
    """Mixin of the classifiers that become a plain torch module, and files.

    A subclass keeps the `_signature` of its net and implements ``_export()``, which makes the
    candidates of ``to_module``, the best first; ``_served_net()``, the net that is within;
    ``_receive(net)``, which puts one there; and ``_decision()``, the numbers by name that it
    decides by.
    """

    def to_module(self, X=None):
        """Make a plain torch module that decides as `predict` does, at its own cut-off.

        Two outputs are compared with each other, a logit with 0 and a probability with 0.5,
        as before. Where the last linear layer has a bias of its own, the cut-off is
        subtracted from it, and the module is of the caller's own class. Otherwise it is a
        :class:`torch.fx.GraphModule` around that, which needs torch only.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...), default=None
            Rows, as `predict` takes them, on which the module has to decide as `predict`
            does, every one: a cut-off that is rounded to the precision of the bias may turn
            a row that lies on it, and the module is a graph then, which rounds nothing.
            None checks no rows.

        Returns
        -------
        module : torch.nn.Module
            A copy in evaluation mode, on the device of the network. For several outputs and
            arguments it takes what the network takes and gives the scores alone.

        Raises
        ------
        TypeError
            If what was fitted is no network, or has a part that is none.
        ValueError
            If the network's outputs are neither logits nor probabilities.
        """
        check_is_fitted(self)
        candidates = list(self._export())
        if X is None or len(candidates) == 1:
            return candidates[0]
        order = self._output_order() or [0, 1]
        wanted = self.predict(X) == self._labels[order.index(1)]
        rows = on_device(self._served_net(), self._rows_to_compare(X))
        for module in candidates[:-1]:
            if np.array_equal(self._decisions(module, rows), wanted):
                return module
        return candidates[-1]

    def _rows_to_compare(self, X):
        return self._validate_X(X)

    def _decisions(self, module, rows):
        """Which rows a module decides for at its own cut-off."""
        form, twin = FORMS[self._signature.form], around(self._served_net(), module)
        with torch.no_grad():
            parts = [form.favourable(self._pick(twin.infer(part))) for part in rows.chunks()]
        return torch.cat(parts).cpu().numpy()

    def _pick(self, output):
        return output if isinstance(output, torch.Tensor) else self._signature.pick(output)


class Decide(nn.Module):
    """An output whose default cut-off is another one: the score less the cut-off, said again.

    Parameters
    ----------
    signature : Signature
        Of the module that it follows.
    log_odds : float
        The cut-off.
    """

    def __init__(self, signature, log_odds):
        super().__init__()
        self.form, self.column = FORMS[signature.form], signature.column
        self.log_odds = float(log_odds)

    def forward(self, output):
        """The output of another cut-off, of the same form."""
        # In double precision, as the estimators do: no row is turned by rounding.
        log_proba = self.form.log_proba(output).double()
        said = self.form.say(log_proba[:, 1] - log_proba[:, 0] - self.log_odds)
        return said.unsqueeze(1) if self.column else said


def export_net(net, signature, log_odds, n_classes):
    """Modules that decide as a net with a cut-off does, the best first.

    Parameters
    ----------
    net : skorch.NeuralNet
        Fitted; copied.
    signature : Signature
        Of its module.
    log_odds : float
        Cut-off on the log-odds of the second of two classes.
    n_classes : int
        Several classes have none.

    Yields
    ------
    module : nn.Module
        In evaluation mode.
    """
    check_form(signature)
    module = copied_module(net)
    if n_classes > 2:
        yield module
        return
    if is_foldable(module, signature):
        yield fold(copy.deepcopy(module), signature, log_odds)
    decide = fx.symbolic_trace(Decide(signature, log_odds))
    yield follow(signature, {"module": module}, [("decide", decide, ("output",))])


def check_form(signature):
    """Raise unless a module's outputs are understood."""
    if signature.form is None:
        raise ValueError(
            "the outputs of the net's module are neither logits nor probabilities: its "
            "predict_nonlinearity makes these of them. Put that into the module's forward, so "
            "that it can leave without skorch."
        )


def copied_module(net):
    """A copy of a net's module, in evaluation mode, out of all wrappers."""
    return plain_module(copy_net(net)).eval()


def is_foldable(module, signature):
    """Whether a cut-off may be subtracted from the last bias."""
    if signature.head is None:
        return False
    bias = module.get_submodule(signature.head)._parameters.get("bias")
    return bias is not None and bias.dtype in (torch.float32, torch.float64)


@torch.no_grad()
def fold(module, signature, log_odds):
    """Subtract a cut-off from the last bias, that of the favourable class, in place."""
    bias = module.get_submodule(signature.head).bias
    # A constant decision has an infinite cut-off, and a bias stays finite.
    largest = torch.finfo(bias.dtype).max / 4
    bias[-1] = bias[-1].double() - min(max(float(log_odds), -largest), largest)
    return module


def follow(signature, parts, steps):
    """A graph that runs a module named "module" and then further ones.

    Parameters
    ----------
    signature : Signature
        Of the module: its arguments, and which part of its output counts.
    parts : dict of str to nn.Module
        The module, and others that `steps` may name again.
    steps : list of tuple (str, nn.Module, tuple of str)
        Name of a step, what it runs, and the names of what it takes: "output", that of the
        module; "x", its argument; or an earlier step.

    Returns
    -------
    graph : fx.GraphModule
        Gives what the last step gives.
    """
    graph = fx.Graph()
    if signature.inputs is None:
        values = {"x": graph.placeholder("x")}
        output = graph.call_module("module", (values["x"],))
    else:
        named, values = {name: graph.placeholder(name) for name in signature.inputs}, {}
        output = graph.call_module("module", (), named)
    values["output"] = output
    if signature.part is not None:
        values["output"] = signature.pick(fx.Proxy(output)).node
    for name, part, taken in steps:
        parts = parts | {name: part}
        values[name] = graph.call_module(name, tuple(values[one] for one in taken))
    graph.output(values[steps[-1][0]])
    return fx.GraphModule(parts, graph, class_name="FairModule").eval()
