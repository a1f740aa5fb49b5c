"""Perturb the weights at random and keep the fairest network (Savani et al. 2020)."""

from numbers import Integral, Real

import torch

from skfairaug._engine._parameters import parameters
from skfairaug._inputs._intervals import Interval
from skfairaug.rivals._fine_tuning import WeightSearch


@parameters
class RandomPerturbation(WeightSearch):
    r"""Perturb the weights of a trained network at random, and keep the best network.

    The simplest way to search among networks near the trained one [1]_. No sensitive
    feature is needed to predict.

    Parameters
    ----------
    n_perturbations : int, default=101
        Networks to try.
    scale : float, default=0.1
        Standard deviation of the factors that multiply the weights.

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

    Examples
    --------
    >>> from skfairaug.rivals import RandomPerturbation
    >>> fair = RandomPerturbation(net, tolerance=0.3, n_perturbations=9, random_state=0)
    >>> fair = fair.fit(X[300:], y[300:], sensitive_features=group[300:])
    >>> abs(fair.bias_) < 0.3
    True
    """

    n_perturbations: int = 101
    scale: float = 0.1

    _parameter_constraints = {
        "n_perturbations": [Interval(Integral, 0, None, closed="left")],
        "scale": [Interval(Real, 0, None, closed="left")],
    }

    @torch.no_grad()
    def _debias(self, task):
        parameters = [p for p in task.net.module_.parameters() if p.requires_grad]
        originals = [p.clone() for p in parameters]
        with task.until_interrupted():
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
