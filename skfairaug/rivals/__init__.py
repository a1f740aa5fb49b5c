"""Other ways to make a classifier fair, in one interface, to be compared with."""

from skfairaug.rivals._adversarial_debiasing import AdversarialDebiasing
from skfairaug.rivals._adversarial_fine_tuning import AdversarialFineTuning
from skfairaug.rivals._aif360 import (
    CalibratedEqOddsPostprocessing,
    EqOddsPostprocessing,
    RejectOptionClassification,
    Reweighing,
)
from skfairaug.rivals._bias_gradient import BiasGradientFineTuning
from skfairaug.rivals._correlation_remover import CorrelationRemover
from skfairaug.rivals._domain_discriminative import DomainDiscriminative
from skfairaug.rivals._domain_independent import DomainIndependent
from skfairaug.rivals._layerwise import LayerwiseOptimization
from skfairaug.rivals._oxonfair import OxonFair, OxonFairWithGroups
from skfairaug.rivals._plain import PlainFineTuning
from skfairaug.rivals._random_perturbation import RandomPerturbation
from skfairaug.rivals._reductions import ExponentiatedGradient, GridSearch
from skfairaug.rivals._threshold_only import ThresholdOnly
from skfairaug.rivals._threshold_optimizer import ThresholdOptimizer
from skfairaug.rivals._uniform_confusion import UniformConfusion

__all__ = [
    "AdversarialDebiasing",
    "AdversarialFineTuning",
    "BiasGradientFineTuning",
    "CalibratedEqOddsPostprocessing",
    "CorrelationRemover",
    "DomainDiscriminative",
    "DomainIndependent",
    "EqOddsPostprocessing",
    "ExponentiatedGradient",
    "GridSearch",
    "LayerwiseOptimization",
    "OxonFair",
    "OxonFairWithGroups",
    "PlainFineTuning",
    "RandomPerturbation",
    "RejectOptionClassification",
    "Reweighing",
    "ThresholdOnly",
    "ThresholdOptimizer",
    "UniformConfusion",
]
