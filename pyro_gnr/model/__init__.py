"""The generative story z -> u -> (x, m) and its guide, each part a swappable module."""
