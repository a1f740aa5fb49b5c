"""Adult (census income): who earns more than 50,000 dollars a year?"""

import inspect

import pandas as pd
from sklearn.utils._param_validation import validate_params

from skfairaug.datasets._files import DataFile, locate_files
from skfairaug.datasets._tables import (
    FETCHER_CONSTRAINTS,
    Grouping,
    Target,
    build_bunch,
    check_sensitive,
)

_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult/"

FILES = (
    DataFile("adult.data", _URL + "adult.data", ("5d7c39d7b8804f071cdd1f2a7c460872",)),
    DataFile("adult.test", _URL + "adult.test", ("35238206dfdf7f1fe215bbb874adecdc",)),
)

#: As given by adult.names.
COLUMNS = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income-per-year",
]

TARGET = Target("income-per-year", (">50K", ">50K."), "income-per-year", ("<=50K", ">50K"))

GROUPINGS = {
    "race": Grouping(("Non-white", "White"), lambda race: race == "White"),
    "sex": Grouping(("Female", "Male"), lambda sex: sex == "Male"),
}


@validate_params(FETCHER_CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_adult(
    data_home=None,
    *,
    sensitive="sex",
    encode=None,
    download_if_missing=True,
    return_X_y=False,
):
    """Load the Adult data: income above 50,000 dollars, by sex or race.

    Census records of 1994, 45,222 rows: `adult.test` and then `adult.data`, less 3,620
    with a missing value. 13 columns, or 98 one-hot; `fnlwgt`, a sampling weight, is
    dropped. 11,208 rows have the favourable outcome.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder with `adult/adult.data` and `adult/adult.test`, or with these two files
        themselves. None means the environment variable SKFAIRAUG_DATA, else
        `~/skfairaug_data`.
    sensitive : {"sex", "race"} or list of these, default="sex"
        Sensitive feature, or several, to return as `sensitive_features`. Both stay in
        `data` too.
    encode : {"onehot"}, default=None
        None keeps numeric columns and pandas categoricals. "onehot" gives the numeric
        frame of AIF360's AdultDataset: float64, `sex` and `race` 1 for the privileged
        group, one column `name=value` per value of the other categoricals.
    download_if_missing : bool, default=True
        Whether files that are not found are downloaded from the UCI repository (needs
        pooch) into `data_home`.
    return_X_y : bool, default=False
        Whether to return `(data, target, sensitive_features)` instead of a Bunch.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like, with attributes:

        data : DataFrame of shape (45222, 13) or (45222, 98)
            Features.
        target : Series of shape (45222,)
            1 for an income above 50,000 dollars, else 0.
        sensitive_features : Series of shape (45222,) or DataFrame
            Ordered categoricals, the unprivileged group first: Female < Male,
            Non-white < White. A DataFrame if `sensitive` is a list.
        feature_names : list of str
            Columns of `data`.
        target_names : list of str
            What 0 and 1 mean.
        sensitive_names : list of str
            Names that `sensitive` may take.
        DESCR : str
            This text.

    Raises
    ------
    OSError
        If a file is missing and cannot be downloaded, or is not the published one; says
        where to put it.
    ValueError
        If `sensitive` or `encode` is not one of the values listed.

    Notes
    -----
    Creators: Barry Becker and Ronny Kohavi. Published by UCI under CC BY 4.0. Rows,
    columns and groups are the defaults of AIF360.

    References
    ----------
    B. Becker and R. Kohavi (1996). Adult. UCI Machine Learning Repository.
    doi:10.24432/C5XW20

    Examples
    --------
    >>> from skfairaug.datasets import fetch_adult
    >>> X, y, sex = fetch_adult(return_X_y=True)  # doctest: +SKIP
    >>> y.groupby(sex).mean().round(2).to_dict()  # doctest: +SKIP
    {'Female': 0.11, 'Male': 0.31}
    """
    check_sensitive(sensitive, GROUPINGS)
    train, test = locate_files(
        "adult", FILES, data_home=data_home, download_if_missing=download_if_missing
    )
    # The first line of adult.test is a comment.
    frame = pd.concat([_read(test, skiprows=1), _read(train)], ignore_index=True)
    return build_bunch(
        frame,
        target=TARGET,
        groupings=GROUPINGS,
        sensitive=sensitive,
        encode=encode,
        return_X_y=return_X_y,
        descr=inspect.getdoc(fetch_adult),
    )


def _read(path, skiprows=0):
    return pd.read_csv(
        path,
        names=COLUMNS,
        usecols=[column for column in COLUMNS if column != "fnlwgt"],
        skiprows=skiprows,
        skipinitialspace=True,
        na_values="?",
    )
