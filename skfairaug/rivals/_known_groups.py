"""What the rivals share whose `predict` takes the group of every row."""

from skfairaug._inputs._groups import check_same_order, known_groups


class NeedsGroups:
    """Mixin of the rivals whose `predict` takes the group of every row.

    A subclass implements ``_favourable(X, groups)``: which rows get the favourable label.
    """

    needs_sensitive_features = True

    def predict(self, X, *, sensitive_features=None):
        """Predict labels of rows whose groups are known.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.
        sensitive_features : array-like, default=None
            Group of every row, one of those seen in `fit`. It has to be given.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Labels.

        Raises
        ------
        ValueError
            If it is not given, or holds a group that `fit` has not seen.
        """
        check_same_order(X=X, sensitive_features=sensitive_features)
        X = self._checked(X)
        codes = known_groups(sensitive_features, len(X), self.groups_, type(self).__name__)
        return self._labels[self._favourable(X, codes).astype(int)]


def check_two_groups(groups, method):
    """Raise unless there are two groups, all that a method defines."""
    if len(groups.names) != 2:
        raise ValueError(
            f"{method} is defined for two groups; sensitive_features holds "
            f"{len(groups.names)}: {list(groups.names)}."
        )
