"""Pickles of arrays are rebuilt exactly, and whatever else a pickle may hold is refused before it happens."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import pickletools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss.stages.foreign.pickles import MOST_INSTRUCTIONS, Budget, read_pickle

PROTOCOLS = (2, 3, 4)


def rebuilt(content: object, protocol: int = 4) -> Any:
    return read_pickle(io.BytesIO(pickle.dumps(content, protocol)))


def assert_equal_arrays(found: object, expected: np.ndarray) -> None:
    assert isinstance(found, np.ndarray)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


# What is read


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "f2", "f8", "i8", "u1", "?"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 4), (2, 3, 70)])
def test_arrays_come_back(protocol: int, dtype: str, shape: tuple[int, ...]) -> None:
    array = (np.arange(np.prod(shape, dtype=int)) * 1.5).astype(dtype).reshape(shape)
    assert_equal_arrays(rebuilt({3: array}, protocol)[3], array)
    assert_equal_arrays(rebuilt({3: np.asfortranarray(array)}, protocol)[3], array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_older_numpy_names(protocol: int) -> None:
    data = pickle.dumps({np.int64(7): np.ones(3)}, protocol)
    if protocol == 4:  # lengths are written before names
        data = data.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
    old = data.replace(b"numpy._core", b"numpy.core")
    assert_equal_arrays(read_pickle(io.BytesIO(old))[7], np.ones(3))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_array_under_two_keys(protocol: int) -> None:
    array = np.arange(3.0)
    found = rebuilt({"a": array, "b": array}, protocol)
    assert found["a"] is found["b"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64, torch.bool])
def test_torch_tensors_become_arrays(protocol: int, dtype: torch.dtype) -> None:
    tensor = torch.arange(24).reshape(2, 3, 4).to(dtype)
    assert_equal_arrays(rebuilt({"cam": tensor}, protocol)["cam"], tensor.numpy())
    view = tensor[:, 1:, ::2].transpose(0, 2)
    assert_equal_arrays(rebuilt({"cam": view}, protocol)["cam"], view.numpy())
    assert_equal_arrays(rebuilt({"cam": tensor[:0]}, protocol)["cam"], tensor[:0].numpy())


plain = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(), st.booleans(), st.none(), st.binary()
)


@settings(deadline=None, derandomize=True)
@given(
    st.dictionaries(st.one_of(st.integers(-(2**40), 2**40), st.text()), plain | st.lists(plain)),
    st.sampled_from(PROTOCOLS),
)
def test_plain_values_come_back(content: dict[Any, Any], protocol: int) -> None:
    assert rebuilt(content, protocol) == content


def test_the_stream_stands_behind_the_pickle() -> None:
    stream = io.BytesIO(pickle.dumps([1]) + b"rest")
    assert read_pickle(stream) == [1]
    assert stream.read() == b"rest"


# What is refused


class Calls:
    """A pickle of this calls a function with arguments."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class Stateful:
    """A pickle of this names its class and sets attributes."""

    def __init__(self) -> None:
        self.attribute = 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("function", [os.system, eval, exec, getattr, np.load, np.frombuffer, torch.load])
def test_no_function_is_called(protocol: int, function: Any, tmp_path: Path) -> None:
    target = tmp_path / "made"
    with pytest.raises(ValueError, match=rf"asks for .*{function.__name__}; it may ask for arrays only"):
        rebuilt({0: Calls(function, f"open({str(target)!r}, 'w')")}, protocol)
    assert not target.exists()


def test_the_refused_function_would_have_run(tmp_path: Path) -> None:
    """The test above is worth something: Python's own machine runs such a pickle."""
    target = tmp_path / "made"
    pickle.loads(pickle.dumps(Calls(eval, f"open({str(target)!r}, 'w')")))
    assert target.exists()


@pytest.mark.parametrize(
    "content",
    [
        {0: np.array([{}], dtype=object)},
        {0: np.zeros(2, "f4,i4")},
        {0: np.array(["text"])},
        {0: np.array(["2026-11-22"], "M8[D]")},
        {0: np.float32},
        {0: Stateful()},
        {0: {1, 2}},
        {0: collections.Counter("a")},
        {(1, 2): 3},
        {1.5: 3},
        {None: 3},
    ],
)
def test_other_content_is_refused(content: object) -> None:
    with pytest.raises(ValueError, match=r"pickle|array"):
        rebuilt(content)


