"""Whether a neuron's performance depends on its cluster: effect sizes, tests, covariates, confounds."""
