"""What a group can be read from: the columns of a table as numbers."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

#: Values of a column of text that are told apart; rarer ones count as one.
MAX_CATEGORIES = 50


def is_raw(X):
    """Whether X is a frame that is not all numbers, or has missing values."""
    if not isinstance(X, pd.DataFrame):
        return False
    numeric = all(pd.api.types.is_numeric_dtype(kind) for kind in X.dtypes)
    return not numeric or bool(X.isna().to_numpy().any())


class ColumnReader:
    """Numbers from the columns of a frame: text one-hot, what is missing imputed."""

    def fit(self, X):
        """Learn values, means and categories of a frame."""
        numeric = [name for name in X if pd.api.types.is_numeric_dtype(X[name].dtype)]
        text = [name for name in X if name not in numeric]
        self.model_ = make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), numeric),
            (
                OneHotEncoder(
                    handle_unknown="infrequent_if_exist",
                    max_categories=MAX_CATEGORIES,
                    sparse_output=False,
                ),
                text,
            ),
        )
        self.model_.fit(_plain(X, text))
        self.text_ = text
        return self

    def transform(self, X):
        """Array (n_samples, n_columns) of float64."""
        return np.asarray(self.model_.transform(_plain(X, self.text_)), dtype=np.float64)


def _plain(X, text):
    """Text as objects, whose missing values are None: a category of their own."""
    values = {name: X[name].astype(object).where(X[name].notna(), None) for name in text}
    return X.assign(**values)
