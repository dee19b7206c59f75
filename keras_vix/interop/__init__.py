"""Weights from elsewhere: from another model of this package."""

from .transfer import Report, transfer

__all__ = ["Report", "transfer"]
