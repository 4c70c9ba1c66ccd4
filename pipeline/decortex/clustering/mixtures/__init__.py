"""Mixture models: Gaussian and Student-t mixtures, their EM and their starts."""
