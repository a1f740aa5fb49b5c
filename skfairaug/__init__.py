"""Make trained neural networks fair, as scikit-learn estimators over skorch nets."""

from skfairaug._augmenter import AdversarialAugmenter
from skfairaug._engine._files import load, save
from skfairaug._engine._fingerprint import model_fingerprint
from skfairaug._finetuner import FairAugmentFineTuner
from skfairaug._reactivator import MaskReactivator
from skfairaug._rule import FairRule
from skfairaug.auditing._audit import audit

__version__ = "0.1.0.dev0"

__all__ = [
    "AdversarialAugmenter",
    "FairAugmentFineTuner",
    "FairRule",
    "MaskReactivator",
    "audit",
    "load",
    "model_fingerprint",
    "save",
]
