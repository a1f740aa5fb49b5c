"""German credit (Statlog): who is a good credit risk?"""

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
        "german.data",
        "https://archive.ics.uci.edu/ml/machine-learning-databases/statlog/german/german.data",
        ("6b94c2e35480e671545e52a808a8a549",),
    ),
)

#: As given by german.doc; the names are AIF360's.
COLUMNS = [
    "status",
    "month",
    "credit_history",
    "purpose",
    "credit_amount",
    "savings",
    "employment",
    "investment_as_income_percentage",
    "personal_status",
    "other_debtors",
    "residence_since",
    "property",
    "age",
    "installment_plans",
    "housing",
    "number_of_credits",
    "skill_level",
    "people_liable_for",
    "telephone",
    "foreign_worker",
    "credit",
]

#: Codes of `personal_status` (sex and marital status) that are female.
FEMALE = ("A92", "A95")

TARGET = Target("credit", (1,), "credit", ("bad", "good"))

GROUPINGS = {
    "sex": Grouping(("female", "male"), lambda sex: sex == "male"),
    "age": Grouping(("25 or under", "over 25"), lambda age: age > 25),
}


@validate_params(FETCHER_CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_german(
    data_home=None,
    *,
    sensitive="sex",
    encode=None,
    download_if_missing=True,
    return_X_y=False,
):
    """Load the German Credit data: good credit risk, by sex or age.

    Loans of a German bank, 1973-1975: 1,000 rows, none with a missing value. 20 columns,
    or 58 one-hot; `sex` is derived from `personal_status`, which is dropped. 700 rows
    have the favourable outcome.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder with `german/german.data`, or with this file itself. None means the
        environment variable SKFAIRAUG_DATA, else `~/skfairaug_data`.
    sensitive : {"sex", "age"} or list of these, default="sex"
        Sensitive feature, or several, to return as `sensitive_features`. Both stay in
        `data` too.
    encode : {"onehot"}, default=None
        None keeps numeric columns, age in years among them, and pandas categoricals.
        "onehot" gives the numeric frame of AIF360's GermanDataset: float64, `sex` and
        `age` 1 for the privileged group, one column `name=value` per value of the other
        categoricals.
    download_if_missing : bool, default=True
        Whether the file, if not found, is downloaded from the UCI repository (needs
        pooch) into `data_home`.
    return_X_y : bool, default=False
        Whether to return `(data, target, sensitive_features)` instead of a Bunch.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like, with attributes:

        data : DataFrame of shape (1000, 20) or (1000, 58)
            Features.
        target : Series of shape (1000,)
            1 for a good credit risk, else 0.
        sensitive_features : Series of shape (1000,) or DataFrame
            Ordered categoricals, the unprivileged group first: female < male,
            25 or under < over 25. A DataFrame if `sensitive` is a list.
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
    Creator: Hans Hofmann. Published by UCI under CC BY 4.0. Rows, columns and groups are
    the defaults of AIF360. The codes (A11, A12, ...) are explained in `german.doc`.

    References
    ----------
    H. Hofmann (1994). Statlog (German Credit Data). UCI Machine Learning Repository.
    doi:10.24432/C5NC77

    Examples
    --------
    >>> from skfairaug.datasets import fetch_german
    >>> X, y, sex = fetch_german(return_X_y=True)  # doctest: +SKIP
    >>> y.groupby(sex).mean().round(2).to_dict()  # doctest: +SKIP
    {'female': 0.65, 'male': 0.72}
    """
    check_sensitive(sensitive, GROUPINGS)
    (path,) = locate_files(
        "german", FILES, data_home=data_home, download_if_missing=download_if_missing
    )
    frame = pd.read_csv(path, sep=" ", names=COLUMNS)
    status = frame.pop("personal_status")
    frame["sex"] = status.isin(FEMALE).map({True: "female", False: "male"})
    return build_bunch(
        frame,
        target=TARGET,
        groupings=GROUPINGS,
        sensitive=sensitive,
        encode=encode,
        return_X_y=return_X_y,
        descr=inspect.getdoc(fetch_german),
    )
