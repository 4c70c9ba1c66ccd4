"""Methods on a neighbour graph: the graph, its eigenvectors, spectral clustering, SEC and LDMGI."""
