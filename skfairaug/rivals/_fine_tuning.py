"""What the rivals share that fine-tune a trained network, or search around it."""

from numbers import Integral, Real

from skfairaug._engine._parameters import parameters
from skfairaug._inputs._intervals import Interval
from skfairaug.rivals._net_rival import NetRival


@parameters
class TrainedNetRival(NetRival):
    """Base of the rivals that start from a trained network.

    Parameters
    ----------
    estimator : skorch net
        Trained NeuralNetClassifier or NeuralNetBinaryClassifier, or a
        :class:`~sklearn.frozen.FrozenEstimator` of one; never changed, and kept by
        :func:`~sklearn.base.clone`. An unfitted one is trained first, on the rows
        that do not debias.
    debias_fraction : float, default=0.25
        Where `estimator` is not fitted: share of the rows, in (0, 1), that debias it.
        The others train it.

    Examples
    --------
    >>> net = net.fit(X[:300], y[:300])
    """

    debias_fraction: float = 0.25


@parameters
class FineTuning(TrainedNetRival):
    """Base of those that take steps down a gradient.

    Parameters
    ----------
    max_epochs : int, default=10
        Epochs of fine-tuning; after each, the network is a candidate.
    steps_per_epoch : int, default=30
        Batches in an epoch, whatever the number of rows.
    lr : float, default=0.001
        Learning rate of Adam.
    batch_size : int, default=512
        Rows of a batch, in equal parts from every (label, group) cell.
    train_mode : bool, default=False
        Whether dropout and BatchNorm behave as in training while fine-tuning. Networks
        are always judged in evaluation mode.
    validation_fraction : float, default=0.0
        Share of the rows, in [0, 1), that only choose among networks. The others
        train, and choose as well.
    """

    max_epochs: int = 10
    steps_per_epoch: int = 30
    lr: float | None = 1e-3
    batch_size: int = 512
    train_mode: bool | None = False
    validation_fraction: float = 0.0

    _parameter_constraints = {
        "max_epochs": [Interval(Integral, 0, None, closed="left")],
        "steps_per_epoch": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "train_mode": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    }


@parameters
class WeightSearch(TrainedNetRival):
    """Base of those that try networks with other weights, and train none.

    Attributes
    ----------
    history_ : skorch History
        Bias, balanced accuracy and expected Phi of every network tried.

    References
    ----------
    .. [1] Savani, White, Govindarajulu, "Intra-Processing Methods for Debiasing Neural
       Networks", NeurIPS 2020.
    """

    caution: float = 0.0

    _trains = False  # weights are tried, and judged by their predictions
    #: Nothing is trained: every row chooses.
    validation_fraction = 0.0
