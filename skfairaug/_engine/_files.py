"""One file of a fitted classifier, without pickle: its weights, and a JSON of the rest."""

import copy
import json
import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from skfairaug._engine._codec import decode, encode
from skfairaug._engine._estimator import NetHolder
from skfairaug._engine._export import Deployable
from skfairaug._engine._fingerprint import digest, model_fingerprint
from skfairaug._engine._signature import made_up_rows, plain_module
from skfairaug._inputs._copies import copy_net
from skfairaug._inputs._models import is_fitted_net, predict_log_proba, unwrap
from skfairaug._inputs._rows import on_device

#: Number of the format, and where in the file's header its JSON and its digest stand.
FORMAT, JSON, DIGEST = 1, "skfairaug", "digest"

#: Attributes that are the net, or what its training left.
ELSEWHERE = {"net_", "estimator_", "history_", "group_estimator_", "_metadata_request"}

#: Packages whose versions the file tells.
PACKAGES = ("skfairaug", "torch", "skorch", "scikit-learn", "numpy")

#: By the form of its outputs, the net that a module is put into.
NETS = {
    "logits": (NeuralNetClassifier, nn.CrossEntropyLoss),
    "logit": (NeuralNetBinaryClassifier, nn.BCEWithLogitsLoss),
    "probabilities": (NeuralNetClassifier, nn.NLLLoss),
}


def save(estimator, path):
    """Write a fitted classifier to one file, without pickle.

    The file is one of safetensors: the weights of the fair network under their own names
    behind ``weights.``, and in its header a JSON of parameters, classes, groups, threshold,
    claims and versions.

    Parameters
    ----------
    estimator : classifier
        Fitted: :class:`FairAugmentFineTuner`, a rival that fine-tunes or trains a network, or
        :class:`FairRule` over a net.
    path : str or path
        File to write, replaced as a whole; ``.safetensors`` is the usual ending.

    Raises
    ------
    TypeError
        If it is no such classifier, or has learnt something of a class that this file cannot
        hold, as a `group_estimator` of the caller's.

    See Also
    --------
    load : Reads it.

    Notes
    -----
    What is not in the file: the biased network, the history of the training, and parameters
    that are objects of other packages; ``left_out`` in the JSON names these.

    Examples
    --------
    >>> import tempfile, numpy as np, torch
    >>> from pathlib import Path
    >>> from skorch import NeuralNetClassifier
    >>> import skfairaug
    >>> rng = np.random.RandomState(0)
    >>> X, group = rng.normal(size=(400, 3)).astype(np.float32), rng.randint(0, 2, 400)
    >>> y = (X[:, 0] > 0).astype(int)
    >>> net = NeuralNetClassifier(torch.nn.Linear(3, 2), lr=0.5, max_epochs=5, verbose=0,
    ...                           criterion=torch.nn.CrossEntropyLoss).fit(X, y)
    >>> fair = skfairaug.FairAugmentFineTuner(net, tolerance=0.2, random_state=0)
    >>> fair = fair.fit(X, y, sensitive_features=group)
    >>> path = Path(tempfile.mkdtemp()) / "fair.safetensors"
    >>> skfairaug.save(fair, path)
    >>> again = skfairaug.load(path, torch.nn.Linear(3, 2))
    >>> bool((again.predict(X) == fair.predict(X)).all())
    True
    """
    kind = type(estimator)
    if _known(Deployable).get(kind.__name__) is not kind:
        raise TypeError(
            "save takes a fitted classifier of this package around a network; got "
            f"{kind.__module__}.{kind.__qualname__}. Others leave with skops or pickle."
        )
    check_is_fitted(estimator)
    net = unwrap(estimator._served_net())
    if not is_fitted_net(net):
        raise TypeError(
            f"save takes a {kind.__name__} over a net; this one is over {type(net).__name__}. "
            "Keep it with skops or pickle."
        )
    arrays = {}
    header = _header(estimator, net, arrays)
    weights = plain_module(net).state_dict()
    tensors = {f"weights.{name}": one for name, one in weights.items()}
    tensors |= {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
    # Copies: tensors that share memory are refused, and each is needed by its name.
    tensors = {name: one.detach().cpu().clone().contiguous() for name, one in tensors.items()}
    text = json.dumps(header, allow_nan=False)
    part = Path(f"{os.fspath(path)}.part")
    save_file(tensors, part, metadata={JSON: text, DIGEST: digest(tensors, text)})
    part.replace(path)


def load(path, module):
    """Read a classifier that :func:`save` wrote; nothing in the file is run.

    Parameters
    ----------
    path : str or path
        The file.
    module : torch.nn.Module or skorch net
        What to load the weights into: of the class, and with the sizes, that the network had.
        It is copied. A module that is not of skorch's is put into a net by what its outputs
        are.

    Returns
    -------
    estimator : classifier
        It predicts as the one that was saved, and says the same of itself. Its parameter
        `estimator` is the fair net, as the file does not hold the biased one.

    Raises
    ------
    ValueError
        If the file is damaged, is none of this kind or of a later version, or if the module
        has other weights, or computes something else with the same ones.

    See Also
    --------
    save : Writes it.

    Examples
    --------
    See :func:`save`.

    >>> import skfairaug, torch
    >>> skfairaug.load("README.md", torch.nn.Linear(3, 2))
    Traceback (most recent call last):
    ...
    ValueError: README.md is no file of skfairaug.save, or was cut short: ...
    """
    header, tensors = _read(path)
    kind = _known(Deployable).get(header["class"])
    if kind is None:
        raise ValueError(f"{path} holds a {header['class']}, which this version does not know.")
    weights = {
        name.removeprefix("weights."): one
        for name, one in tensors.items()
        if name.startswith("weights.")
    }
    arrays = {name: one.numpy() for name, one in tensors.items() if name.startswith("array")}
    try:
        state = {name: decode(one, arrays) for name, one in header["state"].items()}
        params = {name: _parameter(one, arrays) for name, one in header["parameters"].items()}
    except KeyError as error:
        raise ValueError(f"{path} names {error}, which skfairaug.save never does.") from error
    net = _net_of(module, state["_signature"])
    net.classes_inferred_ = np.arange(len(state["classes_"]))
    if header["output_order"] is not None:
        net.output_order_ = header["output_order"]
    try:
        plain_module(net).load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"the weights in {path} are not those of the module: {error}"
        ) from error
    estimator = kind(estimator=net, **params)
    vars(estimator).update(state)
    estimator._receive(net)
    _check_same(estimator, header, path)
    return estimator


