"""FairAugmentFineTuner: the whole method; its `_debias` reads as the paper's algorithm."""

import warnings
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from numbers import Integral, Real

import numpy as np
from scipy.special import log_expit, log_softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skfairaug._augmenter import AdversarialAugmenter
from skfairaug._engine._attacker import Attacker
from skfairaug._engine._budget import announce, budget_of, until_converged
from skfairaug._engine._debiasing_task import read
from skfairaug._engine._estimator import BaseIntraProcessor
from skfairaug._engine._export_rule import export_rule
from skfairaug._engine._processes import shared_steps
from skfairaug._engine._selection import Goal
from skfairaug._engine._training import fine_tune
from skfairaug._inputs._checks import check_group_estimator
from skfairaug._inputs._intervals import Interval
from skfairaug._inputs._parameters import check_idle
from skfairaug._inputs._rows import on_device
from skfairaug._reactivator import MaskReactivator, to_numpy
from skfairaug.metrics._constraints import get_constraint
from skfairaug.steps.mask import density

PASS = "passthrough"

#: Parameters that a step has for its use alone.
OURS = (
    "estimator",
    "constraint",
    "tolerance",
    "caution",
    "penalty",
    "margin",
    "sensitive_columns",
    "pos_label",
)

#: Parameters that say how a network learns.
TRAINING = "augmenter", "reactivator", "mixing", "penalty", "train_mode", "lr", "max_epochs"

#: Epochs of each round of fine-tuning; a network that has caught up needs no further one.
ROUNDS = 10, 20, 40

#: Expected Phi by which a network may lie behind its teacher: to be called level with it, and
#: to pass without a warning.
CLOSE, FAR = 0.003, 0.03


