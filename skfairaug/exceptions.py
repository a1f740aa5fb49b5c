"""Warnings of skfairaug."""


class SmallGroupWarning(UserWarning):
    """A group, or a label within a group, has too few rows to measure a bias on.

    The message names them with their numbers of rows. An audit of the same rows lists them
    under its warnings.
    """


class FairnessNotReachedWarning(UserWarning):
    """No network was found whose bias lies within the tolerance.

    The estimator then keeps the least biased one; the message gives its bias, its
    balanced accuracy and the tolerance that was asked for.
    """
