"""A skorch classifier for images that trains at the speed of a bare loop."""

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import nn

from skfairaug.modules._resnet import ResNet18


class TensorBatches:
    """Batches of a data set that lies whole on a device, for skorch's iterators.

    A loader that fetches row by row costs more than a small network computes. This one
    moves the arrays once and takes each batch by one indexing. What does not fit is for
    torch's DataLoader with its workers.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset, or a Subset of one
        Its `X` and `y` must be arrays or tensors. `y` may be None.
    batch_size : int, default=128
        Rows of a batch.
    shuffle : bool, default=False
        Whether every pass has its own order, from torch's global generator.
    drop_last : bool, default=False
        Whether to leave out the rows that do not fill a batch.
    device : str or torch.device, default=None
        Where the batches are; None and a GPU that is not there mean the CPU.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch.dataset import Dataset
    >>> from skfairaug.modules import TensorBatches
    >>> data = Dataset(np.zeros((5, 2)), np.arange(5))
    >>> [y.tolist() for _, y in TensorBatches(data, batch_size=3)]
    [[0, 1, 2], [3, 4]]
    """

    def __init__(self, dataset, batch_size=128, shuffle=False, drop_last=False, device=None):
        if str(device).startswith("cuda") and not torch.cuda.is_available():
            device = None  # a net that was trained on a GPU and came here in a file
        rows = slice(None)
        if isinstance(dataset, torch.utils.data.Subset):  # skorch's split of a data set
            dataset, rows = dataset.dataset, dataset.indices
        X, y = dataset.X[rows], None if dataset.y is None else dataset.y[rows]
        self.X = torch.as_tensor(X, device=device)
        n = len(self.X)
        # skorch wants something in y's place where there is none.
        self.y = (
            torch.zeros(n, device=device) if y is None else torch.as_tensor(y, device=device)
        )
        self.batch_size = n if batch_size == -1 else batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last

    def __len__(self):
        n, size = len(self.X), self.batch_size
        return n // size if self.drop_last else -(-n // size)

    def __iter__(self):
        for i in range(len(self)):
            rows = slice(i * self.batch_size, (i + 1) * self.batch_size)
            if self.shuffle:
                if i == 0:
                    order = torch.randperm(len(self.X), device=self.X.device)
                rows = order[rows]
            yield self.X[rows], self.y[rows]


def make_image_net(n_samples, module=ResNet18, *, max_epochs=15, batch_size=512, **params):
    """Make a skorch classifier for images that trains in few passes.

    Parameters
    ----------
    n_samples : int
        Training images; the learning rate's schedule is as long as the training.
    module : type or nn.Module, default=ResNet18
        A network that takes images, such as :class:`ResNet18` or :class:`SmallConvNet`.
    max_epochs : int, default=15
        Passes over the images.
    batch_size : int, default=512
        Images of a batch.
    **params : dict
        Parameters of skorch's NeuralNetClassifier to add or to change, such as
        ``device="cuda"``, ``module__width`` or ``lr``, the peak of the learning rate.

    Returns
    -------
    net : NeuralNetClassifier
        Unfitted: SGD with Nesterov momentum 0.9 and weight decay 5e-4, a one-cycle rate
        that peaks at 0.2 after a fifth of the training, and no validation part. Images
        lie on the device as they come and are cropped and flipped there.

    Notes
    -----
    Weights and batches are drawn from torch's global random state, as skorch does:
    ``torch.manual_seed`` before ``fit`` repeats a result.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.modules import SmallConvNet, make_image_net
    >>> rng = np.random.RandomState(0)
    >>> X = rng.randint(0, 256, (64, 3, 8, 8)).astype(np.uint8)
    >>> y = np.arange(64) % 2
    >>> X[y == 1, 0] //= 4
    >>> net = make_image_net(64, SmallConvNet, module__n_classes=2, batch_size=16)
    >>> bool(net.fit(X, y).score(X, y) > 0.9)
    True
    """
    device = params.get("device", "cpu")
    batch_size = min(batch_size, n_samples)
    n_steps = max_epochs * (n_samples // batch_size) + 1
    schedule = LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR,
        max_lr=params.get("lr", 0.2),
        total_steps=n_steps,
        pct_start=max(0.2, 2 / n_steps),  # the rise needs a step
        step_every="batch",
    )
    given = {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "optimizer__nesterov": True,
        "optimizer__weight_decay": 5e-4,
        "lr": 0.2,
        "batch_size": batch_size,
        "max_epochs": max_epochs,
        "train_split": None,
        "iterator_train": TensorBatches,
        "iterator_train__shuffle": True,
        "iterator_train__drop_last": True,
        "iterator_train__device": device,
        "iterator_valid": TensorBatches,
        "iterator_valid__device": device,
        "callbacks": [("schedule", schedule)],
        "verbose": 0,
    }
    return NeuralNetClassifier(module, **(given | params))
