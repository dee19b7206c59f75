"""The published studies: their figures as data files, and for each a module that says how ours stand beside them."""
