"""What goes into a network and what comes out of it, read off a few rows."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from skfairaug._inputs._accelerator import unwrapped
from skfairaug._inputs._contexts import evaluating
from skfairaug._inputs._models import log_outputs

#: Rows that are run through a network to see what it is.
FEW = 32

#: Smallest float32 above one half, and the least probability that a logarithm is taken of.
ABOVE_HALF, TINY = 0.5 + 2.0**-24, torch.finfo(torch.float32).tiny


class Logits:
    """A column of logits for every class."""

    def log_proba(self, output):
        """Class log-probabilities (n, n_classes), as the estimators compute them."""
        return F.log_softmax(output.float(), dim=-1)

    def say(self, score):
        """An output of this form whose decision is the sign of the score, exactly."""
        return torch.stack([-score / 2, score / 2], dim=1).float()

    def say_all(self, scores):
        """An output of this form with a score for each of several classes."""
        return scores.float()

    def favourable(self, output):
        """What this form decides for at its own cut-off."""
        return output[:, 1] > output[:, 0]


class Probabilities(Logits):
    """A column of probabilities for every class."""

    def log_proba(self, output):
        """Logarithms, finite."""
        return output.float().clamp_min(TINY).log()

    def say(self, score):
        """Probabilities, of which the larger is that of the sign; a tie is none."""
        proba = Probability().say(score)
        return torch.stack([1 - proba, proba], dim=1)

    def say_all(self, scores):
        """Probabilities by the scores as logits."""
        return torch.softmax(scores, dim=1).float()


class Logit(Logits):
    """One logit, that of the favourable class."""

    def log_proba(self, output):
        """Both logarithms of the sigmoid, each precise."""
        logit = output.float().flatten()
        return torch.stack([F.logsigmoid(-logit), F.logsigmoid(logit)], dim=1)

    def say(self, score):
        """The score itself."""
        return score.float()

    def favourable(self, output):
        """Above zero."""
        return output.flatten() > 0


class Probability(Logits):
    """One probability, that of the favourable class."""

    def log_proba(self, output):
        """Logarithms of the probability and of the rest."""
        proba = output.float().flatten()
        return torch.stack([1 - proba, proba], dim=1).clamp_min(TINY).log()

    def say(self, score):
        """A sigmoid that is above one half exactly where the score is above zero."""
        proba = torch.sigmoid(score).float()
        return torch.where(score > 0, proba.clamp_min(ABOVE_HALF), proba.clamp_max(0.5))

    def favourable(self, output):
        """Above one half."""
        return output.flatten() > 0.5


#: Name -> form of an output, in the order in which they are tried.
FORMS = {
    "logits": Logits(),
    "logit": Logit(),
    "probabilities": Probabilities(),
    "probability": Probability(),
}


class Signature(NamedTuple):
    """What goes into a module and what comes out of it.

    Attributes
    ----------
    inputs : tuple of str or None
        Names of the keyword arguments; None: one positional argument.
    rows : tuple
        Shape of a row and name of its dtype, for each input.
    part : str or int or None
        Which part of the output counts: an attribute, a position, or all of it.
    form : str or None
        One of `FORMS`; None: none of them.
    column : bool
        Whether one number a row comes as a column.
    head : str or None
        Name of the linear layer whose output this is, before a softmax or sigmoid; None:
        of no single one, or of one that shares its bias.
    by_key : bool
        Whether that part is taken by its key, as from a tuple or a mapping.
    direct : bool
        Whether there is neither softmax nor sigmoid behind it.
    """

    inputs: tuple | None
    rows: tuple
    part: str | int | None
    form: str | None
    column: bool
    head: str | None
    direct: bool
    by_key: bool = False

    def pick(self, output):
        """The part of a module's output that counts."""
        if self.part is None:
            return output
        return output[self.part] if self.by_key else getattr(output, self.part)


