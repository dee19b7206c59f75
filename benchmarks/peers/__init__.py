"""Attention layers and whole models side by side: this package's and those of other packages, one process each.

`run.py` is the program; README.md says what it does and what its method guards against.
"""
