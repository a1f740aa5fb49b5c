"""COMPAS (ProPublica): who is charged again within two years?"""

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

#: Columns that are read and, after a download, stored: no names, dates or case numbers.
FEATURES = [
    "sex",
    "age",
    "age_cat",
    "race",
    "juv_fel_count",
    "juv_misd_count",
    "juv_other_count",
    "priors_count",
    "c_charge_degree",
    "c_charge_desc",
]
FILTERS = ["days_b_screening_arrest", "is_recid"]
LABEL = "two_year_recid"

FILES = (
    DataFile(
        "compas-scores-two-years.csv",
        "https://raw.githubusercontent.com/propublica/compas-analysis/master/"
        "compas-scores-two-years.csv",
        # As published, and without the columns that name persons.
        ("9165d40c400bba93a8cffece2b74622b", "67a6382ab008398a4d479c302a30ce20"),
        columns=(*FEATURES, *FILTERS, LABEL),
        n_rows=7214,
    ),
)

TARGET = Target(LABEL, (0,), "no_two_year_recid", ("recidivism", "no recidivism"))

GROUPINGS = {
    "sex": Grouping(("Male", "Female"), lambda sex: sex == "Female"),
    "race": Grouping(("Not Caucasian", "Caucasian"), lambda race: race == "Caucasian"),
}


@validate_params(FETCHER_CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_compas(
    data_home=None,
    *,
    sensitive="sex",
    encode=None,
    download_if_missing=True,
    return_X_y=False,
):
    """Load the COMPAS data: no new charge within two years, by sex or race.

    Defendants in Broward County, Florida, 2013-2014: 6,167 of 7,214 rows. ProPublica's
    filter leaves 6,172 (screened within 30 days of the arrest, recidivism known, no
    ordinary traffic offence), five of which lack a value. 10 columns, or 401 one-hot.
    3,358 rows have the favourable outcome, no new charge.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder with `compas/compas-scores-two-years.csv`, or with this file itself. None
        means the environment variable SKFAIRAUG_DATA, else `~/skfairaug_data`.
    sensitive : {"sex", "race"} or list of these, default="sex"
        Sensitive feature, or several, to return as `sensitive_features`. Both stay in
        `data` too.
    encode : {"onehot"}, default=None
        None keeps numeric columns and pandas categoricals. "onehot" gives the numeric
        frame of AIF360's CompasDataset: float64, `sex` and `race` 1 for the privileged
        group, one column `name=value` per value of the other categoricals.
    download_if_missing : bool, default=True
        Whether the file, if not found, is downloaded from ProPublica's repository (needs
        pooch) into `data_home`. Only the 13 columns that this function reads are stored.
    return_X_y : bool, default=False
        Whether to return `(data, target, sensitive_features)` instead of a Bunch.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like, with attributes:

        data : DataFrame of shape (6167, 10) or (6167, 401)
            Features.
        target : Series of shape (6167,)
            1 for no new charge within two years, else 0.
        sensitive_features : Series of shape (6167,) or DataFrame
            Ordered categoricals, the unprivileged group first: Male < Female,
            Not Caucasian < Caucasian. A DataFrame if `sensitive` is a list.
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
    Collected by ProPublica, who state no licence: cite them. The published file names
    the defendants. Names, dates of birth, case numbers and row identifiers are neither
    read nor returned. Rows, columns and groups are the defaults of AIF360, whose
    favourable label is 0 (no recidivism); here it is 1.

    References
    ----------
    J. Larson, S. Mattu, L. Kirchner and J. Angwin (2016). How We Analyzed the COMPAS
    Recidivism Algorithm. ProPublica.

    Examples
    --------
    >>> from skfairaug.datasets import fetch_compas
    >>> X, y, sex = fetch_compas(return_X_y=True)  # doctest: +SKIP
    >>> y.groupby(sex).mean().round(2).to_dict()  # doctest: +SKIP
    {'Male': 0.52, 'Female': 0.65}
    """
    check_sensitive(sensitive, GROUPINGS)
    (path,) = locate_files(
        "compas", FILES, data_home=data_home, download_if_missing=download_if_missing
    )
    frame = pd.read_csv(path, usecols=[*FEATURES, *FILTERS, LABEL])
    kept = (
        frame["days_b_screening_arrest"].between(-30, 30)
        & (frame["is_recid"] != -1)
        & (frame["c_charge_degree"] != "O")
    )
    return build_bunch(
        frame.loc[kept, [*FEATURES, LABEL]],
        target=TARGET,
        groupings=GROUPINGS,
        sensitive=sensitive,
        encode=encode,
        return_X_y=return_X_y,
        descr=inspect.getdoc(fetch_compas),
    )