def read_signature(net, X):
    """Read off a few rows what a fitted net takes and gives.

    Parameters
    ----------
    net : skorch.NeuralNet
        Fitted.
    X : rows on the device
        A few of them are run, in evaluation mode.

    Returns
    -------
    signature : Signature
        Of its module.
    """
    batch = next(iter(X.first(FEW).chunks()))
    module, calls = plain_module(net), []
    hooks = [
        part.register_forward_hook(lambda _, __, seen, name=name: calls.append((name, seen)))
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear)
    ]
    # Of the module itself: what a net makes of its output does not leave with it.
    outputs = []
    hooks.append(module.register_forward_hook(lambda _, __, output: outputs.append(output)))
    try:
        with torch.no_grad(), evaluating(module):
            # Compiled code would not call the hooks.
            expected = log_outputs(net, around(net, module).infer(batch))
    finally:
        for hook in hooks:
            hook.remove()
    (output,) = outputs
    part = _counting_part(output)
    named = isinstance(batch, Mapping)
    inputs = batch if named else {"x": batch}
    signature = Signature(
        inputs=tuple(batch) if named else None,
        rows=tuple(
            (tuple(x.shape[1:]), str(x.dtype).removeprefix("torch.")) for x in inputs.values()
        ),
        part=part,
        form=None,
        column=False,
        head=None,
        direct=False,
        by_key=isinstance(part, int) or _is_mapping(output),
    )
    output = signature.pick(output)
    form = _form(output, expected)
    head, direct = _head(module, calls, output, form)
    column = form in ("logit", "probability") and output.ndim == 2
    return signature._replace(form=form, column=column, head=head, direct=direct)


def plain_module(net):
    """The module of a net, out of what compiles it or shares its gradients."""
    module = unwrapped(net.module_)
    return unwrapped(getattr(module, "_orig_mod", module))


def around(net, module):
    """A net that shares all with another but its module."""
    twin = type(net).__new__(type(net))
    vars(twin).update(vars(net) | {"module_": module})
    return twin


def made_up_rows(signature, n_rows=4):
    """Rows of the shape and type that a module takes: normal numbers, zeros as integers.

    Parameters
    ----------
    signature : Signature
        Of the module.
    n_rows : int
        How many.

    Returns
    -------
    batch : Tensor or dict of str to Tensor
        The same whenever it is made.
    """
    generator, tensors = torch.Generator().manual_seed(0), []
    for shape, kind in signature.rows:
        dtype = getattr(torch, kind)
        drawn = torch.zeros(n_rows, *shape)
        if dtype.is_floating_point:
            drawn = torch.randn(n_rows, *shape, generator=generator)
        tensors.append(drawn.to(dtype))
    return (
        tensors[0]
        if signature.inputs is None
        else dict(zip(signature.inputs, tensors, strict=True))
    )


def _is_mapping(output):
    """Whether a module gave a mapping, and not an object of which Mapping is one side."""
    return isinstance(output, Mapping) and not hasattr(output, "logits")


def _counting_part(output):
    if isinstance(output, torch.Tensor):
        return None
    return 0 if isinstance(output, tuple) else "logits"


def _form(output, expected):
    """The form that says what the net says; None where its nonlinearity is another one."""
    single = output.ndim == 1 or output.shape[1] == 1
    for name, form in FORMS.items():
        if single == (name in ("logit", "probability")):
            said = form.log_proba(output)
            if torch.allclose(said, expected, rtol=1e-4, atol=1e-5, equal_nan=True):
                return name
    return None


def _head(module, calls, output, form):
    """Name of the layer whose output this is, and whether nothing comes after it."""
    if not calls or form is None:
        return None, False
    name, seen = calls[-1]
    if Counter(called for called, _ in calls)[name] > 1 or seen.numel() != output.numel():
        return None, False
    seen = seen.reshape(output.shape)
    squash = torch.sigmoid if form == "probability" else lambda x: torch.softmax(x, dim=-1)
    direct = torch.equal(seen, output)
    if not direct and not (
        form.startswith("prob") and torch.allclose(squash(seen), output, atol=1e-6)
    ):
        return None, False
    head = module.get_submodule(name)
    shared = Counter(id(part) for _, part in module.named_modules(remove_duplicate=False))
    tensors = Counter(id(one) for _, one in module.named_parameters(remove_duplicate=False))
    bias = head._parameters.get("bias")
    alone = shared[id(head)] == 1 and (bias is None or tensors[id(bias)] == 1)
    return (name, direct) if alone else (None, False)
