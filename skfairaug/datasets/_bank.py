"""Bank marketing: who subscribes to a term deposit?"""

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

FILES = (
    DataFile(
        "bank-additional-full.csv",
        "https://archive.ics.uci.edu/ml/machine-learning-databases/00222/bank-additional.zip",
        ("f6cb2c1256ffe2836b36df321f46e92c",),
        member="bank-additional/bank-additional-full.csv",
    ),
)

TARGET = Target("y", ("yes",), "subscribed", ("no", "yes"))

GROUPINGS = {"age": Grouping(("under 25", "25 or over"), lambda age: age >= 25)}


@validate_params(FETCHER_CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_bank(
    data_home=None,
    *,
    sensitive="age",
    encode=None,
    download_if_missing=True,
    return_X_y=False,
):
    """Load the Bank Marketing data: subscription to a term deposit, by age.

    Phone calls of a Portuguese bank, 2008-2010: 30,488 of 41,188 rows, those without
    "unknown". 20 columns, or 57 one-hot. 3,859 rows have the favourable outcome.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder with `bank/bank-additional-full.csv`, or with this file itself. None means
        the environment variable SKFAIRAUG_DATA, else `~/skfairaug_data`.
    sensitive : {"age"} or list of it, default="age"
        Sensitive feature to return as `sensitive_features`. It stays in `data` too.
    encode : {"onehot"}, default=None
        None keeps numeric columns, age in years among them, and pandas categoricals.
        "onehot" gives the numeric frame of AIF360's BankDataset: float64, `age` 1 for 25
        years or over and else 0, one column `name=value` per value of the categoricals.
    download_if_missing : bool, default=True
        Whether the file, if not found, is downloaded from the UCI repository (needs
        pooch) into `data_home`.
    return_X_y : bool, default=False
        Whether to return `(data, target, sensitive_features)` instead of a Bunch.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like, with attributes:

        data : DataFrame of shape (30488, 20) or (30488, 57)
            Features.
        target : Series of shape (30488,)
            1 for a subscription, else 0.
        sensitive_features : Series of shape (30488,) or DataFrame
            Ordered categorical, the unprivileged group first: under 25 < 25 or over. A
            DataFrame if `sensitive` is a list.
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
        If the file is missing and cannot be downloaded, or is not the published one; says
        where to put it.
    ValueError
        If `sensitive` or `encode` is not one of the values listed.

    Notes
    -----
    Creators: Sérgio Moro, Paulo Rita and Paulo Cortez. Published by UCI under CC BY 4.0.
    Rows and columns are the defaults of AIF360. The privileged group, 25 years or over,
    was its default until 2023; newer releases also call 60 and over unprivileged.
    `duration`, the length of the call, is known only after the outcome; it is kept, as
    in AIF360.

    References
    ----------
    S. Moro, P. Cortez and P. Rita (2014). A Data-Driven Approach to Predict the Success
    of Bank Telemarketing. Decision Support Systems 62. doi:10.24432/C5K306

    Examples
    --------
    >>> from skfairaug.datasets import fetch_bank
    >>> X, y, age = fetch_bank(return_X_y=True)  # doctest: +SKIP
    >>> y.groupby(age).mean().round(2).to_dict()  # doctest: +SKIP
    {'under 25': 0.23, '25 or over': 0.12}
    """
    check_sensitive(sensitive, GROUPINGS)
    (path,) = locate_files(
        "bank", FILES, data_home=data_home, download_if_missing=download_if_missing
    )
    return build_bunch(
        pd.read_csv(path, sep=";", na_values="unknown"),
        target=TARGET,
        groupings=GROUPINGS,
        sensitive=sensitive,
        encode=encode,
        return_X_y=return_X_y,
        descr=inspect.getdoc(fetch_bank),
    )
