"""A classifier for each group over one representation (Wang et al. 2020)."""

import numpy as np
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional as F

from skfairaug._engine._parameters import parameters
from skfairaug._inputs._docstrings import described_as
from skfairaug._inputs._groups import known_groups
from skfairaug._inputs._labels import in_class_order
from skfairaug._inputs._rows import on_device
from skfairaug.rivals._domain_heads import DomainRival, log_proba_by_group


@parameters
class DomainIndependent(DomainRival):
    r"""Train a classifier for each group over one representation, and ask all of them.

    Within a group the skew of the others teaches nothing, so no classifier takes the group
    for the class [1]_. It is the strongest of the published rivals on CIFAR-10S.

    Parameters
    ----------
    inference : {"sum", "conditional"}, default="sum"
        "sum" adds the outputs of all groups' classifiers and needs no sensitive feature;
        "conditional" asks the classifier of the row's group, which `predict` is told.

    See Also
    --------
    DomainDiscriminative : One classifier of class and group.

    Notes
    -----
    With the outputs :math:`s(y, a, x)` of the classifier of group a, trained by the
    cross-entropy of the row's own group on rows as they occur,

    .. math:: \hat y = \arg\max_y \sum_a s(y, a, x)

    or, where the group :math:`a^*` of the row is known,
    :math:`\arg\max_y s(y, a^*, x)`, both as published [1]_. Other than published: Adam
    with a one-cycle rate in place of SGD in steps, and the epoch (for two classes the
    threshold too) is chosen by the sum on rows set aside, where the original takes the last.

    Examples
    --------
    >>> from skfairaug.rivals import DomainIndependent
    >>> fair = DomainIndependent(net, tolerance=0.2, max_epochs=5, batch_size=64,
    ...     random_state=0)
    >>> fair = fair.fit(X, y, sensitive_features=group)
    >>> abs(fair.bias_) < 0.2
    True
    """

    inference: str = "sum"

    _parameter_constraints = {
        "inference": [StrOptions({"sum", "conditional"})],
    }

    @property
    def needs_sensitive_features(self):
        """Whether `predict` takes the group."""
        return self.inference == "conditional"

    def _combine(self, rows):
        return SumOfGroups()

    def _debias(self, task):
        def loss(log_proba, batch):
            # Of one group's outputs alone: the others only shift them by a constant.
            heads = log_proba.unflatten(1, (task.n_groups, -1))
            own = task.groups[batch.rows].view(-1, 1, 1).expand(-1, 1, task.n_classes)
            return F.cross_entropy(heads.gather(1, own).squeeze(1), task.y[batch.rows])

        self._train(task, loss)

    def decision_function(self, X, *, sensitive_features=None):
        """Log-odds of the favourable class less those of the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.
        sensitive_features : array-like, default=None
            Group of every row, one of those seen in `fit`; for "conditional" inference.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Positive where `predict` gives the second of `classes_`; several classes:
            log-probabilities.
        """
        return in_class_order(self._scores_given(X, sensitive_features), self._labels)

    def _scores_given(self, X, sensitive_features):
        if not self.needs_sensitive_features:
            return self._scores(X)
        check_is_fitted(self)
        X = on_device(self.net_, self._validate_X(X))
        codes = known_groups(sensitive_features, len(X), self.groups_, "conditional inference")
        log_proba = log_proba_by_group(self.net_, X).double().cpu().numpy()
        return self._scores_of(log_proba[np.arange(len(codes)), codes])

    @described_as(decision_function)
    def predict_proba(self, X, *, sensitive_features=None):
        """Class probabilities, shifted so that 0.5 is the chosen threshold.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Rows sum to one; `predict` is their argmax.
        """
        proba = self._proba_of(self._scores_given(X, sensitive_features))
        return in_class_order(proba, self._labels)

    @described_as(decision_function)
    def predict(self, X, *, sensitive_features=None):
        """Predict labels.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Labels.
        """
        return self._labels_of(self._scores_given(X, sensitive_features))


class SumOfGroups:
    """Class scores added over the groups' classifiers."""

    def __call__(self, logits):
        return logits.sum(1)
