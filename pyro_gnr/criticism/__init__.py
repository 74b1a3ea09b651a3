"""Criticism: what was imputed as an ArviZ tree, as numbers and as pictures."""
