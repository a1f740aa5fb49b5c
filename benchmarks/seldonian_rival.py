"""seldonian-engine's logistic regression, as a method of `few_rows.py` where it is installed.

The engine promises that the gap of the mean predicted probability is inside the bound with the
probability asked for, or returns no solution. Its decisions are therefore drawn with the
probabilities it predicts, for which that gap is the bias.

Its pinned dependencies do not build with today's Python: ``pip install --no-deps
seldonian-engine autograd`` beside this package's own is enough.
"""

import contextlib
import io

import numpy as np
from scipy.special import expit
from sklearn.utils import check_random_state

GAPS = {
    "statistical_parity": ["abs((PR | [A]) - (PR | [B])) <= {tolerance}"],
    "equal_opportunity": ["abs((TPR | [A]) - (TPR | [B])) <= {tolerance}"],
}


class SeldonianLogisticRegression:
    """A logistic regression that is inside a bound with a probability, or none.

    Parameters
    ----------
    constraint : {"statistical_parity", "equal_opportunity"}
        Bias measure.
    tolerance : float
        Bound.
    confidence : float
        Probability wanted.
    random_state : int
        Which rows are kept for the safety test, and the drawn decisions.
    n_iterations : int, default=1000
        Steps of its own gradient descent.
    """

    def __init__(
        self, *, constraint, tolerance, confidence=0.95, random_state=0, n_iterations=1000
    ):
        self.constraint = constraint
        self.tolerance = tolerance
        self.confidence = confidence
        self.random_state = random_state
        self.n_iterations = n_iterations

    def fit(self, X, y, *, sensitive_features):
        """Fit on rows of two groups; `solved_` says whether the engine found a solution."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.solved_, weights = self._run(X, y, np.asarray(sensitive_features))
        self.probability_inside_ = self.confidence if self.solved_ else np.nan
        self.balanced_accuracy_ = np.nan
        self.weights_ = weights if self.solved_ else np.zeros(X.shape[1] + 1)
        return self

    def _run(self, X, y, groups):
        from seldonian.dataset import SupervisedDataSet, SupervisedMetaData
        from seldonian.models.models import BinaryLogisticRegressionModel
        from seldonian.parse_tree.parse_tree import make_parse_trees_from_constraints
        from seldonian.seldonian_algorithm import SeldonianAlgorithm
        from seldonian.spec import SupervisedSpec

        order = check_random_state(self.random_state).permutation(len(y))
        sensitive = np.column_stack([groups == 0, groups == 1]).astype(int)[order]
        features = [f"x{i}" for i in range(X.shape[1])]
        meta = SupervisedMetaData(
            sub_regime="classification",
            all_col_names=[*features, "A", "B", "y"],
            feature_col_names=features,
            label_col_names=["y"],
            sensitive_col_names=["A", "B"],
        )
        data = SupervisedDataSet(
            features=X[order].astype(np.float64),
            labels=y[order].astype(np.int64),
            sensitive_attrs=sensitive,
            num_datapoints=len(y),
            meta=meta,
        )
        constraints = [c.format(tolerance=self.tolerance) for c in GAPS[self.constraint]]
        trees = make_parse_trees_from_constraints(
            constraints,
            [1 - self.confidence] * len(constraints),
            regime="supervised_learning",
            sub_regime="classification",
            columns=["A", "B"],
        )
        spec = SupervisedSpec(
            dataset=data,
            model=BinaryLogisticRegressionModel(),
            parse_trees=trees,
            sub_regime="classification",
            initial_solution_fn=lambda *_: np.zeros(X.shape[1] + 1),
            optimization_hyperparams={
                "lambda_init": 0.5,
                "alpha_theta": 0.005,
                "alpha_lamb": 0.005,
                "beta_velocity": 0.9,
                "beta_rmsprop": 0.95,
                "use_batches": False,
                "num_iters": self.n_iterations,
                "gradient_library": "autograd",
                "hyper_search": None,
                "verbose": False,
            },
        )
        return SeldonianAlgorithm(spec).run(write_cs_logfile=False)

    def predict(self, X):
        """Labels drawn with the probabilities predicted."""
        proba = expit(X @ self.weights_[1:] + self.weights_[0])
        drawn = check_random_state(self.random_state).uniform(size=len(X))
        return (drawn < proba).astype(int)