def test_truncations_are_refused() -> None:
    content = {"keys": torch.tensor([1, 2]), "high_res": np.ones((2, 3, 3), np.float32)}
    for protocol in PROTOCOLS:
        data = pickle.dumps(content, protocol)
        for end in range(0, len(data), 7):
            with pytest.raises(ValueError):  # noqa: PT011 - any wording
                read_pickle(io.BytesIO(data[:end]))


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_damage_gives_a_value_error_or_values(place: int, byte: int) -> None:
    data = bytearray(pickle.dumps({"keys": torch.tensor([1, 2]), 3: np.ones((2, 3), np.float32)}))
    data[place % len(data)] = byte
    with contextlib.suppress(ValueError):
        read_pickle(io.BytesIO(bytes(data)))


@settings(deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([opcode.code.encode("latin1") for opcode in pickletools.opcodes])))
def test_any_instructions_give_a_value_error_or_values(codes: list[bytes]) -> None:
    with contextlib.suppress(ValueError):
        read_pickle(io.BytesIO(b"".join(codes) + b"."))


def array_pickle(shape: bytes) -> bytes:
    """A pickle of an array with 8 bytes of values whose shape is what the given instructions build."""
    data = pickle.dumps(np.zeros(1, "f8"), 2)
    before, after = data.split(b"K\x01K\x01\x85", 1)
    return before + b"K\x01" + shape + after


