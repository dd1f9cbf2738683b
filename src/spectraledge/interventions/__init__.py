"""Interventions: keep, remove or scale a subspace of gradients or updates, and where its directions come from."""

from spectraledge.interventions.intervening import Intervening
from spectraledge.interventions.intervention import Intervention

__all__ = ["Intervening", "Intervention"]
