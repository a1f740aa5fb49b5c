"""Tables IV to VI of the paper as data: settings, rows and published numbers."""

from typing import NamedTuple


class Setting(NamedTuple):
    """A data set, its sensitive feature and the bias measure."""

    data: str
    sensitive: str
    constraint: str

    @property
    def title(self):
        """How the setting is called in a heading."""
        return f"{self.data}, {self.sensitive}: {self.constraint.replace('_', ' ')}"


class Published(NamedTuple):
    """Balanced accuracy and size of the bias; None where the paper has a dash or no number.

    The paper prints a dash for the accuracy where the bias is out of bound.
    """

    balanced_accuracy: float | None
    bias: float | None


ADULT_AOD = Setting("adult", "sex", "average_odds")
ADULT_RACE = Setting("adult", "race", "statistical_parity")
ADULT_SPD = Setting("adult", "sex", "statistical_parity")
COMPAS_EOD = Setting("compas", "sex", "equal_opportunity")
BANK_SPD = Setting("bank", "age", "statistical_parity")
GERMAN_SPD = Setting("german", "sex", "statistical_parity")

#: Number of the paper's table -> its settings. German is in [21] and in no table.
TABLES = {
    "4": (ADULT_AOD, ADULT_RACE, ADULT_SPD),
    "5": (COMPAS_EOD,),
    "6": (BANK_SPD,),
    "german": (GERMAN_SPD,),
}

#: Setting -> the paper's rows by their names there.
PUBLISHED = {
    ADULT_AOD: {
        "Baseline": Published(None, 0.175),
        "ROC": Published(None, 0.052),
        "EqOdds": Published(None, 0.081),
        "CalibEqOdds": Published(None, 0.299),
        "Adv.Debias": Published(0.81, 0.008),
        "RndPert": Published(0.73, None),
        "LayerwiseOpt": Published(0.62, None),
        "Adv.Ft": Published(0.61, None),
        "Proposed": Published(0.77, None),
        "Proposed joint": Published(0.65, None),
    },
    ADULT_RACE: {
        "Baseline": Published(None, 0.178),
        "ROC": Published(None, 0.050),
        "EqOdds": Published(0.51, 0.000),
        "CalibEqOdds": Published(None, 0.178),
        "Adv.Debias": Published(0.65, 0.042),
        "RndPert": Published(0.64, 0.051),
        "LayerwiseOpt": Published(0.63, 0.041),
        "Adv.Ft": Published(0.61, 0.033),
        "Proposed": Published(0.64, 0.042),
        "Proposed joint": Published(0.61, 0.028),
    },
    ADULT_SPD: {
        "Baseline": Published(None, 0.341),
        "ROC": Published(0.66, 0.052),
        "EqOdds": Published(None, 0.026),
        "CalibEqOdds": Published(None, 0.221),
        "Adv.Debias": Published(0.60, 0.036),
        "RndPert": Published(0.59, 0.042),
        "LayerwiseOpt": Published(0.58, 0.038),
        "Adv.Ft": Published(0.55, 0.044),
        "Proposed": Published(0.60, None),
        "Proposed joint": Published(0.57, None),
    },
    COMPAS_EOD: {
        "Baseline": Published(None, 0.152),
        "ROC": Published(0.50, 0.013),
        "EqOdds": Published(0.51, 0.011),
        "CalibEqOdds": Published(0.36, 0.023),
        "Adv.Debias": Published(0.62, 0.081),
        "RndPert": Published(None, 0.084),
        "LayerwiseOpt": Published(0.52, 0.039),
        "Adv.Ft": Published(0.59, 0.036),
        "Proposed": Published(0.61, None),
        "Proposed joint": Published(0.62, None),
    },
    BANK_SPD: {
        "Baseline": Published(None, 0.191),
        "ROC": Published(None, 0.078),
        "EqOdds": Published(0.51, 0.001),
        "CalibEqOdds": Published(None, 0.164),
        "Adv.Debias": Published(None, 0.107),
        "RndPert": Published(None, 0.113),
        "LayerwiseOpt": Published(None, 0.058),
        "Adv.Ft": Published(0.53, 0.050),
        "Proposed": Published(0.53, 0.049),
        "Proposed joint": Published(0.52, 0.050),
    },
    GERMAN_SPD: {},
}
