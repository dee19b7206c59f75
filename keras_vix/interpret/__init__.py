"""What a model looks at and what it makes of it: attention maps, the implied ones too, their product over blocks, features."""

from .features import features
from .maps import attention_maps, on_grid
from .plots import overlay, plot_attention, plot_maps
from .rollout import rollout

__all__ = ["attention_maps", "features", "on_grid", "overlay", "plot_attention", "plot_maps", "rollout"]