def test_huge_claims_are_refused_before_memory_is_taken() -> None:
    assert read_pickle(io.BytesIO(array_pickle(b"K\x01\x85"))).tolist() == [0]
    huge = b"\x8a\x06" + struct.pack("<q", 2**44)[:6]
    for shape in (huge + b"\x85", huge + huge + b"\x86", b"J" + struct.pack("<i", -1) + b"\x85"):
        with pytest.raises(ValueError, match="array"):
            read_pickle(io.BytesIO(array_pickle(shape)))
    for claim in (
        b"\x8e" + struct.pack("<Q", 2**60),
        b"B" + struct.pack("<I", 2**31),
        b"\x8d" + b"\xff" * 7 + b"\0",
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - pickletools' wording
            read_pickle(io.BytesIO(b"\x80\x04" + claim + b"abc."))


def test_hostile_memo_index_takes_no_memory() -> None:
    assert read_pickle(io.BytesIO(b"\x80\x02]r\xff\xff\xff\xff.")) == []


@pytest.mark.parametrize("key", [False, True])
def test_deep_nesting_is_refused(key: bool) -> None:
    """Hashing a deeply nested tuple would end the process, had it come so far."""
    nested = b")" + b"\x85" * MOST_INSTRUCTIONS
    data = b"\x80\x02}" + (nested + b"K\x00s" if key else b"K\x00" + nested + b"s") + b"."
    with pytest.raises(ValueError, match=r"more than 20,000 instructions"):
        read_pickle(io.BytesIO(data))
    shallow = b"\x80\x02}" + b")" + b"\x85" * 5000 + b"K\x00s."
    with pytest.raises(ValueError, match=r"keys are not all whole numbers or texts"):
        read_pickle(io.BytesIO(shallow))


PAIRS = b")q\x00" + b"h\x00\x86q\x00" * 60
"""Instructions for a pair of pairs of pairs …: sixty tuples, but 2^60 to whom walks over them."""

CALLS = {
    "key of a dictionary": b"}" + PAIRS + b"K\x00s.",
    "function": PAIRS + b")R.",
    "arguments": b"cnumpy\ndtype\n" + PAIRS + b"R.",
    "module": PAIRS + b"\x8c\x01a\x93.",
    "name": b"\x8c\x01a" + PAIRS + b"\x93.",
    "dtype": b"cnumpy\ndtype\n" + PAIRS + b"\x85R.",
    "byte order": b"cnumpy\ndtype\n\x8c\x02f4\x85RK\x03" + PAIRS + b"\x86b.",
    "state": b"cnumpy.core.multiarray\n_reconstruct\n)R" + PAIRS + b"b.",
    "shape": b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01" + PAIRS + b"NNNtb.",
    "encoding": b"c_codecs\nencode\n\x8c\x01a" + PAIRS + b"\x86R.",
    "size of a tensor": b"ctorch._utils\n_rebuild_tensor_v2\n(NK\x00" + PAIRS + PAIRS + b"tR.",
    "storage": b"ctorch.storage\n_load_from_bytes\n" + PAIRS + b"\x85R.",
    "persistent id": PAIRS + b"Q.",
}


@pytest.mark.parametrize("place", CALLS)
def test_nothing_walks_over_what_a_pickle_has_built(place: str) -> None:
    with pytest.raises(ValueError, match=r"pickle|array|torch"):
        read_pickle(io.BytesIO(b"\x80\x04" + CALLS[place]))


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((100,), (1,), 0), ((2, 3), (3, 1), 1), ((4,), (-1,), 3), ((1000,), (0,), 0), ((2,), (10,), 0)],
)
def test_tensors_stay_in_their_storage(shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> None:
    storage = torch.zeros(6)._typed_storage()
    call = Calls(torch._utils._rebuild_tensor_v2, storage, offset, shape, strides, False, {})
    with pytest.raises(ValueError, match="torch tensor"):
        rebuilt({"cam": call}, 2)


def test_a_storage_that_claims_more_than_it_has() -> None:
    data = pickle.dumps(torch.zeros(6), 3)
    at = data.index(b"cpu")
    claim = data.index(b"K\x06", at)
    with pytest.raises(ValueError, match=r"array that claims \(200,\) float32 in 24 bytes"):
        read_pickle(io.BytesIO(data[:claim] + b"K\xc8" + data[claim + 2 :]))


# More kinds of tensors


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bfloat16_becomes_float32(protocol: int) -> None:
    tensor = torch.tensor([[0.1, 1.0, -3.0], [1e30, 0.0, float("inf")]], dtype=torch.bfloat16)
    assert_equal_arrays(rebuilt({"cam": tensor}, protocol)["cam"], tensor.float().numpy())
    assert_equal_arrays(rebuilt({"cam": tensor.T}, protocol)["cam"], tensor.T.float().numpy())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_parameters_are_their_values(protocol: int) -> None:
    values = torch.rand(2, 3)
    named = torch.nn.Parameter(values)
    named.note = "with an attribute"  # type: ignore[attr-defined]
    for parameter in (torch.nn.Parameter(values), named, torch.nn.Parameter(values, requires_grad=False)):
        assert_equal_arrays(rebuilt({"cam": parameter}, protocol)["cam"], values.numpy())


# A small file that makes much


def repeated(times: int) -> bytes:
    """A dictionary with one array under many keys, which a format would stack."""
    return pickle.dumps(dict.fromkeys(range(times), np.zeros((500, 500), np.float32)), 4)


def test_one_array_a_thousand_times_is_counted_a_thousand_times() -> None:
    assert len(read_pickle(io.BytesIO(repeated(10)), Budget(bytes=20_000_000))) == 10
    with pytest.raises(ValueError, match="makes more bytes of its values than any CAMs of the image take"):
        read_pickle(io.BytesIO(repeated(1000)), Budget(bytes=20_000_000))


def test_copies_of_a_tensor_are_counted() -> None:
    storage = torch.zeros(100_000)._typed_storage()
    rebuild = torch._utils._rebuild_tensor_v2
    calls = [Calls(rebuild, storage, number, (90_000,), (1,), False, {}) for number in range(200)]
    data = pickle.dumps(dict(enumerate(calls)), 4)
    assert len(data) < 600_000
    with pytest.raises(ValueError, match="makes more bytes"):
        read_pickle(io.BytesIO(data), Budget(bytes=10_000_000))


def test_pickles_within_pickles_share_the_instructions() -> None:
    data = pickle.dumps({"cam": torch.zeros(3)}, 4)
    budget = Budget()
    read_pickle(io.BytesIO(data), budget)
    alone = sum(1 for _ in pickletools.genops(data))
    assert MOST_INSTRUCTIONS - budget.instructions > alone
    with pytest.raises(ValueError, match=r"more than 20,000 instructions"):
        read_pickle(io.BytesIO(data), Budget(instructions=alone))
