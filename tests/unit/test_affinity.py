from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from wsss.method.affinity import (
    affinity_leak,
    affinity_loss,
    affinity_stencil,
    boundary_stencil,
    half_plane_offsets,
    oracle_stencil,
    pair_counts,
    pair_targets,
    torch_engine,
    valid_pairs,
)
from wsss.method.neighbours import Border

BORDERS: tuple[Border, ...] = ("full", "cropped")
SIZES = [(1, 1), (1, 9), (9, 1), (3, 3), (7, 11), (12, 13)]


def pairs_by_definition(height: int, width: int, radius: int, border: Border) -> dict[tuple[int, ...], int]:
    """Every (upper y, x, lower y, x) that counts, with the index of its offset."""
    offsets = [tuple(offset) for offset in half_plane_offsets(radius).tolist()]
    margin = radius - 1 if border == "cropped" else 0
    return {
        (y, x, y + dy, x + dx): index
        for index, (dy, dx) in enumerate(offsets)
        for y in range(height - margin)
        for x in range(margin, width - margin)
        if y + dy < height and 0 <= x + dx < width
    }


def stencil_of_pairs(values: dict[tuple[int, ...], float], height: int, width: int, radius: int) -> Tensor:
    stencil = torch.zeros(len(half_plane_offsets(radius)), height, width, dtype=torch.float64)
    offsets = {tuple(offset): index for index, offset in enumerate(half_plane_offsets(radius).tolist())}
    for (y, x, v, u), value in values.items():
        stencil[offsets[v - y, u - x], y, x] = value
    return stencil


def random_features(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("radius", [2, 3, 5, 7])
def test_offsets_hold_each_neighbour_once(radius: int):
    half = {tuple(offset) for offset in half_plane_offsets(radius).tolist()}
    mirrored = {(-dy, -dx) for dy, dx in half}
    reach = range(-radius, radius + 1)
    disc = {(dy, dx) for dy in reach for dx in reach if 0 < dy**2 + dx**2 < radius**2}
    assert half | mirrored == disc
    assert not half & mirrored


@pytest.mark.parametrize("radius", [1, 0, -3])
def test_radius_without_neighbours_is_refused(radius: int):
    with pytest.raises(ValueError, match=f"at least 2 cells.*{radius}"):
        half_plane_offsets(radius)


def test_unknown_border_is_refused():
    with pytest.raises(ValueError, match="'full' or 'cropped', got 'half'"):
        valid_pairs(4, 4, border="half")  # type: ignore[arg-type]


def test_features_of_wrong_rank_are_refused():
    with pytest.raises(ValueError, match=r"\(B, D, H, W\), got \(3, 4, 5\)"):
        affinity_stencil(torch.zeros(3, 4, 5))


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("radius", [2, 5])
def test_stencil_follows_the_definition(size: tuple[int, int], radius: int, border: Border):
    features = random_features(2, 3, *size)
    stencil = affinity_stencil(features, radius, border)
    for image, found in zip(features, stencil, strict=True):
        values = {
            (y, x, v, u): (image[:, y, x] - image[:, v, u]).abs().mean().neg().exp().item()
            for y, x, v, u in pairs_by_definition(*size, radius, border)
        }
        torch.testing.assert_close(found, stencil_of_pairs(values, *size, radius))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(2, 6), st.sampled_from(BORDERS), st.integers(0, 99))
def test_targets_follow_the_definition(height: int, width: int, radius: int, border: Border, seed: int):
    choices = torch.tensor([0, 1, 2, 255], dtype=torch.uint8)
    labels = choices[torch.randint(0, 4, (height, width), generator=torch.Generator().manual_seed(seed))]
    found = {kind: set() for kind in ("background", "foreground", "different")}
    for pair in pairs_by_definition(height, width, radius, border):
        upper, lower = labels[pair[:2]].item(), labels[pair[2:]].item()
        if 255 not in (upper, lower):
            kind = "different" if upper != lower else "foreground" if upper else "background"
            found[kind].add(pair)
    for kind, target in zip(found, pair_targets(labels[None], radius, border), strict=True):
        expected = stencil_of_pairs(dict.fromkeys(found[kind], 1.0), height, width, radius)
        torch.testing.assert_close(target[0].double(), expected)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("size", [(1, 6), (2, 2), (4, 7)])
def test_gradient(size: tuple[int, int], border: Border):
    features = random_features(2, 3, *size).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: affinity_stencil(f, 3, border), features)


def test_gradient_through_the_loss():
    features = random_features(2, 3, 6, 7).requires_grad_()
    targets = pair_targets(torch.randint(0, 3, (2, 6, 7), dtype=torch.uint8), 3)
    assert torch.autograd.gradcheck(lambda f: affinity_loss(affinity_stencil(f, 3), targets)[0], features)


