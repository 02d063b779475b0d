"""Comparisons with peers, and the published results; not installed."""
