"""Search the weights of one layer at a time with boosted trees (Savani et al. 2020)."""

from contextlib import suppress
from numbers import Integral, Real

import numpy as np
import torch
from scipy.stats import norm
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.utils._param_validation import Interval

from skfairaug._engine._estimator import BaseIntraProcessor
from skfairaug._inputs._encoder import weight_layers


class LayerwiseOptimization(BaseIntraProcessor):
    r"""Search for a fair network among the weights of one layer at a time.

    Gradient-boosted trees learn from the networks tried so far which weights make a
    good one, and propose the next [1]_. No gradient of the network is used. No
    sensitive feature is needed to predict.

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
    n_layers : int, default=5
        How many of the last linear and convolutional layers to search, one by one.
    n_calls : int, default=20
        Networks to try per layer.
    n_initial : int, default=10
        How many of them are drawn at random, before trees propose the others.
    max_entries : int, default=2000
        Of a layer with more weights, so many, drawn at random, are searched.
    radius : float, default=0.5
        How far a weight may move, in units of the root mean square of its layer's.
    n_trees : int, default=30
        Trees of each of the three surrogates.
    n_candidates : int, default=1000
        Random points among which the surrogate chooses the next.
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
    The layers are searched from the last one on, each with all others as they were
    trained, and the best network of all is kept. With the weights and biases of a layer
    in a box around the trained ones, the objective is the balanced accuracy within the
    tolerance at the best threshold. Three boosted regressors estimate its quantiles .16,
    .5 and .84 at a point, hence a mean :math:`m` and a deviation :math:`s`; the next
    point is the candidate with the largest expected improvement

    .. math:: (m - o^*)\, F(z) + s\, \varphi(z), \quad z = (m - o^*) / s,

    with :math:`o^*` the best objective so far and :math:`F, \varphi` the normal
    distribution and its density. The trained network is the first point.

    Five layers and twenty calls are the published settings. The published limit of
    100,000 weights a layer is lower here, as twenty points cannot tell so many apart; of
    the network of the paper's tables every layer but a wide first one is searched whole.
    The box, the number of random points and the surrogate's size are ours. The published
    code flips a sign, so that the bias of the output layer always wins; here
    the objective is maximised throughout, and the network kept is a copy.

    References
    ----------
    .. [1] Savani, White, Govindarajulu, "Intra-Processing Methods for Debiasing Neural
       Networks", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skorch import NeuralNetClassifier
    >>> from skfairaug.modules import TabularMLP
    >>> from skfairaug.rivals import LayerwiseOptimization
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 2000)
    >>> X = rng.normal(size=(2000, 3)).astype(np.float32)
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> net = NeuralNetClassifier(TabularMLP, module__n_features=3, module__depth=1,
    ...                           criterion=torch.nn.CrossEntropyLoss,
    ...                           max_epochs=5, verbose=0).fit(X[:300], y[:300])
    >>> fair = LayerwiseOptimization(net, tolerance=0.3, n_layers=1, n_calls=6,
    ...                              n_initial=3, random_state=0)
    >>> fair = fair.fit(X[300:], y[300:], sensitive_features=group[300:])
    >>> abs(fair.bias_) < 0.3
    True
    """

    _parameter_constraints: dict = {
        **BaseIntraProcessor._parameter_constraints,
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "n_calls": [Interval(Integral, 0, None, closed="left")],
        "n_initial": [Interval(Integral, 1, None, closed="left")],
        "max_entries": [Interval(Integral, 1, None, closed="left")],
        "radius": [Interval(Real, 0, None, closed="neither")],
        "n_trees": [Interval(Integral, 1, None, closed="left")],
        "n_candidates": [Interval(Integral, 1, None, closed="left")],
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
        n_layers=5,
        n_calls=20,
        n_initial=10,
        max_entries=2000,
        radius=0.5,
        n_trees=30,
        n_candidates=1000,
        sensitive_columns="auto",
        debias_fraction=0.25,
        pos_label=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.constraint = constraint
        self.tolerance = tolerance
        self.caution = caution
        self.n_layers = n_layers
        self.n_calls = n_calls
        self.n_initial = n_initial
        self.max_entries = max_entries
        self.radius = radius
        self.n_trees = n_trees
        self.n_candidates = n_candidates
        self.sensitive_columns = sensitive_columns
        self.debias_fraction = debias_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    @torch.no_grad()
    def _debias(self, task):
        random_state = np.random.RandomState(task.generator.initial_seed())
        start = task.best.verdict.objective
        with suppress(KeyboardInterrupt):  # the best so far is kept, as in fine-tuning
            for layer in weight_layers(task.net.module_)[: -self.n_layers - 1 : -1]:
                self._search(task, Box(layer, self, random_state), start, random_state)

    def _search(self, task, box, start, random_state):
        """Try `n_calls` networks that differ in the weights of a box."""
        points, values = [np.zeros(box.size)], [start]
        for call in range(self.n_calls):
            candidates = random_state.uniform(-1, 1, (self.n_candidates, box.size))
            point = candidates[0]
            if call >= self.n_initial:
                surrogates = self._fit_surrogates(points, values, random_state)
                point = candidates[expected_improvement(surrogates, candidates, max(values))]
            box.write(point)
            points.append(point)
            _, verdict = task.offer_net("search")
            values.append(verdict.objective)
        box.write(points[0])

    def _fit_surrogates(self, points, values, random_state):
        """Regressors of three quantiles of the objective."""
        return [
            GradientBoostingRegressor(
                loss="quantile",
                alpha=alpha,
                n_estimators=self.n_trees,
                random_state=random_state,
            ).fit(points, values)
            for alpha in (0.16, 0.5, 0.84)
        ]


class Box:
    """The weights of a layer that are searched, in coordinates from -1 to 1."""

    def __init__(self, layer, search, random_state):
        self.parameters = [p for p in layer.parameters(recurse=False) if p.requires_grad]
        # torch's own parameters_to_vector refuses weights with channels last in memory.
        self.origin = torch.cat([p.detach().reshape(-1) for p in self.parameters])
        self.size = min(len(self.origin), search.max_entries)
        entries = np.sort(random_state.permutation(len(self.origin))[: self.size])
        self.entries = torch.as_tensor(entries, device=self.origin.device)
        self.reach = search.radius * self.origin.square().mean().sqrt()

    def write(self, point):
        """Give the layer the weights at a point."""
        weights = self.origin.clone()
        weights[self.entries] += self.reach * torch.as_tensor(point).to(weights)
        parts = weights.split([p.numel() for p in self.parameters])
        with torch.no_grad():
            for parameter, part in zip(self.parameters, parts, strict=True):
                parameter.copy_(part.view(parameter.shape))


def expected_improvement(surrogates, points, best):
    """Index of the point that promises most over the `best` objective."""
    low, mean, high = (surrogate.predict(points) for surrogate in surrogates)
    gain = mean - best
    spread = np.maximum((high - low) / 2, 1e-9)  # trees agree where all values do
    z = gain / spread
    return int((gain * norm.cdf(z) + spread * norm.pdf(z)).argmax())
