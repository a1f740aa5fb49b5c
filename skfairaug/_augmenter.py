"""AdversarialAugmenter: step 1 of the method as a transformer."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skfairaug._engine._attacker import Attacker
from skfairaug._engine._estimator import NetHolder
from skfairaug._engine._fitting import fits
from skfairaug._inputs._contexts import isolated_random_state
from skfairaug._inputs._given import in_precision_of
from skfairaug._inputs._intervals import Interval
from skfairaug._inputs._parameters import check_idle
from skfairaug.steps.attack import NORMS


class AugmentedRows(NamedTuple):
    """Adversarial rows, and the label, group, Eq. 10 weight and source of each."""

    X: np.ndarray
    y: np.ndarray
    sensitive_features: np.ndarray
    weights: np.ndarray
    indices: np.ndarray


class AdversarialAugmenter(OneToOneFeatureMixin, TransformerMixin, NetHolder):
    """Move rows towards rows of other groups, as the network sees them (Eq. 7).

    A row's *adversarial counterpart* has its label, and a representation (the
    input of the network's last layer) close to that of rows of the same label and
    mixed groups. Training on it blurs what the network knows of the group.

    As a step of a Pipeline it changes the training rows and leaves the rows to be
    predicted as they are, like :class:`~sklearn.preprocessing.TargetEncoder`. Inside
    :class:`FairAugmentFineTuner` it uses that estimator's network, `constraint`,
    `tolerance` and `sensitive_columns`, and its own are to stay as they are.

    Parameters
    ----------
    estimator : skorch net, torch.nn.Module or Pipeline, default=None
        Fitted network to attack, as in :class:`FairAugmentFineTuner`; an unfitted one is
        trained on the rows first. Not needed inside :class:`FairAugmentFineTuner`.
    norm : {"linf", "l2"} or tuple of them, default="linf"
        Attack type. Of several, each row gets one at random; joint training rewards
        the one that hurts most.
    radius : float, default=None
        Radius of the ball in units of X: pixels of uint8 count from 0 to 1, and a layer's
        output in its standard deviations. None takes 0.1 for "linf" and 0.5 for "l2", for
        standardised tables, and 8/255 and 0.5 for uint8 images; with several norms it
        scales those two.
    step_size : float, default=None
        Length of a step in the same units; None means ``2.5 * radius / n_steps``.
    n_steps : int, default=5
        Projected gradient steps; 0 leaves rows as they are, with their weights.
    direction : {"towards", "away"}, default="towards"
        Whether representations approach those of the partners or leave them.
    n_partners : int, default=8
        Partners per row, drawn with replacement.
    flip_probability : float, default=0.5
        Probability that a partner is of another group. None draws partners of the
        same label whatever their group (the paper's "ind").
    perturb : {"continuous", "all"} or array-like of int, default="continuous"
        Columns that may move. "continuous": those with more than two distinct
        values that do not follow from the group.
    clip : tuple of float, default=None
        Valid range of X. None: (0, 1) for uint8 images, and no bounds for other rows.
    input_layer : str, default=None
        Name of a module whose output is attacked in place of X, such as the embedding of
        tokens, which have no gradient.
    joint : bool, default=False
        Inside :class:`FairAugmentFineTuner`: attack the current network in every batch, and
        reward the attack type that hurts most. False attacks the biased network once.
    counterfactual : callable, default=None
        Maps a batch of rows, a float tensor (pixels in [0, 1]), to what the rows would be
        in the other group, such as :func:`~skfairaug.datasets.to_gray`: Eq. 10's
        counterfactual where no column of X says the group. None uses the columns, if any.
    weighting : {"sampling", "loss", "gradient"}, default="sampling"
        What the weights of Eq. 10 do inside :class:`FairAugmentFineTuner`: rows are drawn
        in proportion to them, or their loss is multiplied by them, without or with the
        gradient of the weight. None switches them off (the paper's "unif").
    weight_scale : float, default=20.0
        The paper's lambda.
    gap_scale : float, default=0.1
        The paper's epsilon_m.
    sensitive_columns : "auto", list of str or list of int, default="auto"
        Columns of X that say the group. "auto" finds the columns with one value per
        group.
    constraint : str, default="statistical_parity"
        Bias measure in the weights, see
        :data:`~skfairaug.metrics.CONSTRAINTS`.
    tolerance : float, default=0.05
        Bias allowed, in (0, 1].
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Source of randomness. Inside :class:`FairAugmentFineTuner` None takes that
        estimator's.

    Attributes
    ----------
    preprocessor_ : Pipeline or None
        Steps before the net in a Pipeline, as they came.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.
    classes_ : ndarray of shape (n_classes,)
        Labels.
    groups_ : tuple of str
        Names of the groups.
    net_ : skorch net
        The network that was attacked.

    See Also
    --------
    FairAugmentFineTuner : The whole method.
    skfairaug.steps.global_attack : The attack as a function of tensors.

    References
    ----------
    .. [1] Zhang, Bao, Pei, Huang, "Toward Unified Data and Algorithm Fairness via
       Adversarial Data Augmentation and Adaptive Model Fine-tuning", ICDM 2022.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skorch import NeuralNetClassifier
    >>> from skfairaug import AdversarialAugmenter
    >>> from skfairaug.modules import TabularMLP
    >>> rng = np.random.RandomState(0)
    >>> X = rng.normal(size=(80, 3)).astype(np.float32)
    >>> y, group = rng.randint(0, 2, (2, 80))
    >>> net = NeuralNetClassifier(TabularMLP, module__n_features=3, module__depth=1,
    ...                           criterion=torch.nn.CrossEntropyLoss,
    ...                           max_epochs=1, verbose=0).fit(X, y)
    >>> augmenter = AdversarialAugmenter(net, radius=0.2, random_state=0)
    >>> X_adv = augmenter.fit_transform(X, y, sensitive_features=group)
    >>> X_adv.shape, bool(abs(X_adv - X).max() <= 0.2 + 1e-6)
    ((80, 3), True)
    """

    _trains = False  # it attacks the net as it is

    _parameter_constraints: dict = {
        "estimator": "no_validation",
        "norm": [StrOptions(set(NORMS)), tuple, list],
        "radius": [Interval(Real, 0, None, closed="left"), None],
        "step_size": [Interval(Real, 0, None, closed="neither"), None],
        "n_steps": [Interval(Integral, 0, None, closed="left")],
        "direction": [StrOptions({"towards", "away"})],
        "n_partners": [Interval(Integral, 1, None, closed="left")],
        "flip_probability": [Interval(Real, 0, 1, closed="both"), None],
        "perturb": [StrOptions({"continuous", "all"}), "array-like"],
        "clip": [tuple, list, None],
        "input_layer": [str, None],
        "joint": ["boolean"],
        "counterfactual": [callable, None],
        "weighting": [StrOptions({"sampling", "loss", "gradient"}), None],
        "weight_scale": [Interval(Real, 0, None, closed="left")],
        "gap_scale": [Interval(Real, 0, None, closed="left")],
        "sensitive_columns": "no_validation",
        "constraint": [str],
        "tolerance": "no_validation",
        "pos_label": "no_validation",
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        norm="linf",
        radius=None,
        step_size=None,
        n_steps=5,
        direction="towards",
        n_partners=8,
        flip_probability=0.5,
        perturb="continuous",
        clip=None,
        input_layer=None,
        joint=False,
        counterfactual=None,
        weighting="sampling",
        weight_scale=20.0,
        gap_scale=0.1,
        sensitive_columns="auto",
        constraint="statistical_parity",
        tolerance=0.05,
        pos_label=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.norm = norm
        self.radius = radius
        self.step_size = step_size
        self.n_steps = n_steps
        self.direction = direction
        self.n_partners = n_partners
        self.flip_probability = flip_probability
        self.perturb = perturb
        self.clip = clip
        self.input_layer = input_layer
        self.joint = joint
        self.counterfactual = counterfactual
        self.weighting = weighting
        self.weight_scale = weight_scale
        self.gap_scale = gap_scale
        self.sensitive_columns = sensitive_columns
        self.constraint = constraint
        self.tolerance = tolerance
        self.pos_label = pos_label
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @fits
    def fit(self, X, y, *, sensitive_features=None):
        """Check the rows and the network; `augment` and `fit_transform` attack.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, as the network takes them.
        y : array-like of shape (n_samples,)
            Labels.
        sensitive_features : array-like, default=None
            Group of every row, of shape (n_samples,) or (n_samples, n_columns). None
            reads them from `sensitive_columns`.

        Returns
        -------
        self : object
            Fitted transformer.
        """
        rows = self._validate_rows(X, y, sensitive_features)
        seed = self._draw_seed()
        with isolated_random_state(seed):
            self.net_ = self._attacker(rows, seed).task.net
        return self

    def fit_transform(self, X, y, *, sensitive_features=None):
        """Return each row's adversarial counterpart, same rows, same order.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, as the network takes them.
        y : array-like of shape (n_samples,)
            Labels.
        sensitive_features : array-like, default=None
            Group of every row, of shape (n_samples,) or (n_samples, n_columns). None
            reads them from `sensitive_columns`.

        Returns
        -------
        X_adv : ndarray of shape (n_samples, n_features)
            Perturbed rows.
        """
        return self.augment(X, y, sensitive_features=sensitive_features).X

    def transform(self, X):
        """Return X as the network takes it: rows to be predicted are real.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The same values, behind the steps of a Pipeline before the net if there are any.
        """
        check_is_fitted(self)
        return self._validate_X(X)

    def get_feature_names_out(self, input_features=None):
        """Names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X; None takes those seen in fit.

        Returns
        -------
        names : ndarray of str
            Those of X, or of what the steps before the net in a Pipeline make of it.
        """
        check_is_fitted(self)
        if self.preprocessor_ is not None:
            return self.preprocessor_.get_feature_names_out(input_features)
        return super().get_feature_names_out(input_features)

    @fits
    def augment(self, X, y, *, sensitive_features=None):
        """Attack every row, and say how much each counts.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, as the network takes them.
        y : array-like of shape (n_samples,)
            Labels.
        sensitive_features : array-like, default=None
            Group of every row, of shape (n_samples,) or (n_samples, n_columns). None
            reads them from `sensitive_columns`.

        Returns
        -------
        rows : AugmentedRows
            Named tuple ``(X, y, sensitive_features, weights, indices)``: perturbed
            rows, their labels, group names and Eq. 10 weights, and the row that
            each was made from.
        """
        rows = self._validate_rows(X, y, sensitive_features)
        seed = self._draw_seed()
        with isolated_random_state(seed):
            attacker = self._attacker(rows, seed)
            task = attacker.task
            attacker.refresh()
            X_adv = attacker.attack_all()
            with torch.no_grad():
                weights = attacker.weights(task.train, X_adv)
        self.net_ = task.net
        names = np.asarray(rows.groups.names, dtype=object)
        return AugmentedRows(
            in_precision_of(rows.X, X_adv.cpu().numpy()),
            self._labels[rows.y],
            names[rows.groups.codes],
            weights.cpu().numpy(),
            np.arange(len(rows.y)),
        )

    def _attacker(self, rows, seed):
        """What attacks validated rows, every parameter checked against them."""
        check_idle(
            self,
            ("joint", "weighting"),
            "outside FairAugmentFineTuner: it says how a network trains on the rows.",
        )
        attacker = Attacker(self, self._whole_task(rows, seed))
        attacker.check_rows()
        return attacker
