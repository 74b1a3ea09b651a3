"""Imputation: the scikit-learn estimator and the M completed tables."""
