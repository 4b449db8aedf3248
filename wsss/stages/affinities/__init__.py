"""Affinities of neighbouring cells, one module per kind."""
