"""Networks for tables."""

from torch import nn


class TabularMLP(nn.Module):
    """Feed-forward network of equal hidden layers, as in the paper's tables.

    Each hidden layer is Linear, ReLU, Dropout, BatchNorm; the last layer gives
    the logits.

    Parameters
    ----------
    n_features : int
        Columns of X.
    n_classes : int, default=2
        Logits returned, for ``CrossEntropyLoss``. 1 suits
        ``NeuralNetBinaryClassifier``.
    width : int, default=32
        Units of a hidden layer.
    depth : int, default=11
        Hidden layers.
    dropout : float, default=0.2
        Share of units dropped in training.

    References
    ----------
    .. [1] Savani, White, Govindarajulu, "Intra-Processing Methods for Debiasing Neural
       Networks", NeurIPS 2020.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.modules import TabularMLP
    >>> TabularMLP(n_features=5)(torch.zeros(3, 5)).shape
    torch.Size([3, 2])
    """

    def __init__(self, n_features, n_classes=2, width=32, depth=11, dropout=0.2):
        super().__init__()
        layers = []
        for i in range(depth):
            layers += [
                nn.Linear(n_features if i == 0 else width, width),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.BatchNorm1d(width),
            ]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width if depth else n_features, n_classes)

    def forward(self, X):
        """Logits of a batch.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        logits : Tensor of shape (n_samples, n_classes)
            Inputs of a softmax, or of a sigmoid for one class.
        """
        return self.head(self.body(X))
