"""Images in: `load` gives splits and facts, `batches` feeds them to `model.fit`, policies augment them."""

from .batches import Batches, batches
from .catalogue import DatasetUnavailable
from .damage import Verdict, verify
from .layer import Augment
from .padding import pad
from .policies import POLICIES, Policy, policy_for
from .sources import facts_of, load
from .splits import Data, Split

__all__ = [
    "Augment",
    "Batches",
    "Data",
    "DatasetUnavailable",
    "POLICIES",
    "Policy",
    "Split",
    "Verdict",
    "batches",
    "facts_of",
    "load",
    "pad",
    "policy_for",
    "verify",
]
