"""The filter on a CPU, compiled by Numba: vertices by hashing, four maps at a time through the lattice.

A pass over the points reads d + 1 vertices and weights of each; four maps share that, and fill one vector
register.
"""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import numpy as np
import torch
from numba import njit
from torch import Tensor

from wsss.method.dense_crf.lattice import Embedding

LANES = 4
EMPTY = np.uint32(2**32 - 1)
SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: its products are spread evenly (Knuth, The Art of Computer Programming 6.4)."""

compiled: Any = njit(cache=True, nogil=True, fastmath={"contract"})


class NumbaLattice:
    """A `wsss.method.dense_crf.lattice.Lattice` on the CPU."""

    def __init__(self, embedding: Embedding) -> None:
        self.weights = embedding.weights.numpy()
        self.vertices, self.neighbours = _index(embedding.keys.numpy(), embedding.steps.numpy())

    def scaled(self, factors: Tensor) -> Self:
        """Multiply by factors before and after."""
        lattice = copy(self)
        lattice.weights = self.weights * factors.numpy()[:, None]
        return lattice

    def __call__(self, values: Tensor) -> Tensor:
        """Filter."""
        filtered = torch.empty_like(values)
        _filter(self.vertices, self.weights, self.neighbours, values.numpy(), filtered.numpy())
        return filtered


@compiled
def _index(keys, steps):  # type: ignore[no-untyped-def]
    """Number the vertices in order of appearance, and find their neighbours.

    Returns the vertices (N, d + 1) of the points, and the two neighbours of each of the M vertices along each
    axis (d + 1, M, 2), M where there is none.
    """
    vertices = np.empty(keys.shape, np.uint32)
    found = np.empty(keys.size, np.int64)
    slots = np.full(1 << 14, EMPTY)
    count = 0
    for i in range(len(keys)):
        for k in range(keys.shape[1]):
            key = keys[i, k]
            slot = _slot(slots, found, key)
            if slots[slot] == EMPTY:
                slots[slot] = count
                found[count] = key
                count += 1
            vertices[i, k] = slots[slot]
            if 2 * count > slots.size:
                slots = _enlarged(slots, found, count)
    return vertices, _neighbours(slots, found[:count], steps)


@compiled
def _slot(slots, found, key):  # type: ignore[no-untyped-def]
    """Find where a key is in the hash table, or may go."""
    mask = np.uint64(slots.size - 1)
    slot = (np.uint64(key) * SPREAD >> np.uint64(32)) & mask
    while slots[slot] != EMPTY and found[slots[slot]] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@compiled
def _enlarged(slots, found, count):  # type: ignore[no-untyped-def]
    larger = np.full(2 * slots.size, EMPTY)
    for vertex in range(count):
        larger[_slot(larger, found, found[vertex])] = vertex
    return larger


@compiled
def _neighbours(slots, found, steps):  # type: ignore[no-untyped-def]
    neighbours = np.empty((steps.size, found.size, 2), np.uint32)
    for axis in range(steps.size):
        for vertex in range(found.size):
            for side, step in enumerate((steps[axis], -steps[axis])):
                neighbour = slots[_slot(slots, found, found[vertex] + step)]
                neighbours[axis, vertex, side] = found.size if neighbour == EMPTY else neighbour
    return neighbours


@compiled
def _filter(vertices, weights, neighbours, values, filtered):  # type: ignore[no-untyped-def]
    """Write the filter of values (C, N) to filtered, four maps at a time; the last one fills up a group."""
    last = len(values) - 1
    for c in range(0, len(values), LANES):
        group = (c, min(c + 1, last), min(c + 2, last), min(c + 3, last))
        nodes = np.zeros((neighbours.shape[1] + 1, LANES), values.dtype)
        blurred = np.zeros_like(nodes)
        _splat(vertices, weights, values, group, nodes)
        for axis in range(len(neighbours)):
            _blur(neighbours[axis], nodes, blurred)
            nodes, blurred = blurred, nodes
        _slice(vertices, weights, nodes, group, filtered)


@compiled
def _splat(vertices, weights, values, group, nodes):  # type: ignore[no-untyped-def]
    """Add each point's values to the vertices around it."""
    maps0, maps1, maps2, maps3 = values[group[0]], values[group[1]], values[group[2]], values[group[3]]
    for i in range(len(vertices)):
        a, b, c, d = maps0[i], maps1[i], maps2[i], maps3[i]
        for k in range(vertices.shape[1]):
            weight, node = weights[i, k], nodes[vertices[i, k]]
            w, x, y, z = node[0], node[1], node[2], node[3]
            node[0], node[1], node[2], node[3] = (
                w + weight * a,
                x + weight * b,
                y + weight * c,
                z + weight * d,
            )


@compiled
def _blur(neighbours, nodes, blurred):  # type: ignore[no-untyped-def]
    """Add half of both neighbours along an axis to each vertex; the last row is zero: a missing neighbour."""
    half = nodes.dtype.type(0.5)
    for m in range(len(neighbours)):
        node, one, other, target = nodes[m], nodes[neighbours[m, 0]], nodes[neighbours[m, 1]], blurred[m]
        a = node[0] + half * (one[0] + other[0])
        b = node[1] + half * (one[1] + other[1])
        c = node[2] + half * (one[2] + other[2])
        d = node[3] + half * (one[3] + other[3])
        target[0], target[1], target[2], target[3] = a, b, c, d


@compiled
def _slice(vertices, weights, nodes, group, filtered):  # type: ignore[no-untyped-def]
    """Read each point's values off the vertices around it."""
    maps0, maps1, maps2, maps3 = (
        filtered[group[0]],
        filtered[group[1]],
        filtered[group[2]],
        filtered[group[3]],
    )
    for i in range(len(vertices)):
        a = b = c = d = weights.dtype.type(0)
        for k in range(vertices.shape[1]):
            weight, node = weights[i, k], nodes[vertices[i, k]]
            a += weight * node[0]
            b += weight * node[1]
            c += weight * node[2]
            d += weight * node[3]
        maps0[i], maps1[i], maps2[i], maps3[i] = a, b, c, d
