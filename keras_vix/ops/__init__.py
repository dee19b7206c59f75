"""Pure functions of tensors: no weights, no layers, `keras.ops` and NumPy only."""
