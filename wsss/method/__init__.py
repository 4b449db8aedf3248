"""The paper's method on tensors: CAMs, confident regions, affinities, random walk, dense CRF, metrics."""
