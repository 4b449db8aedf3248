"""Pickled dictionaries of arrays, read without running anything in them.

A pickle is a program, and Python's own machine calls whatever such a program names. This one knows only the
instructions that build numbers, texts, lists, dictionaries, numpy arrays and torch tensors (which become
arrays). It imports nothing, calls nothing but the functions below, and makes no array that is larger than the
bytes that are there for it. What it makes in all is counted, as the same bytes can be used a thousand times.
Values that a pickle has built are not hashed or shown before their type is known: a pair of pairs of the same
pair, sixty deep, would keep Python busy for ever.
"""

from __future__ import annotations

import io
import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MOST_INSTRUCTIONS = 20_000
"""A dictionary of eighty arrays takes some 4,000."""

MOST_BYTES = 1 << 30
"""Of all values that a pickle makes, where the caller does not know better."""

DTYPES = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})

STORAGES = {
    "torch.FloatStorage": "<f4", "torch.DoubleStorage": "<f8", "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8", "torch.IntStorage": "<i4", "torch.ShortStorage": "<i2",
    "torch.CharStorage": "i1", "torch.ByteStorage": "u1", "torch.BoolStorage": "?",
}  # fmt: skip
"""Element types of torch's storages."""

BFLOAT16 = "torch.BFloat16Storage"
"""Numpy has no such element type: the two bytes are the upper ones of a float32."""

ON_GPU = "torch.cuda."
"""Begins the names of storages in files of older versions, if they were on a GPU."""


@dataclass
class Budget:
    """What may still be made: instructions to follow, and bytes of values."""

    bytes: int = MOST_BYTES
    instructions: int = MOST_INSTRUCTIONS

    def follow(self) -> None:
        """Count an instruction."""
        self.instructions -= 1
        if self.instructions < 0:
            raise ValueError(f"a pickle of more than {MOST_INSTRUCTIONS:,} instructions")

    def make(self, size: int) -> None:
        """Count the bytes of a value, before it is made."""
        self.bytes -= size
        if self.bytes < 0:
            raise ValueError("a pickle that makes more bytes of its values than any CAMs of the image take")


def read_pickle(stream: BinaryIO, budget: Budget | None = None) -> Any:
    """Build what a pickle describes; `stream` then stands behind it.

    Args:
        stream: Of the pickle.
        budget: What may be made, which pickles within it share.

    Returns:
        Numbers, texts, bytes, None, and tuples, lists and dictionaries of these and of arrays; the keys of
        dictionaries are whole numbers or texts.

    Raises:
        ValueError: the pickle is damaged, too long, or asks for anything else; the message says for what.
    """
    machine = _Machine(budget or Budget())
    try:
        for instruction, argument, _ in pickletools.genops(stream):
            machine.budget.follow()
            machine.step(instruction.name, argument)
        (result,) = machine.stack
    except (IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"a damaged pickle ({type(error).__name__}: {error})") from error
    return _finished(result)


class _Global(str):
    """A function or class that a pickle names, which is never looked up."""


@dataclass
class _Dtype:
    """An element type while it is built: its code, such as f4, and its byte order."""

    code: str
    order: str = "="


@dataclass
class _Array:
    """An array while it is built: other parts of the pickle may point to it before its values are there."""

    values: Any = None


OBJECT = _Dtype("O8", "|")


def _finished(value: Any) -> Any:
    """Replace arrays under construction in a value, or in the items of a container."""
    value = _values(value)
    if isinstance(value, dict):
        return {key: _values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_values, value))
    return value


def _values(value: Any) -> Any:
    if isinstance(value, _Array) and value.values is None:
        raise ValueError("an array without values")
    return value.values if isinstance(value, _Array) else value


# What the instructions do


