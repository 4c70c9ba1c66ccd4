"""The simulated cortex: stimuli, receptive-field mechanisms, neurons of known type."""