class FairAugmentFineTuner(BaseIntraProcessor):
    r"""Make a trained skorch classifier fair with a small validation set.

    Fine-tunes a copy of the network until it is fair, and picks the epoch and threshold
    that keep the bias inside the tolerance on new data most surely. On request it first
    augments the rows with an adversarial attack that mixes the groups (step 1 of [1]_)
    and finds and restarts the weights that carry the bias (step 2). No sensitive feature
    is needed to predict.

    Parameters
    ----------
    estimator : skorch net, torch.nn.Module or Pipeline
        Trained network: a NeuralNetClassifier or NeuralNetBinaryClassifier, a module
        (logits or probabilities, or one of either: a forward pass tells), a fitted
        Pipeline that ends in one of them, or a
        :class:`~sklearn.frozen.FrozenEstimator` of each; never changed, and kept by
        :func:`~sklearn.base.clone`. What has no ``requires_grad`` is not tuned, unless
        nothing has. An unfitted net is trained first, on the rows that do not debias.
    augmenter : AdversarialAugmenter or "passthrough", default=None
        Step 1. None and "passthrough" train on the rows as they are, which the
        ablation prefers on tables.
    reactivator : MaskReactivator or "passthrough", default=None
        Step 2. None and "passthrough" fine-tune all weights from where they are.
    sensitive_columns : "auto", list of str or list of int, default="auto"
        Columns of X that say the group: the attack keeps them still and Eq. 10's
        counterfactual changes them. "auto" finds the columns with one value per
        group. Named, they also give the groups where `fit` gets no
        `sensitive_features`.
    constraint : str, default="statistical_parity"
        Bias measure: "statistical_parity" ("demographic_parity"),
        "equal_opportunity", "average_odds" or "equalized_odds".
    tolerance : float, default=0.05
        Bias allowed, in (0, 1].
    caution : float, default=1.0
        Standard errors of the bias that the choice of epoch and threshold allows for,
        see :func:`~skfairaug.metrics.expected_phi`; 0 trusts the validation rows, as
        the paper does.
    confidence : float, default=None
        Probability, in (0, 1), with which the bias on new rows shall be inside the tolerance:
        the most accurate choice that is that sure is taken. None weighs it against accuracy
        (expected Phi).
    result : {"network", "rule", "best"}, default="network"
        What predicts. "network": the fine-tuned one. "rule": the fair rule itself
        (:class:`FairRule`) over the network as given, which is as good as the teacher and
        needs no training. "best": the network, unless none comes within 0.003 of the rule's
        expected Phi; then the rule. Only where the fair rule is the teacher.
    group_estimator : classifier, default=None
        Guesses the group of a row for the fair teacher; not fitted, has `predict_proba`. None
        is a logistic regression on the columns of a table, and on the network's
        representation of images, texts and rows by name.
    missing_groups : {"error", "infer"}, default="error"
        What a missing value in `sensitive_features` is. "infer": the row's group is not known;
        the teacher labels the row, which helps to fine-tune and chooses nothing.
    mixing : bool, default=False
        Whether a table's network learns from rows mixed between the groups
        (:func:`~skfairaug.steps.mix_rows`), which the teacher labels, instead of from the rows
        themselves.
    distillation : float, default=None
        Share of the fair teacher in the loss, in [0, 1]; the labels have the rest. 0
        switches it off, as in the paper. None takes 1 for two classes and 0.5 for more.
    penalty : float, default=None
        Weight of the bias term in the loss; 0 switches it off, as in the paper. None
        takes 0 with a fair teacher and 8 without.
    margin : float, default=1.0
        Share of the tolerance, in [0, 1], by which the bias term aims inside it; 1 aims at
        no bias.
    train_mode : bool, default=None
        Whether the network behaves as in training while fine-tuning; False drops nothing,
        keeps the statistics of BatchNorm, and neither crops nor flips. None takes True for
        images (rows of several dimensions) and False for others.
    max_epochs : int, default=None
        Epochs of fine-tuning; after each, the network is a candidate. None takes 10, and 20
        and 40 more while the network's expected Phi is behind its teacher's by 0.003 and still
        growing; on images a round ends as soon as it is not.
    steps_per_epoch : int, default=None
        Batches in an epoch. None takes 30, whatever the number of rows; for images (rows of
        several dimensions) three passes over them, 30 batches at most.
    lr : float, default=None
        Peak of the one-cycle learning rate of Adam. None takes 0.001 for images (rows of
        several dimensions) and 0.003 for others; a large pretrained network of texts wants
        far less.
    batch_size : int, default=None
        Rows of a batch, in equal parts from every (label, group) cell. None takes 512; for
        images an eighth of the rows, from 64 to 512.
    validation_fraction : float, default=0.0
        Share of the rows, in [0, 1), that only choose among networks. The others
        train, and choose as well.
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
        The fair network, in evaluation mode, on the device of `estimator`.
    threshold_ : float
        Cut-off on the favourable class's probability as `net_` gives it; for more
        than two classes 0.5 and unused.
    classes_ : ndarray of shape (n_classes,)
        Labels; of two, the second is the favourable one.
    groups_ : tuple of str
        Names of the groups.
    result_ : {"network", "rule"}
        What predicts. Of the rule, `net_` is the network as given, and all estimates below
        are the rule's.
    history_ : skorch History
        Loss, bias, balanced accuracy and expected Phi per epoch.
    balanced_accuracy_, bias_ : float
        Estimates for new rows: epoch aside, the choice is made again without each fifth of the
        rows, and judged on it. The bias of two groups is signed, first minus second.
    bias_standard_error_ : float
        Of that bias.
    probability_inside_ : float
        That the bias on new rows is below the tolerance, all groups together.
    objective_ : float
        Expected Phi of the choice on the rows that made it.
    rule_ : Verdict
        The same of the fair teacher: its `balanced_accuracy`, `bias`, `standard_error`,
        `probability` and `objective`; with a `distillation` above 0.
    mask_ : dict of str to ndarray
        Parameter name -> bool mask of the weights kept; with a reactivator.
    density_ : float
        Share of the weights kept; with a reactivator.
    attack_probabilities_ : ndarray of shape (n_types,)
        Probability of each attack type at the end; with an augmenter.
    preprocessor_ : Pipeline or None
        Steps before the net in a Pipeline, as they came.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.

    Warns
    -----
    FairnessNotReachedWarning
        If no network keeps the bound (with a `confidence`: that surely) on the rows that
        choose, or only a constant one, or the result is likelier outside than inside.
    ConvergenceWarning
        If the network ends far behind its teacher, or Ctrl-C ended the training: the best
        network until then is kept.

    See Also
    --------
    AdversarialAugmenter : Step 1 alone.
    MaskReactivator : Step 2 alone.
    FairRule : The teacher alone, over any classifier.
    skfairaug.metrics.expected_phi : What chooses epoch and threshold.

    Notes
    -----
    Step 3 minimises, over batches with equal parts of every (label, group) cell,

    .. math::
        (1 - d)\,\mathbb{E}[w\,\ell(\hat y, y)] + d\,\mathbb{E}[\ell(\hat y, t)]
        + p\,\max(0, |\tilde\mu| - (1 - m)\epsilon)

    with :math:`\ell` the cross-entropy (class-balanced for the labels), w the weight of
    Eq. 10 (1 without an augmenter), d the `distillation`, t the fair teacher's
    probabilities, :math:`\tilde\mu` the soft bias on the natural distribution, p the
    `penalty` and m the `margin`. The paper has the first term only.

    The fair teacher is the best decision under the bound that does not see the group
    (:class:`FairRule`): its targets for a row come from models that did not see the row, so
    that the network cannot learn from them which row was in which group. They say what the
    biased network knew of each row, where a label says what happened once, so a few hundred
    rows go a long way.

    The network's own callbacks run during fine-tuning, with three exceptions. The choice by
    expected Phi takes the place of early stopping. A schedule was made for another optimizer:
    here it is Adam with a one-cycle rate, whatever trained the network. Checkpoints and
    records of runs (TensorBoard and the like) belong to the first training, and nothing is
    written to them.

    Several classes are measured one against the rest, and the class with the largest
    bias counts.

    References
    ----------
    .. [1] Zhang, Bao, Pei, Huang, "Toward Unified Data and Algorithm Fairness via
       Adversarial Data Augmentation and Adaptive Model Fine-tuning", ICDM 2022.
    .. [2] Savani, White, Govindarajulu, "Intra-Processing Methods for Debiasing Neural
       Networks", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skorch import NeuralNetClassifier
    >>> from skfairaug import FairAugmentFineTuner
    >>> from skfairaug.modules import TabularMLP
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 600)
    >>> X = rng.normal(size=(600, 3)).astype(np.float32)
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> net = NeuralNetClassifier(TabularMLP, module__n_features=3, module__depth=1,
    ...                           criterion=torch.nn.CrossEntropyLoss,
    ...                           max_epochs=5, verbose=0).fit(X[:300], y[:300])
    >>> fair = FairAugmentFineTuner(net, tolerance=0.1, random_state=0)
    >>> fair = fair.fit(X[300:], y[300:], sensitive_features=group[300:])
    >>> abs(fair.bias_) < 0.1
    True
    """

    _parameter_constraints: dict = {
        **BaseIntraProcessor._parameter_constraints,
        "augmenter": [AdversarialAugmenter, StrOptions({PASS}), None],
        "reactivator": [MaskReactivator, StrOptions({PASS}), None],
        "distillation": [Interval(Real, 0, 1, closed="both"), None],
        "train_mode": ["boolean", None],
        "penalty": [Interval(Real, 0, None, closed="left"), None],
        "margin": [Interval(Real, 0, 1, closed="both")],
        "confidence": [Interval(Real, 0, 1, closed="neither"), None],
        "result": [StrOptions({"network", "rule", "best"})],
        "group_estimator": "no_validation",
        "missing_groups": [StrOptions({"error", "infer"})],
        "mixing": ["boolean"],
        "max_epochs": [Interval(Integral, 0, None, closed="left"), None],
        "steps_per_epoch": [Interval(Integral, 1, None, closed="left"), None],
        "lr": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [Interval(Integral, 2, None, closed="left"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        estimator,
        *,
        augmenter=None,
        reactivator=None,
        sensitive_columns="auto",
        constraint="statistical_parity",
        tolerance=0.05,
        caution=1.0,
        confidence=None,
        result="network",
        group_estimator=None,
        missing_groups="error",
        mixing=False,
        distillation=None,
        penalty=None,
        margin=1.0,
        train_mode=None,
        max_epochs=None,
        steps_per_epoch=None,
        lr=None,
        batch_size=None,
        validation_fraction=0.0,
        debias_fraction=0.25,
        pos_label=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.augmenter = augmenter
        self.reactivator = reactivator
        self.sensitive_columns = sensitive_columns
        self.constraint = constraint
        self.tolerance = tolerance
        self.caution = caution
        self.confidence = confidence
        self.result = result
        self.group_estimator = group_estimator
        self.missing_groups = missing_groups
        self.mixing = mixing
        self.distillation = distillation
        self.penalty = penalty
        self.margin = margin
        self.train_mode = train_mode
        self.max_epochs = max_epochs
        self.steps_per_epoch = steps_per_epoch
        self.lr = lr
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.debias_fraction = debias_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    @classmethod
    def paper(cls, estimator, variant="proposed", **params):
        """The method as the paper prints it, without our additions.

        Parameters
        ----------
        estimator : skorch net
            Trained network.
        variant : {"proposed", "joint", "unif", "ind"}, default="proposed"
            Row of the paper's tables: both attack types ascending the distance, rows
            sampled by Eq. 10, a mask of density 0.9 and a full re-draw; "joint" trains
            jointly, "unif" drops the weights, "ind" draws partners whatever their
            group.
        **params : dict
            Parameters that differ from the variant's.

        Returns
        -------
        tuner : FairAugmentFineTuner
            Unfitted; neither teacher nor bias term, and epoch and threshold by Phi itself
            (``caution=0``) on the rows that trained.

        References
        ----------
        .. [1] Zhang, Bao, Pei, Huang, "Toward Unified Data and Algorithm Fairness via
           Adversarial Data Augmentation and Adaptive Model Fine-tuning", ICDM 2022.

        Examples
        --------
        >>> from skorch import NeuralNetClassifier
        >>> from skfairaug import FairAugmentFineTuner
        >>> from skfairaug.modules import TabularMLP
        >>> tuner = FairAugmentFineTuner.paper(NeuralNetClassifier(TabularMLP), "joint")
        >>> tuner.augmenter.joint, tuner.penalty
        (True, 0.0)
        """
        changes = {
            "proposed": {},
            "joint": {"joint": True},
            "unif": {"weighting": None},
            "ind": {"flip_probability": None},
        }
        if variant not in changes:
            raise ValueError(f"variant must be one of {sorted(changes)}; got {variant!r}.")
        augmenter = AdversarialAugmenter(
            norm=("linf", "l2"), direction="away", **changes[variant]
        )
        given = {
            "augmenter": augmenter,
            "reactivator": MaskReactivator(reinit_scale=1.0),
            "distillation": 0.0,
            "penalty": 0.0,
            "train_mode": True,
            "caution": 0.0,
            "lr": 1e-3,
        }
        return cls(estimator, **(given | params))

    def _validate_rows(self, X, y, sensitive_features):
        check_group_estimator(self.group_estimator)
        self._check_steps()
        rows = super()._validate_rows(X, y, sensitive_features)
        goal = self._goal()
        by_rule = goal.distillation and (len(self.classes_) == 2 or goal.constraint.is_gap)
        if not by_rule and (rows.groups.codes < 0).any():
            raise ValueError(
                "missing_groups='infer' needs the fair rule as teacher, which infers them: a "
                "distillation above 0, and with several classes a constraint other than "
                "'bias_amplification'."
            )
        table = getattr(rows.X, "ndim", 0) == 2 and rows.X.dtype == np.float32
        if self.mixing and not (by_rule and table):
            raise ValueError(
                "mixing=True makes rows that the fair teacher labels: it needs a table of "
                "numbers as X, and a distillation above 0."
            )
        if not by_rule and self.result != "network":
            raise ValueError(
                f"result={self.result!r} needs the fair rule as teacher: a distillation above "
                "0, and with several classes a constraint other than 'bias_amplification'."
            )
        if not goal.penalty:
            check_idle(self, ("margin",), "without a bias term: give a penalty above 0.")
        if not by_rule:
            check_idle(self, ("group_estimator",), "without the fair rule as teacher.")
        return rows

    def _check_steps(self):
        """Raise where a step's parameter is overruled by one of ours, or by another's."""
        for step in (self.augmenter, self.reactivator):
            if step not in (None, PASS):
                check_idle(
                    step,
                    [name for name in OURS if hasattr(step, name)],
                    "inside FairAugmentFineTuner, whose own is for all steps: set that one.",
                )
        if self.result == "rule":
            check_idle(
                self, TRAINING, "with result='rule', which trains no network: set neither."
            )
        if self.augmenter not in (None, PASS):
            check_idle(self, ("mixing",), "with an augmenter, which makes the rows: leave one.")
            if self.augmenter.weighting is None:
                check_idle(
                    self.augmenter,
                    ("weight_scale", "gap_scale", "counterfactual"),
                    "with weighting=None, which leaves out the weights of Eq. 10.",
                )

    def _goal(self):
        binary = len(self.classes_) == 2
        distillation, penalty = self.distillation, self.penalty
        if distillation is None:
            distillation = 1.0 if binary else 0.5
        return Goal(
            get_constraint(self.constraint),
            self.tolerance,
            caution=self.caution,
            confidence=self.confidence,
            penalty=(0.0 if distillation else 8.0) if penalty is None else penalty,
            margin=self.margin * self.tolerance,
            distillation=distillation,
            balance="labels" if binary else "cells",
        )

    def _debias(self, task):
        self._predictor = None  # the network
        biased = task.best.state  # offered first, and a copy
        task.make_teacher(self.group_estimator, task.generator.initial_seed())
        if task.rule is not None:
            self.rule_ = task.rule.verdict
        if self.result != "rule":
            self._train(task)
        behind = self.result == "best" and self._behind(task) >= CLOSE
        self.result_ = "rule" if behind or self.result == "rule" else "network"
        if self.result_ == "rule":
            self._predictor = task.rule
            task.best.state = biased
            task.best.verdict = replace(task.rule.verdict, log_odds=0.0)  # in its scores
            for name in ("mask_", "density_", "attack_probabilities_"):
                vars(self).pop(name, None)  # of the network that is not kept

    def _behind(self, task):
        """Expected Phi by which the best network lies behind the fair rule."""
        return task.rule.verdict.objective - task.best.verdict.objective

    def _train(self, task):
        """Steps 1 to 3 of the method, on the biased network."""
        attacker = None
        if self.augmenter not in (None, PASS):
            # Step 1: rows that mix the groups, as the biased network sees them (Eq. 7).
            generator = task.generator_of(self.augmenter.random_state)
            attacker = Attacker(clone(self.augmenter), task, generator)
        batches = self._batches(task, attacker)

        masks, finished = None, True
        if self.reactivator not in (None, PASS):
            # Step 2: the fair sub-structure, and a new start for the rest (Eq. 11-12).
            reactivator = clone(self.reactivator)
            masks, finished = reactivator.learn(task, batches)
            generator = task.generator_of(reactivator.random_state)
            reactivator.restart(task, masks, generator)
            task.offer_net()
        if finished:
            # Step 3: fine-tune everything.
            # A layer that is attacked expects all rows of a batch.
            whole = attacker is not None and self.augmenter.input_layer is not None
            with nullcontext() if whole else shared_steps(task):
                self._fine_tune(task, batches)
        if masks is not None:
            self.mask_ = to_numpy(masks)
            self.density_ = float(density(masks))
        if attacker is not None:
            self.attack_probabilities_ = attacker.probabilities.cpu().numpy()

    def _batches(self, task, attacker):
        """What yields an epoch of batches: attacked, mixed or real rows."""
        if attacker is not None:
            if self.augmenter.joint:
                return attacker.batches
            attacker.refresh()
            X_adv = attacker.attack_all()
            return partial(attacker.batches, X_adv=X_adv, targets=attacker.teach(X_adv))
        return task.mixed_batches() if self.mixing else task.batches

    def _passes(self):
        """What a batch costs, in training passes: attacks move half of it in several steps."""
        if self.augmenter in (None, PASS) or not self.augmenter.joint:
            return 1.0
        norms = self.augmenter.norm
        n_norms = 1 if isinstance(norms, str) else len(norms)
        return 1.0 + n_norms * self.augmenter.n_steps / 2

    def _fine_tune(self, task, batches):
        """Rounds of fine-tuning, until the network has caught up with its teacher."""
        given = self.max_epochs is not None
        rounds = (self.max_epochs,) if given else ROUNDS
        budget = budget_of(task, self.steps_per_epoch, self.batch_size)
        announce(task, budget, rounds if task.rule else rounds[:1], self._passes())
        early = task.has_images and not given and task.rule is not None
        for epochs in rounds:
            before = task.best.verdict.objective
            finished = not epochs or fine_tune(
                task,
                lambda epoch: batches(*budget),
                task.loss,
                done=until_converged(task) if early else None,
                max_epochs=epochs,
                steps_per_epoch=budget.steps_per_epoch,
                **task.recipe(self.lr, self.train_mode),
            )
            verdict = task.best.verdict
            if not finished or given or task.rule is None:
                return
            behind = self._behind(task)
            if behind < CLOSE or verdict.objective - before < CLOSE:
                break
        if behind > FAR and self.result == "network":
            warnings.warn(
                f"the network has not learned its teacher: expected Phi "
                f"{verdict.objective:.3f}, where the fair rule that it learns from has "
                f"{task.rule.verdict.objective:.3f}. Give it more epochs (max_epochs=...) or a "
                "larger network, or use the rule itself (result='rule' or 'best').",
                ConvergenceWarning,
                stacklevel=6,  # _fine_tune, _train, _debias, fit, _fit_context, the caller
            )

    def _decision(self):
        return super()._decision() if self._predictor is None else self._predictor.numbers()

    def _export(self):
        if self._predictor is None:
            return super()._export()
        by_columns = len(self._signature.rows[0][0]) == 1 and not self._signature.inputs
        return [export_rule(self.net_, self._signature, self._predictor, by_columns)]

    def _log_proba(self, X):
        check_is_fitted(self)
        if self._predictor is None:
            return super()._log_proba(X)
        X = on_device(self.net_, self._validate_X(X))
        scores = self._predictor.scores(*read(self.net_, X))
        if scores.ndim == 1:
            return np.column_stack([log_expit(-scores), log_expit(scores)])
        return log_softmax(scores, axis=1)