class _Machine:
    """The stack on which a pickle builds its values, and the memo in which it keeps some for later."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        if name in _LITERAL:
            self.stack.append(argument)
        elif name in _NEW:
            self.stack.append(_NEW[name]())
        elif name == "GLOBAL":
            self.stack.append(_name(*argument.split(" ", 1)))
        elif name in _COMBINE:
            count, combine = _COMBINE[name]
            items = self.pop(count)
            self.stack.append(combine(self.budget, *items) if name == "REDUCE" else combine(*items))
        elif name in _CHANGE:
            count, change = _CHANGE[name]
            items = self.pop(count)
            for item in items:
                self.budget.make(_bytes_of(item))
            change(self.stack[-1], *items)
        elif name == "MARK":
            self.marks.append(len(self.stack))
        elif name in ("MEMOIZE", "BINPUT", "LONG_BINPUT"):
            self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name == "STOP":
            pass
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"the pickle instruction {name}, which no dictionary of arrays needs")

    def pop(self, count: int | None) -> list[Any]:
        """Take the last items off the stack: so many, or those since the last mark."""
        start = self.marks.pop() if count is None else len(self.stack) - count
        if start < (self.marks[-1] if self.marks else 0):
            raise IndexError("too few values on the stack")
        items = self.stack[start:]
        del self.stack[start:]
        return items


def _name(module: object, name: object) -> _Global:
    given = f"{_text(module).replace('numpy._core', 'numpy.core')}.{_text(name)}"
    found = _Global(given.replace(ON_GPU, "torch.") if given.endswith("Storage") else given)
    if found not in _FUNCTIONS and found not in (*STORAGES, BFLOAT16, "numpy.ndarray"):
        raise ValueError(f"a pickle that asks for {found:.99}; it may ask for arrays only")
    return found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} for a text")
    return value


def _call(budget: Budget, function: object, arguments: tuple[Any, ...]) -> Any:
    if not isinstance(function, _Global) or function not in _FUNCTIONS:
        raise ValueError(f"a pickle that calls a {type(function).__name__}; it may build arrays only")
    return _FUNCTIONS[function](budget, *arguments)


def _bytes_of(value: object) -> int:
    """Return the size of an array that is put into a container: once more each time, as it may be copied."""
    value = value.values if isinstance(value, _Array) else value
    return value.nbytes if isinstance(value, np.ndarray) else 0


def _append(target: object, *items: Any) -> None:
    if not isinstance(target, list):
        raise TypeError(f"items for a {type(target).__name__}")
    target.extend(items)


def _set_items(target: object, *items: Any) -> None:
    keys, values = items[::2], items[1::2]
    if not isinstance(target, dict) or not all(type(key) in (int, str) for key in keys):
        raise ValueError("a pickled dictionary whose keys are not all whole numbers or texts")
    target.update(zip(keys, values, strict=True))


def _build(target: object, state: tuple[Any, ...]) -> None:
    if isinstance(target, _Dtype):
        target.order = _text(state[1])
    elif isinstance(target, _Array):
        if not isinstance(state, tuple) or len(state) != 5:
            raise TypeError("the state of an array has five parts")
        _version, shape, dtype, fortran_order, data = state
        if shape == () and dtype == OBJECT:  # numpy.save puts what is no array into one of its own
            (target.values,) = data
        else:
            target.values = _shaped(data, _numpy_dtype(dtype), shape, "F" if fortran_order else "C")
    else:
        raise ValueError(f"a pickle that sets the state of a {type(target).__name__}")


_LITERAL = frozenset({
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
})  # fmt: skip

_NEW: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}

_COMBINE: dict[str, tuple[int | None, Callable[..., Any]]] = {
    "TUPLE": (None, lambda *items: items),
    "TUPLE1": (1, lambda *items: items),
    "TUPLE2": (2, lambda *items: items),
    "TUPLE3": (3, lambda *items: items),
    "STACK_GLOBAL": (2, _name),
    "REDUCE": (2, _call),
    "BINPERSID": (1, lambda key: _Storage(*key)),
}
"""How many values are taken off the stack, or None for those since the mark, and what they become."""

_CHANGE: dict[str, tuple[int | None, Callable[..., None]]] = {
    "APPEND": (1, _append),
    "APPENDS": (None, _append),
    "SETITEM": (2, _set_items),
    "SETITEMS": (None, _set_items),
    "BUILD": (1, _build),
}
"""The same for values that change what lies below them."""


# What may be called


def _numpy_dtype(dtype: _Dtype) -> np.dtype[Any]:
    if not isinstance(dtype, _Dtype):
        raise TypeError(f"a {type(dtype).__name__} for the elements of an array")
    if dtype.code not in DTYPES or dtype.order not in ("<", ">", "|", "="):
        raise ValueError(f"an array of {dtype.code:.99}; elements must be plain numbers")
    return np.dtype(dtype.order + dtype.code)


def _shaped(data: object, dtype: np.dtype[Any], shape: Any, order: Any) -> NDArray[Any]:
    if not isinstance(data, bytes) or not _are_sizes(shape):
        raise TypeError(f"an array with a {type(data).__name__} for values, or without sizes")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array that claims {shape} {dtype} in {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _are_sizes(shape: object) -> bool:
    return isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)


def _encode(budget: Budget, text: str, encoding: str) -> bytes:
    """How protocol 2 writes bytes."""
    budget.make(len(_text(text)))
    if _text(encoding) != "latin1":
        raise ValueError(f"bytes in the encoding {encoding:.99}, expected latin1")
    return _text(text).encode("latin1")


def _scalar(budget: Budget, dtype: _Dtype, data: bytes) -> int | float:
    value: int | float = _shaped(data, _numpy_dtype(dtype), (1,), "C")[0].item()
    return value


@dataclass(frozen=True)
class _Storage:
    """What torch's legacy format says of the values of a tensor, which follow the pickle."""

    kind: str
    type: _Global
    key: str
    location: str
    size: int
    view: None


