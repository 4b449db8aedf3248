"""Damaged copies of valid files: the same seed and number give the same bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

NUMBERS = (0, 1, 2, 3, *(2**bits + more for bits in (7, 8, 15, 16, 31, 32, 63, 64) for more in (-1, 0)))
"""Where readers of sizes and counts go wrong."""

WORDS = (
    b"-1", b"0", b"9" * 30, b"1e999", b"NaN", b"null", b"[]", b"{}", b'""', b"true", b"\0", b"\xff",
    b"\xef\xbb\xbf", b"=1+1", b"../../x", b"%s%n", b"[" * 50, b"&x;", b"<a>", b"\t", b"\n", b"\r", b'"', b"'",
    b": ", b"- ", b"*a", b"&a ", "é".encode(), "\u2028".encode(), b"!!python/object:os.system ",
)  # fmt: skip
"""What text may hold."""

Change = Callable[[random.Random, bytearray, Sequence[bytes]], None]


def mutated(seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """Change one of the seeds in one to six ways."""
    rng = random.Random(f"{seed}/{number}")
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        rng.choice(CHANGES)(rng, data, seeds)
    return bytes(data)


def _flip(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[_place(rng, data)] ^= 1 << rng.randrange(8)


def _set(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[_place(rng, data)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _number(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    size = rng.choice((2, 4, 8))
    start = _place(rng, data) if data else 0
    content = (rng.choice(NUMBERS) % 2 ** (8 * size)).to_bytes(size, rng.choice(("little", "big")))
    data[start : start + size] = content


def _word(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    start = _place(rng, data) if data else 0
    data[start : start + rng.choice((0, 1, 4))] = rng.choice(WORDS)


def _cut(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        del data[_place(rng, data) :]


def _remove(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        start = _place(rng, data)
        del data[start : start + rng.choice((1, 2, 8, 64))]


def _repeat(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    start = _place(rng, data) if data else 0
    piece = data[start : start + rng.choice((1, 4, 16, 256))]
    data[start:start] = piece * rng.choice((1, 2, 40))


def _splice(rng: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other = rng.choice(seeds)
    start = rng.randrange(len(other) + 1)
    piece = other[start : start + rng.choice((4, 32, 256))]
    place = _place(rng, data) if data else 0
    data[place : place + len(piece)] = piece


def _place(rng: random.Random, data: bytearray) -> int:
    """Choose a byte: often in the first or last 300, where headers and directories are."""
    near = min(len(data), 300)
    return rng.choice((rng.randrange(len(data)), rng.randrange(near), len(data) - 1 - rng.randrange(near)))


CHANGES: tuple[Change, ...] = (
    _flip, _flip, _set, _set, _number, _number, _word, _cut, _remove, _repeat, _splice,
)  # fmt: skip
"""Ways to change a file; some of them twice, so that they are chosen more often."""
