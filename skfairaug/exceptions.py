"""Warnings of skfairaug."""


class FairnessNotReachedWarning(UserWarning):
    """No network was found whose bias lies within the tolerance.

    The estimator then keeps the least biased one; the message gives its bias, its
    balanced accuracy and the tolerance that was asked for.
    """
