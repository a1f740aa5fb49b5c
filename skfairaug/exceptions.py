"""Warnings of skfairaug."""


class SmallGroupWarning(UserWarning):
    """A group, or a (label, group) cell that is measured, has few rows.

    What is said of it is not reliable; the message names it and its number of rows.
    """


class FairnessNotReachedWarning(UserWarning):
    """No network was found whose bias lies within the tolerance.

    The estimator then keeps the least biased one; the message gives its bias, its
    balanced accuracy and the tolerance that was asked for.
    """
