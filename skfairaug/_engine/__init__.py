"""What the estimators share while fitting."""
