"""Perturb the weights at random and keep the fairest network (Savani et al. 2020)."""

from contextlib import suppress
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval

from skfairaug._engine._estimator import BaseIntraProcessor


class RandomPerturbation(BaseIntraProcessor):
    r"""Perturb the weights of a trained network at random, and keep the best network.

    The simplest way to search among networks near the trained one [1]_. No sensitive
    feature is needed to predict.

    Parameters
    ----------
    estimator : skorch net
        Trained NeuralNetClassifier or NeuralNetBinaryClassifier, or a
        :class:`~sklearn.frozen.FrozenEstimator` of one; never changed, and kept by
        :func:`~sklearn.base.clone`. An unfitted one is trained first, on the rows
        that do not debias.
    constraint : str, default="statistical_parity"
        Bias measure: "statistical_parity" ("demographic_parity"),
        "equal_opportunity", "average_odds" or "equalized_odds".
    tolerance : float, default=0.05
        Bias allowed, in (0, 1].
    caution : float, default=0.0
        Standard errors of the bias that the choice of network and threshold allows
        for, see :func:`~skfairaug.metrics.expected_phi`; 0 trusts the validation rows,
        as published.
    n_perturbations : int, default=101
        Networks to try.
    scale : float, default=0.1
        Standard deviation of the factors that multiply the weights.
    sensitive_columns : "auto", list of str or list of int, default="auto"
        Columns of X that say the group, from which `fit` reads the groups where it gets
        no `sensitive_features`. "auto" names none.
    debias_fraction : float, default=0.25
        Where `estimator` is not fitted: share of the rows, in (0, 1), that debias it.
        The others train it.
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Source of randomness.

    Attributes
    ----------
    net_ : skorch net
        The best network, in evaluation mode, on the device of `estimator`.
    threshold_ : float
        Cut-off on the favourable class's probability as `net_` gives it; for more
        than two classes 0.5 and unused.
    classes_ : ndarray of shape (n_classes,)
        Labels; of two, the second is the favourable one.
    groups_ : tuple of str
        Names of the groups.
    history_ : skorch History
        Bias, balanced accuracy and expected Phi of every network tried.
    balanced_accuracy_ : float
        Balanced accuracy of the result on the rows that chose it.
    bias_ : float
        Signed bias there: first minus second group.
    objective_ : float
        Expected Phi there.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.

    Warns
    -----
    FairnessNotReachedWarning
        If the least biased network misses the tolerance on the validation rows, or
        only a constant prediction meets it.

    Notes
    -----
    Each network tried multiplies every trainable parameter, those of BatchNorm included,
    by a factor of its own,

    .. math:: \theta' = \theta \odot q, \quad q_i \sim N(1, \sigma^2),

    with :math:`\sigma` the `scale`, and is judged by balanced accuracy within the
    tolerance at its best threshold. The trained network itself is a candidate. The
    number of networks and the `scale` are the published ones. Where the published code
    tries a grid of thresholds one by one, all of them are evaluated at once here, and the
    network kept is a copy.

    References
    ----------
    .. [1] Savani, White, Govindarajulu, "Intra-Processing Methods for Debiasing Neural
       Networks", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skorch import NeuralNetClassifier
    >>> from skfairaug.modules import TabularMLP
    >>> from skfairaug.rivals import RandomPerturbation
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 2000)
    >>> X = rng.normal(size=(2000, 3)).astype(np.float32)
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> net = NeuralNetClassifier(TabularMLP, module__n_features=3, module__depth=1,
    ...                           criterion=torch.nn.CrossEntropyLoss,
    ...                           max_epochs=5, verbose=0).fit(X[:300], y[:300])
    >>> fair = RandomPerturbation(net, tolerance=0.3, n_perturbations=9, random_state=0)
    >>> fair = fair.fit(X[300:], y[300:], sensitive_features=group[300:])
    >>> abs(fair.bias_) < 0.3
    True
    """

    _parameter_constraints: dict = {
        **BaseIntraProcessor._parameter_constraints,
        "n_perturbations": [Interval(Integral, 0, None, closed="left")],
        "scale": [Interval(Real, 0, None, closed="left")],
    }

    #: Nothing is trained: every row chooses.
    validation_fraction = 0.0

    def __init__(
        self,
        estimator,
        *,
        constraint="statistical_parity",
        tolerance=0.05,
        caution=0.0,
        n_perturbations=101,
        scale=0.1,
        sensitive_columns="auto",
        debias_fraction=0.25,
        pos_label=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.constraint = constraint
        self.tolerance = tolerance
        self.caution = caution
        self.n_perturbations = n_perturbations
        self.scale = scale
        self.sensitive_columns = sensitive_columns
        self.debias_fraction = debias_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    @torch.no_grad()
    def _debias(self, task):
        parameters = [p for p in task.net.module_.parameters() if p.requires_grad]
        originals = [p.clone() for p in parameters]
        with suppress(KeyboardInterrupt):  # the best so far is kept, as in fine-tuning
            for _ in range(self.n_perturbations):
                for parameter, original in zip(parameters, originals, strict=True):
                    noise = torch.randn(
                        original.shape,
                        generator=task.generator,
                        device=original.device,
                        dtype=original.dtype,
                    )
                    parameter.copy_(original * (1 + self.scale * noise))
                task.offer_net("perturb")
