"""MXNet's .params files: the sample bit for bit, all three layouts written here, and hostile ones."""

from __future__ import annotations

import logging
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from wsss.models.backbones import build_backbone
from wsss.models.initial_weights import resolve_weights
from wsss.models.weights.mxnet import V1_MAGIC, V2_MAGIC, read_params, resnet38_key, resnet38_state
from wsss.models.weights.reading import read_state

GOLDEN = Path(__file__).resolve().parents[1] / "parity"
LAYOUTS = ("v0", "v1", "v2")
TYPE_NUMBERS = {"float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6}


def array_bytes(array: np.ndarray, layout: str, *, type_number: int | None = None, storage: int = 0) -> bytes:
    sizes = struct.pack(f"<I{array.ndim}{'I' if layout == 'v0' else 'q'}", array.ndim, *array.shape)
    opening = {
        "v0": b"",
        "v1": struct.pack("<I", V1_MAGIC),
        "v2": struct.pack("<Ii", V2_MAGIC, storage),
    }[layout]
    number = TYPE_NUMBERS[array.dtype.name] if type_number is None else type_number
    return opening + sizes + struct.pack("<iii", 1, 0, number) + array.tobytes()


def file_bytes(
    arrays: list[bytes], names: list[bytes], *, magic: int = 0x112, count: int | None = None
) -> bytes:
    parts = [struct.pack("<QQQ", magic, 0, len(arrays) if count is None else count), *arrays]
    parts.append(struct.pack("<Q", len(names)))
    parts += [struct.pack("<Q", len(name)) + name for name in names]
    return b"".join(parts)


def written(path: Path, arrays: dict[str, np.ndarray], layout: str) -> Path:
    content = file_bytes(
        [array_bytes(a, layout) for a in arrays.values()], [name.encode() for name in arrays]
    )
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("layout", ["v0", "v2"])
def test_sample_is_read_bit_for_bit(layout: str) -> None:
    found = read_params(GOLDEN / f"resnet38_sample_{layout}.params")
    with np.load(GOLDEN / "resnet38_sample.npz", allow_pickle=False) as expected:
        assert [name.replace(":", "__") for name in found] == expected.files
        for name, array in found.items():
            other = expected[name.replace(":", "__")]
            assert (array.dtype, array.shape) == (other.dtype, other.shape)
            assert array.tobytes() == other.tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", TYPE_NUMBERS)
def test_every_layout_and_type_comes_back(tmp_path: Path, layout: str, dtype: str) -> None:
    arrays = {"arg:a": np.arange(24).reshape(2, 3, 4).astype(dtype), "aux:é": np.array([7]).astype(dtype)}
    found = read_params(written(tmp_path / "a.params", arrays, layout))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_arrays_are_read_only_views(tmp_path: Path) -> None:
    array = read_params(written(tmp_path / "a.params", {"a": np.ones(3, np.float32)}, "v2"))["a"]
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_truncation_is_refused(tmp_path: Path, layout: str) -> None:
    arrays = {"arg:a": np.ones((2, 3), np.float32), "arg:b": np.ones(5, np.float32)}
    whole = written(tmp_path / "whole.params", arrays, layout).read_bytes()
    path = tmp_path / "cut.params"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut\.params"):
            read_params(path)


ONE = array_bytes(np.ones(2, np.float32), "v2")
HOSTILE = {
    "foreign magic": (file_bytes([ONE], [b"a"], magic=0x50), "starts with 0x50"),
    "more arrays than bytes": (file_bytes([ONE], [b"a"], count=2**60), f"{2**60} arrays announced"),
    "huge sizes": (
        file_bytes([struct.pack("<IiI2qiii", V2_MAGIC, 0, 2, 2**31, 2**40, 1, 0, 0)], [b"a"]),
        f"array 0 needs {2**73} bytes",
    ),
    "negative size": (
        file_bytes([struct.pack("<IiIqiii", V2_MAGIC, 0, 1, -4, 1, 0, 0)], [b"a"]),
        r"shape \(-4,\)",
    ),
    "size zero": (file_bytes([struct.pack("<IiIqiii", V2_MAGIC, 0, 1, 0, 1, 0, 0)], [b"a"]), r"shape \(0,\)"),
    "no dimension": (file_bytes([struct.pack("<IiIiii", V2_MAGIC, 0, 0, 1, 0, 0)], [b"a"]), "0 dimensions"),
    "too many dimensions": (file_bytes([struct.pack("<I", 33) + bytes(200)], [b"a"]), "33 dimensions"),
    "later layout": (file_bytes([struct.pack("<I", 0xF993FACA) + bytes(40)], [b"a"]), "unknown layout"),
    "unknown type": (
        file_bytes([array_bytes(np.ones(2, np.float32), "v2", type_number=7)], [b"a"]),
        "element type 7, expected 0 to 6",
    ),
    "sparse": (
        file_bytes([array_bytes(np.ones(2, np.float32), "v2", storage=1)], [b"a"]),
        "array 0: storage type 1, only dense",
    ),
    "long name": (
        file_bytes([ONE], [])[:-8] + struct.pack("<QQ", 1, 2**62) + b"a",
        f"a name needs {2**62} bytes",
    ),
    "no names": (file_bytes([ONE], []), "0 different names for 1 arrays"),
    "one name twice": (file_bytes([ONE, ONE], [b"a", b"a"]), "1 different names for 2 arrays"),
    "name not UTF-8": (file_bytes([ONE], [b"\xff\xfe"]), "not UTF-8"),
    "more after the end": (file_bytes([ONE], [b"a"]) + b"!", "1 bytes follow"),
    "empty": (b"", "the file is empty"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_with_what_and_where(tmp_path: Path, case: str) -> None:
    content, message = HOSTILE[case]
    path = tmp_path / "hostile.params"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"hostile\.params.*{message}"):
        read_params(path)


def mxnet_name(key: str) -> str:
    """The inverse of the naming, written down apart from it."""
    block, _, rest = key.partition(".")
    if block == "conv1a":
        return "arg:conv1a_weight"
    layer, _, parameter = rest.rpartition(".")
    kind, _, branch = layer.partition("_")
    suffixes = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_var"}
    suffix = "weight" if kind == "conv" else suffixes[parameter]
    group = "aux" if suffix.startswith("moving") else "arg"
    if block == "bn7":
        return f"{group}:bn7_{suffix}"
    stage, _, number = block[1:].partition("_")
    layer = f"{'res' if kind == 'conv' else 'bn'}{stage}{'b' + number if number else 'a'}"
    return f"{group}:{layer}_{branch}_{suffix}"


def test_every_key_of_resnet38_has_its_name() -> None:
    with np.load(GOLDEN / "resnet38.npz", allow_pickle=False) as golden:
        keys = [key for key in golden["keys_cls"].tolist() if key != "fc8.weight"]
    assert mxnet_name("b4_3.bn_branch2b1.running_var") == "aux:bn4b3_branch2b1_moving_var"
    assert [resnet38_key(mxnet_name(key)) for key in keys] == keys


def test_names_without_use_are_listed() -> None:
    state, unused = resnet38_state(read_params(GOLDEN / "resnet38_sample_v0.params"))
    assert unused == ["arg:linear1000_weight", "arg:linear1000_bias"]
    assert set(state) == {
        "conv1a.weight",
        "b2.bn_branch2a.weight",
        "b2.bn_branch2a.bias",
        "b2.bn_branch2a.running_mean",
        "b2.bn_branch2a.running_var",
        "b2.conv_branch2a.weight",
        "b2_1.bn_branch2a.weight",
        "b2_1.conv_branch2b1.weight",
        "bn7.weight",
        "bn7.running_var",
    }


def test_incomplete_weights_are_refused_with_what_is_missing_and_unused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(ValueError, match="does not fit resnet38") as caught:
        resolve_weights(str(GOLDEN / "resnet38_sample_v2.params"), "resnet38")
    said = str(caught.value)
    assert "missing b2.bn_branch2b1.weight (128,)" in said
    assert re.search(r"… and \d{3} more missing", said)
    assert "b2_1.conv_branch2b1.weight: got (16, 16, 3, 3), expected (128, 128, 3, 3)" in said
    assert "conv1a.weight" not in said
    assert len(said.splitlines()) <= 10
    assert "not used: arg:linear1000_weight, arg:linear1000_bias" in caplog.text


def test_complete_weights_are_read_as_float32(tmp_path: Path) -> None:
    keys = [
        key for stage in build_backbone("resnet38", 8).stages[:1] for m in stage for key in m.state_dict()
    ]
    array = np.random.default_rng(0).standard_normal((64, 3, 3, 3)).astype(np.float16)
    path = written(tmp_path / "w.params", {"arg:conv1a_weight": array}, "v1")
    state = read_state(path)
    assert keys == ["weight"]
    np.testing.assert_array_equal(state["conv1a.weight"].numpy(), array.astype(np.float32))