def _known(base):
    """Name -> class, of all below a base that this package has."""
    found, queue = {}, [base]
    while queue:
        kind = queue.pop()
        queue += kind.__subclasses__()
        if kind.__module__.startswith("skfairaug."):
            found[kind.__name__] = kind
    return found


def _header(estimator, net, arrays):
    params, left_out = {}, []
    for name, one in estimator.get_params(deep=False).items():
        if name != "estimator":
            try:
                params[name] = _encode_parameter(one, arrays)
            except TypeError:  # an object of another package, which no prediction needs
                left_out.append(name)
    state, given = {}, estimator.get_params(deep=False)
    for name, one in vars(estimator).items():
        if name in given or name in ELSEWHERE:
            continue
        try:
            state[name] = encode(one, arrays)
        except TypeError as error:
            raise TypeError(
                f"{name} of this {type(estimator).__name__} holds {error}, which a file "
                "without pickle cannot."
            ) from error
    module = type(plain_module(net))
    return {
        "format": FORMAT,
        "class": type(estimator).__name__,
        "fingerprint": model_fingerprint(estimator),
        "module": f"{module.__module__}.{module.__qualname__}",
        "versions": {name: version(name) for name in PACKAGES},
        "output_order": getattr(net, "output_order_", None),
        "parameters": params,
        "left_out": left_out,
        "state": state,
        "says": _says(net, estimator._signature),
    }


def _encode_parameter(value, arrays):
    """A parameter as what JSON has; one that is a step of this package by its own ones."""
    kind = type(value)
    if _known(NetHolder).get(kind.__name__) is not kind:
        return encode(value, arrays)
    own = value.get_params(deep=False)
    return {"step": kind.__name__, "parameters": {k: encode(v, arrays) for k, v in own.items()}}


def _parameter(encoded, arrays):
    """Undo `_encode_parameter`."""
    if not (isinstance(encoded, dict) and "step" in encoded):
        return decode(encoded, arrays)
    own = {name: decode(one, arrays) for name, one in encoded["parameters"].items()}
    return _known(NetHolder)[encoded["step"]](**own)


def _says(net, signature):
    """Log-probabilities of rows that nobody has; None where the module refuses them."""
    try:
        said = predict_log_proba(net, on_device(net, made_up_rows(signature)))
    except (RuntimeError, ValueError, IndexError):  # zeros are no tokens of every network
        return None
    return [[f"{value:.6g}" for value in row] for row in said.double().cpu().tolist()]


def _read(path):
    """Header and tensors of a file that is whole."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is no file of skfairaug.save, or was cut short: {error}."
        ) from error
    if JSON not in metadata:
        raise ValueError(
            f"{path} is a file of safetensors that skfairaug.save has not written: its header "
            f"holds {sorted(metadata)}."
        )
    if metadata.get(DIGEST) != digest(tensors, metadata[JSON]):
        raise ValueError(f"{path} is damaged: its content is not what was written.")
    header = json.loads(metadata[JSON])
    if header["format"] > FORMAT:
        raise ValueError(
            f"{path} has format {header['format']}, of skfairaug "
            f"{header['versions']['skfairaug']}; this version reads up to {FORMAT}."
        )
    return header, tensors


def _net_of(module, signature):
    """A net of its own around a module, or a copy of a net."""
    module = unwrap(module)
    if isinstance(module, NeuralNet):
        return copy_net(module) if is_fitted_net(module) else clone(module).initialize()
    if isinstance(module, type) or not isinstance(module, nn.Module):
        raise TypeError(
            "module must be an instance of the network's class, or a skorch net; got "
            f"{module.__name__ if isinstance(module, type) else type(module).__name__}."
        )
    if signature.form not in NETS:
        raise TypeError("this network needs the skorch net that it was in: load(path, net).")
    kind, criterion = NETS[signature.form]
    weight = next(module.parameters(), torch.empty(0))
    net = kind(copy.deepcopy(module), criterion=criterion, device=str(weight.device), verbose=0)
    net.initialize().module_.eval()
    return net


def _check_same(estimator, header, path):
    """Raise unless the estimator is what was saved: its weights, and what it says."""
    if model_fingerprint(estimator) != header["fingerprint"]:
        raise ValueError(
            f"the module changes the weights in {path}: give it the precision that they have."
        )
    said, before = _says(estimator._served_net(), estimator._signature), header["says"]
    if before is None:
        return
    close = said is not None and np.allclose(
        np.array(said, dtype=float),
        np.array(before, dtype=float),
        rtol=1e-3,
        atol=1e-3,
        equal_nan=True,
    )
    if not close:
        raise ValueError(
            f"the module takes the weights in {path} and computes something else with them: "
            f"another activation, another criterion? They were of {header['module']}."
        )
