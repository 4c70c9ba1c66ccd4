"""Prediction scores per neuron, their reliability, and what fine-tuning keeps of them."""
