"""What a fitted estimator knows as JSON and arrays, of a closed list of classes.

Pickle names any callable, and calls it. Here a name is looked up among the classes below, and
an object is made of it by setting its attributes: reading runs nothing that is not listed.
"""

import math

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skfairaug._engine._fair_rule import FairRule
from skfairaug._engine._posterior import Calibration, CellPosterior
from skfairaug._engine._selection import Goal, Verdict
from skfairaug._engine._signature import Signature
from skfairaug.metrics._constraints import CONSTRAINTS, Constraint

#: Arrays with at most so many numbers stand in the JSON, where they can be read.
SMALL = 64

#: Records: their fields are what they are made of.
RECORDS = {one.__name__: one for one in (Goal, Signature, Verdict)}

#: Other objects, and attributes that only fitting needed.
OBJECTS = {
    one.__name__: one
    for one in (
        Calibration,
        CellPosterior,
        FairRule,
        LogisticRegression,
        Pipeline,
        StandardScaler,
    )
}
UNWANTED = {"selection", "fold"}


def encode(value, arrays):
    """A value as what JSON has.

    Parameters
    ----------
    value : object
        Numbers, strings, arrays, containers of them, and objects of the listed classes.
    arrays : dict of str to ndarray
        Receives the arrays that are not small.

    Returns
    -------
    encoded : object
        For `decode`.

    Raises
    ------
    TypeError
        If there is an object of another class.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, float):
        return {"number": repr(value)}
    if isinstance(value, np.generic):
        return encode(value.item(), arrays)
    if isinstance(value, np.ndarray):
        return _encode_array(value, arrays)
    if isinstance(value, np.dtype) or (
        isinstance(value, type) and issubclass(value, np.generic)
    ):
        return {"dtype": np.dtype(value).name}
    if isinstance(value, Constraint):
        return _encode_constraint(value)
    kind = type(value).__name__
    if RECORDS.get(kind) is type(value):
        fields = value._asdict() if isinstance(value, tuple) else vars(value)
        return {"record": kind, "fields": _encode_items(fields, arrays)}
    if OBJECTS.get(kind) is type(value):
        return {"object": kind, "state": _encode_items(value.__getstate__(), arrays)}
    if type(value) in (list, tuple):
        return {kind: [encode(one, arrays) for one in value]}
    if type(value) is dict and all(isinstance(key, str) for key in value):
        return {"dict": _encode_items(value, arrays)}
    raise TypeError(f"a {type(value).__module__}.{type(value).__qualname__}")


def decode(encoded, arrays):
    """Undo `encode`; names that are not listed are a KeyError.

    Parameters
    ----------
    encoded : object
        What `encode` gave.
    arrays : dict of str to ndarray
        Those it put aside.

    Returns
    -------
    value : object
        As it was.
    """
    if not isinstance(encoded, dict):
        return encoded
    if "number" in encoded:
        return float(encoded["number"])
    if "array" in encoded:
        return np.array(encoded["array"], dtype=encoded["dtype"]).reshape(encoded["shape"])
    if "tensor" in encoded:
        return arrays[encoded["tensor"]]
    if "dtype" in encoded:
        return np.dtype(encoded["dtype"])
    if "constraint" in encoded:
        return CONSTRAINTS[encoded["constraint"]]
    if "record" in encoded:
        return RECORDS[encoded["record"]](**_decode_items(encoded["fields"], arrays))
    if "object" in encoded:
        return _decode_object(encoded, arrays)
    if "dict" in encoded:
        return _decode_items(encoded["dict"], arrays)
    ((kind, values),) = encoded.items()
    return {"list": list, "tuple": tuple}[kind](decode(one, arrays) for one in values)


def _encode_array(value, arrays):
    if value.dtype.kind in "OUT":
        labels = value.tolist()
        if not all(isinstance(one, bool | int | float | str) for one in value.ravel().tolist()):
            raise TypeError("an array of objects")
        # Of fixed width they would be cut; pandas' strings are objects here too.
        kind = "object" if value.dtype.kind in "OT" else value.dtype.str
        return {"array": labels, "dtype": kind, "shape": list(value.shape)}
    if value.dtype.kind not in "biuf":
        raise TypeError(f"an array of {value.dtype}")
    if value.size <= SMALL and (value.dtype.kind != "f" or np.isfinite(value).all()):
        return {"array": value.tolist(), "dtype": value.dtype.str, "shape": list(value.shape)}
    name = f"array{len(arrays)}"
    arrays[name] = value
    return {"tensor": name}


def _encode_constraint(value):
    if CONSTRAINTS.get(value.name) is not value:
        raise TypeError(f"a constraint of your own, {value.name!r}")
    return {"constraint": value.name}


def _encode_items(items, arrays):
    return {name: encode(one, arrays) for name, one in items.items() if name not in UNWANTED}


def _decode_items(items, arrays):
    return {name: decode(one, arrays) for name, one in items.items()}


def _decode_object(encoded, arrays):
    kind = OBJECTS[encoded["object"]]
    state, made = _decode_items(encoded["state"], arrays), kind.__new__(kind)
    # scikit-learn's own looks at the version that wrote it, and warns of another.
    restore = getattr(made, "__setstate__", vars(made).update)
    restore(state)
    return made
