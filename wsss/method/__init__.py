"""The paper's method on tensors: labels, CAMs, confident regions, affinities, random walk, dense CRF, metrics."""
