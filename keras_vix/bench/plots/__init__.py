"""Rows and histories as figures. Each function returns a matplotlib Figure and leaves matplotlib's state alone.

`suite_figures(rows)` and `run_figures(row)` name the figures that apply; `encode` makes a file of one.
"""

from .catalogue import Drawing, run_figures, suite_figures
from .comparisons import plot_ranks, plot_starts
from .history import plot_grid, plot_history
from .predictions import plot_confusion, plot_samples
from .scaling import plot_scaling
from .stages import plot_stages
from .looks import encode, families, new_figure, style
from .timing import plot_bars, plot_epoch_times, plot_seeds
from .tradeoff import plot_accuracy_time, plot_tradeoff
from .values import BreakEven, break_even, over_seeds, pareto, standard_error
