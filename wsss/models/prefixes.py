"""Names of the entries of a state dict without what wrappers have put before or between them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor

WRAPPERS = frozenset(
    {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_module"}
)
"""What torch.compile, FSDP, activation checkpoints and others put into names, anywhere."""

PARALLEL = "module"
"""What DataParallel and its successors put before all names."""

TRIED = 4
"""So many of the likeliest prefixes are tried."""

COUNTER = "num_batches_tracked"
"""Last word of the entries that old files lack."""


def unwrapped(name: str) -> str:
    """Take the words of wrappers off a name: `module._orig_mod.layer1.weight` becomes `layer1.weight`."""
    words = [word for word in name.split(".") if word not in WRAPPERS]
    while len(words) > 1 and words[0] == PARALLEL:
        words = words[1:]
    return ".".join(words)


def prefixes(own: Iterable[str], found: Iterable[str]) -> list[tuple[str, int]]:
    """Return the prefixes behind which names are the module's own, and how many; the most come first."""
    known = set(own)
    counts: Counter[str] = Counter()
    for name in found:
        counts.update(name.removesuffix(tail) for tail in tails(name) if tail in known)
    return counts.most_common()


def tails(name: str) -> list[str]:
    """Return a name, the name without its first word, and so on."""
    words = name.split(".")
    return [".".join(words[cut:]) for cut in range(len(words))]


def below_prefixes(own: Iterable[str], state: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Yield the entries below each of the likeliest prefixes, without it, then those named by position."""
    own = list(own)
    for prefix, _ in prefixes(own, state)[:TRIED]:
        yield {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if named := by_position(own, state):
        yield named


def by_position(own: Iterable[str], state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Name entries `4.0.conv1.weight` as the module's part at that place does.

    `nn.Sequential(*module.children())` gives the parts numbers, in their order; those without entries count
    too. Where what is below each number is not exactly what is below the part, the result is None.
    """
    parts = _parts(own)
    numbered: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for key in state:
        words = key.split(".")
        place = next((place for place, word in enumerate(words) if word.isdigit()), None)
        if place is not None:
            rest = ".".join(words[place + 1 :])
            numbered["".join(f"{word}." for word in words[:place])][words[place]][rest] = key
    for found in numbered.values():
        order = sorted(found, key=int)
        if len(order) < len(parts):
            continue
        pairs = list(zip(parts.items(), order, strict=False))
        if all(_without_counters(rests) == _without_counters(found[number]) for (_, rests), number in pairs):
            return {f"{part}.{rest}": state[key] for (part, _), n in pairs for rest, key in found[n].items()}
    return None


def _parts(own: Iterable[str]) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    for name in own:
        part, _, rest = name.partition(".")
        parts.setdefault(part, []).append(rest)
    return parts


def _without_counters(names: Iterable[str]) -> set[str]:
    return {name for name in names if not name.endswith(COUNTER)}
