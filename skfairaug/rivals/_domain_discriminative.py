"""Predict class and group together, and take the training's prior back (Wang et al. 2020)."""

import torch
from sklearn.utils._param_validation import StrOptions
from torch.nn import functional as F

from skfairaug._engine._parameters import parameters
from skfairaug.rivals._domain_heads import DomainRival


@parameters
class DomainDiscriminative(DomainRival):
    r"""Train a network to predict class and group together, and correct for their prior.

    Fairness through awareness [1]_: a network of :math:`C \cdot G` outputs says how likely
    every pair of class and group is; how often the pairs occurred in training is divided
    out, and the groups are summed over. No sensitive feature is needed to predict.

    Parameters
    ----------
    inference : {"sum", "max"}, default="sum"
        Whether a class has the sum of its pairs' probabilities or the largest of them.
    prior_shift : bool, default=True
        Whether the pairs' frequencies in training are divided out.

    See Also
    --------
    DomainIndependent : A classifier for each group.

    Notes
    -----
    With the network's :math:`P_{tr}(y, a | x)`, trained by cross-entropy on rows as they
    occur, and the frequencies :math:`P_{tr}(y, a)` of the rows that train,

    .. math::
        \hat y = \arg\max_y \sum_a \frac{P_{tr}(y, a | x)}{P_{tr}(y, a)}

    or the largest term in place of the sum: both as published [1]_, for a target in which
    every pair is as frequent. Other than published: Adam with a one-cycle rate in place of
    SGD in steps, and the epoch (for two classes the threshold too) is chosen on rows set
    aside, where the original takes the last.

    Examples
    --------
    >>> from skfairaug.rivals import DomainDiscriminative
    >>> fair = DomainDiscriminative(net, tolerance=0.2, max_epochs=5, batch_size=64,
    ...     random_state=0)
    >>> fair = fair.fit(X, y, sensitive_features=group)
    >>> abs(fair.bias_) < 0.2
    True
    """

    inference: str = "sum"
    prior_shift: bool = True

    _parameter_constraints = {
        "inference": [StrOptions({"sum", "max"})],
        "prior_shift": ["boolean"],
    }

    def _combine(self, rows):
        n_classes, n_groups = len(self.classes_), len(rows.groups.names)
        cells = torch.as_tensor(rows.groups.codes * n_classes + rows.y)
        counts = torch.bincount(cells, minlength=n_classes * n_groups).float()
        prior = (counts / counts.sum()).log().view(n_groups, n_classes)
        return OverGroups(self.inference, prior if self.prior_shift else 0 * prior)

    def _debias(self, task):
        pairs = task.groups * task.n_classes + task.y

        def loss(log_proba, batch):
            return F.nll_loss(log_proba, pairs[batch.rows])

        self._train(task, loss)


class OverGroups:
    """Class log-scores from those of pairs of group and class, a prior divided out."""

    def __init__(self, inference, log_prior):
        self.inference = inference
        self.log_prior = log_prior

    def __call__(self, logits):
        shifted = logits - self.log_prior.to(logits)
        return shifted.logsumexp(1) if self.inference == "sum" else shifted.amax(1)
