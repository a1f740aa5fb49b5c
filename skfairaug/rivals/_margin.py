"""A margin below the tolerance, for the libraries that go to the bound itself."""

from numbers import Real

from skfairaug._engine._classifier_holder import BoundsBias
from skfairaug._engine._parameters import parameters
from skfairaug._inputs._intervals import Interval


@parameters
class KeepsMargin(BoundsBias):
    """Mixin of the rivals whose library is asked for less than the tolerance.

    Parameters
    ----------
    margin : float, default=0.2
        Share of the tolerance, in [0, 1), kept as a margin. The library goes to the
        bound itself, and new data lies beyond it half the time.
    """

    margin: float = 0.2

    _parameter_constraints = {"margin": [Interval(Real, 0, 1, closed="left")]}

    def _aim(self):
        """The gap to ask a library for that goes to the bound itself."""
        return (1 - self.margin) * self.tolerance
