"""The fetchers against AIF360's own classes, on the published files."""

import inspect

import aif360.datasets
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skfairaug.datasets import fetch_adult, fetch_bank, fetch_compas, fetch_german

FETCHERS = {
    "adult": fetch_adult,
    "bank": fetch_bank,
    "compas": fetch_compas,
    "german": fetch_german,
}

#: Rows, columns, columns one-hot, favourable rows.
COUNTS = {
    "adult": (45_222, 13, 98, 11_208),
    "bank": (30_488, 20, 57, 3_859),
    "compas": (6_167, 10, 401, 3_358),
    "german": (1_000, 20, 58, 700),
}

#: Groups in order, the unprivileged one first, and their rows.
GROUPS = {
    ("adult", "sex"): {"Female": 14_695, "Male": 30_527},
    ("adult", "race"): {"Non-white": 6_319, "White": 38_903},
    ("bank", "age"): {"under 25": 864, "25 or over": 29_624},
    ("compas", "sex"): {"Male": 4_994, "Female": 1_173},
    ("compas", "race"): {"Not Caucasian": 4_067, "Caucasian": 2_100},
    ("german", "sex"): {"female": 310, "male": 690},
    ("german", "age"): {"25 or under": 190, "over 25": 810},
}

by_name = pytest.mark.parametrize("name", sorted(FETCHERS))


@pytest.fixture
def fetch(data_home):
    def fetch(name, **options):
        if not (data_home / name).is_dir():
            pytest.skip(f"no folder {name} in the data home")
        return FETCHERS[name](data_home, download_if_missing=False, **options)

    return fetch


@pytest.fixture
def aif360_dataset(data_home, monkeypatch):
    """AIF360's class with its defaults, reading our files, with strings that it can handle."""
    read_csv = pd.read_csv

    def read(path, *args, **kwargs):
        folder, file = str(path).replace("\\", "/").split("/")[-2:]
        frame = read_csv(data_home / folder / file, *args, **kwargs)
        texts = [c for c in frame if not pd.api.types.is_numeric_dtype(frame[c])]
        return frame.astype(dict.fromkeys(texts, object))

    def load(name, **arguments):
        monkeypatch.setattr(pd, "read_csv", read)
        dataset = getattr(aif360.datasets, f"{name.title()}Dataset")(**arguments)
        monkeypatch.setattr(pd, "read_csv", read_csv)
        return dataset

    return load


def assert_same_as_aif360(ours, theirs):
    assert ours.feature_names == theirs.feature_names
    assert (ours.data.dtypes == np.float64).all()
    assert_array_equal(ours.data.to_numpy(), theirs.features)
    assert_array_equal(ours.target, theirs.labels.ravel() == theirs.favorable_label)
    assert sorted(ours.sensitive_names) == sorted(theirs.protected_attribute_names)
    protected = zip(
        theirs.protected_attribute_names,
        theirs.protected_attributes.T,
        theirs.privileged_protected_attributes,
        strict=True,
    )
    for name, column, privileged in protected:
        groups = ours.sensitive_features[name]
        assert_array_equal(groups.cat.codes == 1, np.isin(column, privileged))


@pytest.mark.parametrize("name", ["adult", "compas", "german"])
def test_onehot_equals_aif360(name, fetch, aif360_dataset):
    names = fetch(name).sensitive_names
    ours = fetch(name, encode="onehot", sensitive=names)
    assert_same_as_aif360(ours, aif360_dataset(name))


def test_onehot_equals_aif360_on_bank(fetch, aif360_dataset):
    ours = fetch("bank", encode="onehot", sensitive=["age"])
    # AIF360's default until 2023, and what the paper used.
    theirs = aif360_dataset("bank", privileged_classes=[lambda age: age >= 25])
    assert_same_as_aif360(ours, theirs)


def test_bank_differs_from_todays_aif360_in_age_only(fetch, aif360_dataset):
    ours, theirs = fetch("bank", encode="onehot"), aif360_dataset("bank")
    assert ours.feature_names == theirs.feature_names
    differs = (ours.data.to_numpy() != theirs.features).any(axis=0)
    assert np.array(ours.feature_names)[differs].tolist() in ([], ["age"])


@by_name
def test_counts(name, fetch):
    bunch = fetch(name)
    n_rows, n_columns, n_onehot, n_favourable = COUNTS[name]
    assert bunch.data.shape == (n_rows, n_columns)
    assert fetch(name, encode="onehot").data.shape == (n_rows, n_onehot)
    assert bunch.target.sum() == n_favourable
    text = inspect.getdoc(FETCHERS[name])
    assert text == bunch.DESCR
    for count in (n_rows, n_columns, n_onehot, n_favourable):
        assert f"{count:,}" in text, "the docstring states the counts"


@by_name
def test_columns(name, fetch):
    bunch = fetch(name)
    assert bunch.data.index.equals(pd.RangeIndex(len(bunch.data)))
    assert bunch.feature_names == list(bunch.data.columns)
    assert not bunch.data.isna().any(axis=None)
    numeric = bunch.data.dtypes.map(pd.api.types.is_numeric_dtype)
    for column in bunch.data.columns[~numeric]:
        kind = bunch.data[column].dtype
        assert isinstance(kind, pd.CategoricalDtype)
        assert set(bunch.data[column]) == set(kind.categories), "no empty category"
    assert bunch.target.dtype == np.int64
    assert len(bunch.target_names) == 2
    assert bunch.target.index.equals(bunch.data.index)


@pytest.mark.parametrize(("name", "sensitive"), sorted(GROUPS))
def test_groups(name, sensitive, fetch):
    groups = fetch(name, sensitive=sensitive).sensitive_features
    assert groups.name == sensitive
    assert groups.cat.ordered
    assert groups.value_counts(sort=False).to_dict() == GROUPS[name, sensitive]
    assert list(groups.cat.categories) == list(GROUPS[name, sensitive])
    frame = fetch(name, sensitive=[sensitive]).sensitive_features
    assert frame.equals(groups.to_frame())


@by_name
def test_return_X_y(name, fetch):
    bunch = fetch(name)
    X, y, groups = fetch(name, return_X_y=True)
    # assert_frame_equal needs seconds for categoricals of this length.
    assert X.equals(bunch.data)
    assert y.equals(bunch.target)
    assert groups.equals(bunch.sensitive_features)


def test_several_sensitive_features(fetch):
    frame = fetch("adult", sensitive=["race", "sex"]).sensitive_features
    assert list(frame.columns) == ["race", "sex"]
    assert list(frame["race"].cat.categories) == ["Non-white", "White"]


@by_name
@pytest.mark.parametrize("sensitive", ["income", ["nothing"], [], None])
def test_unknown_sensitive_feature(name, sensitive):
    with pytest.raises(ValueError, match=r"sensitive.* must be"):
        FETCHERS[name](sensitive=sensitive, download_if_missing=False)


def test_the_error_lists_the_sensitive_features():
    message = r"different names of \['race', 'sex'\]; got \['sex', 'sex'\]"
    with pytest.raises(ValueError, match=message):
        fetch_adult(sensitive=["sex", "sex"])


@by_name
def test_unknown_encoding(name):
    with pytest.raises(ValueError, match=r"'encode' parameter of fetch_.* must be"):
        FETCHERS[name](encode="ordinal")