def _load_storage(budget: Budget, data: bytes) -> NDArray[Any]:
    """Read a storage (N,) in torch's legacy format: five pickles, the number of values, the values."""
    budget.make(len(data))
    stream = io.BytesIO(data)
    _magic, _version, _machine, storage, _keys = (read_pickle(stream, budget) for _ in range(5))
    if not isinstance(storage, _Storage) or _text(storage.type) not in (*STORAGES, BFLOAT16):
        raise ValueError("a torch tensor in an unknown format; convert it with .cpu().numpy()")
    stream.seek(8, io.SEEK_CUR)
    if storage.type == BFLOAT16:
        upper = _shaped(stream.read(), np.dtype("<u2"), (storage.size,), "C")
        budget.make(2 * upper.nbytes)
        return (upper.astype("<u4") << 16).view("<f4")
    return _shaped(stream.read(), np.dtype(STORAGES[storage.type]), (storage.size,), "C")


def _rebuild_tensor(
    budget: Budget, storage: NDArray[Any], offset: int, shape: Any, strides: Any, *_: Any
) -> NDArray[Any]:
    """Cut a tensor out of its storage; several elements in one place, as `expand` makes them, are refused."""
    if not (isinstance(storage, np.ndarray) and _are_sizes((offset, *shape)) and _are_sizes(strides)):
        raise ValueError("a torch tensor whose sizes, strides or values are none")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if math.prod(shape) > len(storage) or (math.prod(shape) and last >= len(storage)):
        raise ValueError(f"a torch tensor that claims {shape}, strides {strides} in {len(storage)} values")
    budget.make(math.prod(shape) * storage.itemsize)
    steps = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps).copy()


def _parameter(_: Budget, data: object, *__: Any) -> NDArray[Any]:
    """A tensor that was trained is its values."""
    if not isinstance(data, np.ndarray):
        raise ValueError(f"a torch parameter of a {type(data).__name__}")
    return data


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "numpy.core.multiarray._reconstruct": lambda *_: _Array(),
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.dtype": lambda _, code, *__: _Dtype(_text(code)),
    "_codecs.encode": _encode,
    "__builtin__.bytes": lambda _: b"",
    "collections.OrderedDict": lambda _: {},
    "torch.storage._load_from_bytes": _load_storage,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}
"""What a pickle may call, by the names that it uses, and what is done instead."""
