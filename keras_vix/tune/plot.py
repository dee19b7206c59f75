"""A search as a figure; what draws is imported when something is drawn."""

from typing import Any


def plot(table: Any, x: str = "trial", ax: Any = None) -> Any:
    """The score of every trial over `x`, with the best so far (over trials) or the Pareto front (over a cost).

    Colours tell the trials apart by the first word of the space that is a choice of two to six names, such as the kernel. Trials
    without a score stand as crosses on the lower edge. Bars are one standard error of an accuracy on so many validation images to
    each side: trials closer than that are equal. Nothing is shown or saved: `ax.figure.savefig("search.png", dpi=200)`.

    >>> small = {"dim": 16, "depth": 1, "num_heads": 2, "m": 8, "epochs": 1}
    >>> kernels = {"kernel": ["softmax", "nystrom"]}
    >>> found = keras_vix.tune.search("vit", "digits", kernels, max_trials=1, directory="kernels", verbose=0, **small)
    >>> ax = keras_vix.tune.plot(found.table)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('trial', 'validation accuracy')

    Args:
        table: of `keras_vix.tune.results`.
        x: `trial`, or a column of numbers: a word of the space, `parameters`, `multiply_adds`, `seconds`, ...
        ax: matplotlib axes to draw into; default new ones, of a figure of their own.

    Returns:
        The axes.

    Raises:
        ValueError: `x` is no such column, or no trial has a score.
    """
    from .figure import drawn

    return drawn(table, x, ax)
