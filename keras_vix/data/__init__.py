"""Images in: `load` gives splits and facts, `batches` feeds them to `model.fit`, policies augment them."""

from .augment import POLICIES, Policy, policy_for
from .batches import Batches, batches
from .catalogue import DatasetUnavailable
from .sources import load
from .splits import Data, Split

__all__ = [
    "Batches",
    "Data",
    "DatasetUnavailable",
    "POLICIES",
    "Policy",
    "Split",
    "batches",
    "load",
    "policy_for",
]
