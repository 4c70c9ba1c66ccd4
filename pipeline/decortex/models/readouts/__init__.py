"""Readouts: feature maps in, one drive per neuron out."""
