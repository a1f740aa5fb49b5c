"""Synthetic loan applications whose true qualification is known."""

import inspect
from numbers import Integral, Real

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import StrOptions, validate_params

from skfairaug._inputs._intervals import Interval
from skfairaug.datasets._tables import Grouping, encode_onehot

GROUPING = Grouping(("female", "male"), lambda sex: sex == "male")

#: The first half lies where women live, the second where men do, as far as
#: `proxy_strength` has it.
DISTRICTS = ("harbour", "hill", "market", "mill", "park", "station")


@validate_params(
    {
        "n_samples": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
        "label_bias": [Interval(Real, 0, 1, closed="both")],
        "proxy_strength": [Interval(Real, 0, 1, closed="both")],
        "group_imbalance": [Interval(Real, 0, 1, closed="left")],
        "include_sensitive": ["boolean"],
        "encode": [StrOptions({"onehot"}), None],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_loans(
    n_samples=1000,
    *,
    random_state=None,
    label_bias=0.3,
    proxy_strength=0.5,
    group_imbalance=0.4,
    include_sensitive=True,
    encode=None,
    return_X_y=False,
):
    """Draw synthetic loan applications with biased labels and known qualification.

    Women and men qualify equally often and for the same reasons, but some qualified
    women were turned down. A network trained on these decisions becomes unfair; how fair
    and how right it is can be judged against `qualification`.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of applications, at least 2.
    random_state : int or RandomState instance, default=None
        An int gives the same data every time, None fresh data; NumPy's global state is
        neither read nor changed.
    label_bias : float, default=0.3
        Probability, 0 to 1, that a qualified woman was turned down. At 0 the target
        equals the qualification; the women's share of favourable targets falls in
        proportion.
    proxy_strength : float, default=0.5
        How far `district` and `career_gap`, which say nothing about qualification, give
        the sex away, 0 to 1. It is the probability that somebody lives in a district of
        their own sex rather than in any; the women's mean career gap is
        `1 + 4 * proxy_strength` times the men's. At 0 both are independent of sex, at 1
        the district alone determines it.
    group_imbalance : float, default=0.4
        Men's share of the rows minus the women's, 0 (inclusive) to 1 (exclusive): at 0.4
        it is 70% and 30%. The shares are exact up to rounding, with a row of each at least.
    include_sensitive : bool, default=True
        Whether `data` has a column `sex`.
    encode : {"onehot"}, default=None
        None gives numeric columns and pandas categoricals; "onehot" float64 columns only:
        `sex` 1 for men, one column `name=value` per value of the other categoricals.
    return_X_y : bool, default=False
        Whether to return `(data, target, sensitive_features)` instead of a Bunch.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like, with attributes:

        data : DataFrame of shape (n_samples, 11), or (n_samples, 21) if one-hot
            `age` (years), `income` (thousand a year), `amount` (thousand asked for),
            `debt_ratio` (debt payments as a share of income), `credit_history` (years),
            `late_payments` (count, last two years), `career_gap` (months), and the
            categoricals `housing`, `purpose`, `district` and `sex`.
        target : Series of shape (n_samples,)
            The decision, 1 for a loan; biased.
        qualification : Series of shape (n_samples,)
            1 for an applicant who will pay back; unbiased.
        sensitive_features : Series of shape (n_samples,)
            Sex, an ordered categorical, the unprivileged group first: female < male.
        feature_names : list of str
            Columns of `data`.
        target_names : list of str
            What 0 and 1 mean.
        sensitive_names : list of str
            Names of the sensitive features.
        DESCR : str
            This text.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    Qualification is drawn from a logistic model in income, debt ratio, credit history,
    late payments and amount; the sex is not in it. Knobs do not disturb one another: with
    the same seed, a change of `label_bias` changes the target only.

    Examples
    --------
    >>> from skfairaug.datasets import make_loans
    >>> loans = make_loans(2000, random_state=0, label_bias=0.4)
    >>> loans.data[["income", "late_payments", "district", "sex"]].head(2)
       income  late_payments district     sex
    0    49.2              1  harbour  female
    1    30.9              6     park    male
    >>> loans.qualification.groupby(loans.sensitive_features).mean().round(2).to_dict()
    {'female': 0.55, 'male': 0.55}
    >>> loans.target.groupby(loans.sensitive_features).mean().round(2).to_dict()
    {'female': 0.32, 'male': 0.55}
    """
    # None must not mean NumPy's global state, as it does in check_random_state.
    rng = np.random.RandomState() if random_state is None else check_random_state(random_state)
    female = _draw_women(n_samples, group_imbalance, rng)
    finances, logit = _draw_finances(n_samples, rng)
    qualified = rng.uniform(size=n_samples) < expit(logit)
    turned_down = rng.uniform(size=n_samples) < label_bias
    granted = qualified & ~(turned_down & female)
    data = finances.assign(**_draw_proxies(female, proxy_strength, rng))
    sex = _choose(GROUPING.names, np.where(female, 0, 1))
    if include_sensitive:
        data["sex"] = sex
    if encode == "onehot":
        data = encode_onehot(data, {"sex": GROUPING} if include_sensitive else {})
    y = pd.Series(granted.astype("int64"), name="loan")
    groups = pd.Series(sex.as_ordered(), name="sex")
    if return_X_y:
        return data, y, groups
    return Bunch(
        data=data,
        target=y,
        qualification=pd.Series(qualified.astype("int64"), name="qualification"),
        sensitive_features=groups,
        feature_names=list(data.columns),
        target_names=["turned down", "loan"],
        sensitive_names=["sex"],
        DESCR=inspect.getdoc(make_loans),
    )


def _draw_women(n_samples, group_imbalance, rng):
    """Mark as many rows, in random order, as the imbalance leaves to women."""
    n_women = max(1, round(n_samples * (1 - group_imbalance) / 2))
    return rng.permutation(n_samples) < n_women


def _draw_finances(n_samples, rng):
    """Columns that do not depend on the sex, and the logit of the qualification."""
    earning, thrift, experience, choice = rng.standard_normal((4, n_samples))
    age = np.clip(40 + 12 * experience, 18, 80).round()
    income = np.exp(3.7 + 0.45 * earning)
    debt_ratio = expit(-0.9 + 0.9 * thrift)
    credit_history = ((age - 18) * rng.beta(3, 2, n_samples)).round(1)
    late_payments = rng.poisson(np.exp(-0.3 + 0.8 * thrift))
    amount = np.exp(2.6 + 0.4 * earning + 0.5 * choice)
    wealth = earning + rng.standard_normal(n_samples)
    finances = {
        "age": age.astype("int64"),
        "income": income.round(1),
        "amount": amount.round(1),
        "debt_ratio": debt_ratio.round(3),
        "credit_history": credit_history,
        "late_payments": late_payments,
        "housing": _choose(("rent", "mortgage", "own"), np.digitize(wealth, [-0.3, 1.0])),
        "purpose": _choose(
            ("business", "car", "education", "home"), rng.randint(4, size=n_samples)
        ),
    }
    logit = (
        0.6
        + 2.2 * earning
        - 3.0 * (debt_ratio - 0.3) / 0.2
        + 0.06 * (credit_history - 13)
        - 0.6 * (late_payments - 1)
        - 0.5 * choice
    )
    return pd.DataFrame(finances), logit


def _draw_proxies(female, strength, rng):
    """Columns that depend on the sex, by the strength, and on nothing else."""
    n_samples, half = len(female), len(DISTRICTS) // 2
    own = rng.randint(half, size=n_samples) + np.where(female, 0, half)
    anywhere = rng.randint(len(DISTRICTS), size=n_samples)
    district = np.where(rng.uniform(size=n_samples) < strength, own, anywhere)
    gap = rng.gamma(1.5, 4, n_samples) * np.where(female, 1 + 4 * strength, 1)
    return {"career_gap": gap.round(1), "district": _choose(DISTRICTS, district)}


def _choose(names, codes):
    """Categorical of `names`, which are all kept as categories, used or not."""
    return pd.Categorical.from_codes(codes, categories=list(names))
