"""State dicts: taking a backbone's entries out of another's, naming them, and checking before loading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from wsss.models.backbone import Backbone
from wsss.models.prefixes import COUNTER, prefixes

PREFIX = "backbone."
#: First words of parameters that lie above the backbone, here, in torchvision and in the published networks.
HEADS = ("classifier.", "fc.", "fc8.", "refit.", "f8_", "gn8_", "f9.", "head.", "boundary.", "displacement.")
#: So many entries of each kind are named where a file does not fit.
EXAMPLES = 2


def hide_prefix(module: nn.Module, child: str) -> None:
    """Let the state dicts of ``module`` name the entries of its submodule ``child`` without ``child.``."""

    def shorten(module: nn.Module, state: dict[str, Tensor], prefix: str, metadata: Any) -> None:
        long = f"{prefix}{child}."
        entries = {
            prefix + key.removeprefix(long) if key.startswith(long) else key: value
            for key, value in state.items()
        }
        state.clear()
        state.update(entries)

    def restore(module: nn.Module, state: dict[str, Tensor], prefix: str, *unused: Any) -> None:
        inner = module.get_submodule(child)
        own = {name for name, _ in inner.named_children()}
        own |= {name for name, _ in inner.named_parameters(recurse=False)}
        own |= {name for name, _ in inner.named_buffers(recurse=False)}
        for key in list(state):
            name = key.removeprefix(prefix)
            if name.split(".")[0] in own:
                state[f"{prefix}{child}.{name}"] = state.pop(key)

    module.register_state_dict_post_hook(shorten)  # type: ignore[no-untyped-call]
    module.register_load_state_dict_pre_hook(restore)  # type: ignore[no-untyped-call]


def backbone_state(backbone: Backbone, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the backbone's entries out of the state dict of a network: ours, a library's or a published one.

    Entries under ``backbone.`` are the backbone's. Where there are none, all are but those of known heads.
    """
    if any(key.startswith(PREFIX) for key in state):
        return {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}
    own, heads = backbone.state_dict().keys(), (*HEADS, *backbone.left_out)
    return {key: value for key, value in state.items() if key in own or not key.startswith(heads)}


def state_problems(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """List the entries that ``state`` lacks, those ``module`` does not know, and those of another shape.

    Batch norms' ``num_batches_tracked`` does not count: old files lack it, and nothing here uses it.

    Returns:
        One line per entry by kind: "missing", "unknown", "reshaped"; without the kinds that do not occur.
    """
    own = module.state_dict()
    missing = [key for key in own if key not in state and not key.endswith(COUNTER)]
    unknown = [key for key in state if key not in own and not key.endswith(COUNTER)]
    reshaped = [key for key in own if key in state and state[key].shape != own[key].shape]
    problems = {
        "missing": [f"missing {key} {tuple(own[key].shape)}" for key in missing],
        "unknown": [f"unknown {key} {tuple(state[key].shape)}" for key in unknown],
        "reshaped": [
            f"{key}: got {tuple(state[key].shape)}, expected {tuple(own[key].shape)}" for key in reshaped
        ],
    }
    return {kind: lines for kind, lines in problems.items() if lines}


def explained(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    in_full: bool = False,
    found: Mapping[str, Tensor] | None = None,
) -> str:
    """Say why ``state`` does not fit ``module``, in ten lines or ``in_full``; nothing where it fits.

    ``found`` is what the file holds, of which ``state`` may be a part.
    """
    lines = []
    for kind, problems in state_problems(module, state).items():
        shown = problems if in_full or len(problems) <= EXAMPLES + 1 else problems[:EXAMPLES]
        lines += shown
        if len(problems) > len(shown):
            lines.append(f"… and {len(problems) - len(shown)} more {kind}")
    if lines:
        lines.append(_nearest_prefix(list(module.state_dict()), list(found or state)))
    return "\n  ".join(lines)


def _nearest_prefix(own: Sequence[str], found: Sequence[str]) -> str:
    """Say which prefix, taken off the names found, makes most of them the module's own; or what there is."""
    likeliest = prefixes(own, found)
    if not likeliest:
        examples = ", ".join(list(found)[:EXAMPLES])
        return f"found {len(found)} entries such as {examples}, none of the {len(own)} needed"
    prefix, count = likeliest[0]
    if not prefix:
        return f"{count} of the {len(own)} entries needed are there"
    return (
        f"the prefix {prefix!r} comes nearest: without it, {count} of the names found would be among the "
        f"{len(own)} needed"
    )


def load_backbone(backbone: Backbone, state: Mapping[str, Tensor] | None) -> Backbone:
    """Load the backbone's part of ``state`` (see `backbone_state`), if any, and return ``backbone``.

    Raises:
        ValueError: an entry is missing, unknown or of another shape; nothing is loaded then.
    """
    if state is not None:
        weights = backbone_state(backbone, state)
        if problems := explained(backbone, weights):
            raise ValueError(f"weights do not fit the backbone:\n  {problems}")
        backbone.load_state_dict(weights, strict=False)  # strict would ask for num_batches_tracked
    return backbone
