"""Train a representation that tells a group's classifier nothing (Alvi et al. 2018)."""

from numbers import Real

import torch
from torch import nn
from torch.nn import functional as F

from skfairaug._engine._parameters import parameters
from skfairaug._inputs._contexts import evaluating
from skfairaug._inputs._encoder import Encoder, find_head
from skfairaug._inputs._intervals import Interval
from skfairaug.rivals._adversarial_fine_tuning import watched_input
from skfairaug.rivals._trained_anew import TrainedAnew


@parameters
class UniformConfusion(TrainedAnew):
    r"""Train a network whose representation leaves a classifier of groups undecided.

    A second classifier learns to tell the group from the representation, and the network
    learns to make it answer every group with the same probability [1]_, [2]_. No sensitive
    feature is needed to predict.

    Parameters
    ----------
    estimator : skorch net
        NeuralNetClassifier with any module. A clone of it is trained from new weights,
        whether or not it is fitted.
    confusion_weight : float, default=1.0
        Weight alpha of the confusion in the network's loss.
    domain_lr : float, default=0.01
        Learning rate of Adam for the classifier of groups.

    See Also
    --------
    AdversarialDebiasing : An adversary that sees predictions, with another rule.

    Notes
    -----
    On every batch the classifier h of groups takes a step on
    :math:`\mathbb{E}[\ell(h(f'(X)), A)]`, and the network one on

    .. math::
        \mathbb{E}[\ell(f(X), Y)]
        - \alpha\, \mathbb{E}\Big[\frac1G \sum_a \log h_a(f'(X))\Big] ,

    the second term being the cross-entropy to the uniform distribution. As published, rows
    come as they occur. Other than published: h is a linear layer, trained by Adam; a
    one-cycle rate; and the epoch (for two classes the threshold too) is chosen on rows set
    aside.

    References
    ----------
    .. [1] Alvi, Zisserman, Nellaker, "Turning a Blind Eye: Explicit Removal of Biases and
       Variation from Deep Neural Network Embeddings", ECCV Workshops 2018.
    .. [2] Tzeng, Hoffman, Darrell, Saenko, "Simultaneous Deep Transfer Across Domains and
       Tasks", ICCV 2015.

    Examples
    --------
    >>> from skfairaug.rivals import UniformConfusion
    >>> fair = UniformConfusion(net, tolerance=0.2, max_epochs=5, batch_size=64,
    ...                         random_state=0)
    >>> fair = fair.fit(X, y, sensitive_features=group)
    >>> abs(fair.bias_) < 0.2
    True
    """

    confusion_weight: float = 1.0
    domain_lr: float = 1e-2

    _parameter_constraints = {
        "confusion_weight": [Interval(Real, 0, None, closed="left")],
        "domain_lr": [Interval(Real, 0, None, closed="neither")],
    }

    def _debias(self, task):
        head = find_head(task.net, task.X)
        one = task.X.at(task.train[:1])
        with evaluating(task.net.module_):
            n_inputs = Encoder(task.net, head).all_rows(one).shape[1]
        domain = nn.Linear(n_inputs, task.n_groups).to(task.X.device)
        optimizer = torch.optim.Adam(domain.parameters(), lr=self.domain_lr, fused=True)

        def learn(Z, groups):
            optimizer.zero_grad()
            F.cross_entropy(domain(Z), groups).backward()
            optimizer.step()

        def loss(log_proba, batch):
            Z = representation()
            learn(Z.detach(), task.groups[batch.rows])
            # The classifier is given no gradient here: only the network is confused.
            weight, bias = domain.weight.detach(), domain.bias.detach()
            undecided = -F.log_softmax(F.linear(Z, weight, bias), dim=1).mean()
            return F.nll_loss(log_proba, task.y[batch.rows]) + self.confusion_weight * undecided

        with watched_input(head) as representation:
            self._train(task, loss)