def test_equal_features_do_not_pull():
    features = torch.ones(1, 4, 6, 6, requires_grad=True)
    affinity_stencil(features).sum().backward()
    assert features.grad is not None
    assert not features.grad.any()


@pytest.mark.parametrize("block", [1, 7 * 3, 10**9])
def test_blocks_do_not_change_the_result(block: int, monkeypatch: pytest.MonkeyPatch):
    def value_and_gradient() -> tuple[Tensor, Tensor]:
        features = random_features(2, 3, 7, 8).requires_grad_()
        stencil = affinity_stencil(features)
        weights = random_features(*stencil.shape, seed=1)
        return stencil.detach(), torch.autograd.grad(stencil, features, weights)[0]

    expected = value_and_gradient()
    monkeypatch.setattr(torch_engine, "CPU_BLOCK", block)
    torch.testing.assert_close(value_and_gradient(), expected)


def engine_case(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of two images with more channels and cells than one block, some equal; shifts; slopes."""
    cells = random_features(2 * 7 * 11, 70, dtype=dtype)
    cells[5:40:3, ::2] = cells[6:41:3, ::2]
    shifts = torch.tensor([1, 10, 11, 12, 44, len(cells) - 1, len(cells)])
    return cells, shifts, random_features(len(shifts), len(cells), dtype=dtype, seed=1)


IN_THE_INTERPRETER = """
import sys, torch
from wsss.method.affinity import triton_engine

cells, shifts, slopes = torch.load(sys.argv[1])
found = triton_engine.distance(cells, shifts), triton_engine.gradient(cells, shifts, slopes)
torch.save(found, sys.argv[1])
"""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_triton_engine_in_its_interpreter(dtype: torch.dtype, tmp_path: Path):
    """In a process of its own: what Triton's library calls is interpreted only if it is imported so."""
    pytest.importorskip("triton", reason="Triton is not installed")
    cells, shifts, slopes = engine_case(dtype)
    file = tmp_path / "case.pt"
    torch.save((cells, shifts, slopes), file)
    command = [sys.executable, "-c", IN_THE_INTERPRETER, str(file)]
    env = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(command, env=env, check=True)
    expected = torch_engine.distance(cells, shifts), torch_engine.gradient(cells, shifts, slopes)
    torch.testing.assert_close(torch.load(file), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cuda_equals_cpu(dtype: torch.dtype):
    here = random_features(2, 70, 9, 13, dtype=dtype).requires_grad_()
    there = here.detach().cuda().requires_grad_()
    weights = random_features(2, 34, 9, 13, dtype=dtype, seed=1)
    for features in (here, there):
        (affinity_stencil(features) * weights.to(features.device)).sum().backward()
    assert here.grad is not None
    assert there.grad is not None
    torch.testing.assert_close(there.grad.cpu(), here.grad)
    torch.testing.assert_close(affinity_stencil(there).cpu(), affinity_stencil(here))


def test_images_of_a_batch_do_not_touch():
    features = random_features(3, 4, 6, 5)
    alone = torch.cat([affinity_stencil(image[None]) for image in features])
    torch.testing.assert_close(affinity_stencil(features), alone)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype):
    features = random_features(1, 64, 8, 9).to(dtype).contiguous(memory_format=torch.channels_last)
    stencil = affinity_stencil(features.requires_grad_())
    assert stencil.dtype == torch.float32
    torch.testing.assert_close(stencil.double(), affinity_stencil(features.double()), atol=1e-6, rtol=1e-5)
    stencil.sum().backward()
    assert features.grad is not None
    assert features.grad.dtype == dtype


def test_autocast_does_not_lower_the_precision():
    features = random_features(1, 8, 6, 6, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = affinity_stencil(features)
    torch.testing.assert_close(found, affinity_stencil(features))


class LargestTensor(TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation returns."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **kwargs or {})
        if isinstance(result, Tensor):
            self.numel = max(self.numel, result.numel())
        return result


def test_features_of_all_pairs_are_never_held():
    features = random_features(2, 64, 12, 12).requires_grad_()
    with LargestTensor() as largest:
        affinity_stencil(features).sum().backward()
    assert 0 < largest.numel <= features.numel()


def test_mirrored_features_give_mirrored_affinities():
    features, width = random_features(1, 3, 6, 8), 8
    stencil, mirrored = affinity_stencil(features)[0], affinity_stencil(features.flip(-1))[0]
    for (y, x, v, u), index in pairs_by_definition(6, width, 5, "full").items():
        upper, lower = (y, width - 1 - x), (v, width - 1 - u)
        (a, b), (c, d) = sorted([upper, lower])
        offset = half_plane_offsets(5).tolist().index([c - a, d - b])
        assert mirrored[offset, a, b].item() == pytest.approx(stencil[index, y, x].item())


def test_loss_of_known_affinities():
    stencil = torch.tensor([0.9, 0.5, 0.8, 0.3, 0.7]).view(1, 5, 1, 1)
    kinds = torch.eye(3, dtype=torch.bool)[[0, 0, 1, 2, 2]].T.reshape(3, 1, 5, 1, 1)
    loss, (background, foreground, different) = affinity_loss(stencil, (kinds[0], kinds[1], kinds[2]))
    logs = torch.tensor([0.9, 0.5, 0.8, 0.7, 0.3]).log().neg()
    assert background.item() == pytest.approx(logs[:2].mean().item(), rel=1e-4)
    assert foreground.item() == pytest.approx(logs[2].item(), rel=1e-4)
    assert different.item() == pytest.approx(logs[[3, 4]].mean().item(), rel=1e-4)
    assert loss.item() == pytest.approx((background / 4 + foreground / 4 + different / 2).item())


def test_losses_of_parts_of_a_batch_sum_to_its_loss():
    """As in several processes: each divides by the pairs of all."""
    stencil = affinity_stencil(random_features(4, 3, 6, 6))
    labels = torch.randint(0, 3, (4, 6, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels[1:, 2:] = 255
    whole = pair_targets(labels)
    counts = pair_counts(whole)
    assert counts.tolist() == [int(kind.sum()) for kind in whole]
    parts = [affinity_loss(stencil[at], pair_targets(labels[at]), counts)[0] for at in ([0], [1, 2, 3])]
    torch.testing.assert_close(sum(parts), affinity_loss(stencil, whole)[0])


def test_undecided_cells_neither_count_nor_learn():
    features = random_features(1, 3, 6, 6).requires_grad_()
    labels = torch.zeros(1, 6, 6, dtype=torch.uint8)
    labels[:, 2, 3] = 255
    loss, _ = affinity_loss(affinity_stencil(features), pair_targets(labels))
    (gradient,) = torch.autograd.grad(loss, features)
    assert not gradient[:, :, 2, 3].any()
    assert gradient[:, :, 2, 2].any()


def test_batch_without_any_pair_has_no_loss():
    stencil = torch.full((1, 34, 3, 3), 0.5, requires_grad=True)
    targets = pair_targets(torch.full((1, 3, 3), 255, dtype=torch.uint8))
    loss, terms = affinity_loss(stencil, targets)
    loss.backward()
    assert loss.item() == 0
    assert [term.item() for term in terms] == [0, 0, 0]
    assert stencil.grad is not None
    assert not stencil.grad.any()


@pytest.mark.parametrize("size", [(1, 7), (6, 1), (8, 9)])
@pytest.mark.parametrize("radius", [2, 4, 5])
def test_boundary_stencil_follows_the_definition(size: tuple[int, int], radius: int):
    boundary = torch.rand(*size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    values = {}
    for y, x, v, u in pairs_by_definition(*size, radius, "full"):
        length = ((v - y) ** 2 + (u - x) ** 2) ** 0.5
        box = [(a, b) for a in range(y, v + 1) for b in range(min(x, u), max(x, u) + 1)]
        path = [(a, b) for a, b in box if abs((a - y) * (u - x) - (b - x) * (v - y)) / length < 1 - 1e-9]
        values[y, x, v, u] = 1 - max(boundary[cell].item() for cell in path)
    torch.testing.assert_close(boundary_stencil(boundary, radius), stencil_of_pairs(values, *size, radius))


def test_oracle_stencil_cuts_between_segments():
    labels = torch.tensor([[0, 0, 3], [0, 255, 3]], dtype=torch.uint8)
    values = {
        (y, x, v, u): 1.0 if labels[y, x] == labels[v, u] else 0.25
        for y, x, v, u in pairs_by_definition(2, 3, 3, "full")
    }
    found = oracle_stencil(labels, radius=3, leak=0.25)
    torch.testing.assert_close(found.double(), stencil_of_pairs(values, 2, 3, 3))


def test_leak_of_oracle_affinities():
    labels = torch.tensor([[0, 0, 1, 1, 255], [2, 2, 1, 1, 255]], dtype=torch.uint8).repeat(4, 1)
    equal, different = affinity_leak(oracle_stencil(labels, leak=0.5).half(), labels, beta=3)
    assert (equal, different) == (1, 0.125)


def test_leak_without_different_neighbours_is_nan():
    labels = torch.zeros(4, 4, dtype=torch.uint8)
    equal, different = affinity_leak(oracle_stencil(labels), labels, beta=8)
    assert equal == 1
    assert different != different
