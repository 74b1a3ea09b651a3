"""Inference for any Pyro model and guide with one plate `rows` at dim -1 and all sites in it."""
