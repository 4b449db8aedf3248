"""Caffe's .caffemodel files: by protobuf's own encoder and by hand, old and new forms, and hostile ones."""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wsss.models.backbones import build_backbone
from wsss.models.classifier import build_classifier
from wsss.models.initial_weights import resolve_weights
from wsss.models.weights.caffe import read_caffemodel, vgg16_state
from wsss.study import config


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def chunk(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def blob(array: np.ndarray, *, old: bool = False) -> bytes:
    """A BlobProto; the old form has four sizes of their own."""
    if old:
        sizes = (1,) * (4 - array.ndim) + array.shape
        shape = b"".join(number(field, size) for field, size in enumerate(sizes, start=1))
    else:
        shape = chunk(7, chunk(1, b"".join(map(varint, array.shape))))
    return shape + chunk(8 if array.dtype == np.float64 else 5, array.tobytes())


def layer(name: str, *blobs: bytes, old: bool = False) -> bytes:
    net_field, name_field, blobs_field = (2, 4, 6) if old else (100, 1, 7)
    content = chunk(name_field, name.encode()) + b"".join(chunk(blobs_field, item) for item in blobs)
    return chunk(net_field, content)


def random(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def read(path: Path, content: bytes) -> dict[str, list[np.ndarray]]:
    path.write_bytes(content)
    return read_caffemodel(path)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_and_blobs_come_back(tmp_path: Path, old: bool, dtype: str) -> None:
    weight, bias = random(4, 3, 2, 5, dtype=dtype), random(4, dtype=dtype)
    content = layer("data", old=old) + layer("conv1_1", blob(weight, old=old), blob(bias, old=old), old=old)
    found = read(tmp_path / "a.caffemodel", content)
    assert list(found) == ["conv1_1"]
    np.testing.assert_array_equal(found["conv1_1"][0], weight)
    np.testing.assert_array_equal(found["conv1_1"][1], bias.reshape(1, 1, 1, 4) if old else bias)
    assert found["conv1_1"][0].dtype == dtype


def test_unpacked_data_and_sizes_are_read(tmp_path: Path) -> None:
    values = random(6)
    data = b"".join(varint(5 << 3 | 5) + struct.pack("<f", value) for value in values)
    content = layer("a", chunk(7, number(1, 2) + number(1, 3)) + data)
    np.testing.assert_array_equal(read(tmp_path / "a.caffemodel", content)["a"][0], values.reshape(2, 3))


def test_data_in_several_pieces_are_joined(tmp_path: Path) -> None:
    values = random(6)
    content = layer(
        "a", chunk(7, chunk(1, bytes([6]))) + b"".join(chunk(5, v.tobytes()) for v in values.reshape(3, 2))
    )
    np.testing.assert_array_equal(read(tmp_path / "a.caffemodel", content)["a"][0], values)


def test_other_fields_are_passed_over(tmp_path: Path) -> None:
    extra = (
        number(9, 300) + chunk(15, b"text") + varint(20 << 3 | 1) + bytes(8) + varint(21 << 3 | 5) + bytes(4)
    )
    content = extra + chunk(
        100, extra + chunk(1, b"a") + extra + chunk(7, extra.replace(b"\x48", b"\x50") + blob(random(2)))
    )
    assert list(read(tmp_path / "a.caffemodel", content)) == ["a"]


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole = layer("conv1_1", blob(random(2, 3)), blob(random(2)))
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"cut\.caffemodel"):
            read(tmp_path / "cut.caffemodel", whole[:length])


SHAPE_2 = chunk(7, chunk(1, bytes([2])))
HOSTILE = {
    "empty": (b"", "the file is empty"),
    "text": (b"name: 'VGG'", "wire type"),
    "no layer": (chunk(1, b"net"), "no layer with blobs"),
    "no weights": (layer("a"), "no layer with blobs"),
    "chunk beyond the end": (varint(100 << 3 | 2) + varint(2**40), f"field 100 needs {2**40} bytes, only 0"),
    "endless number": (b"\xff" * 20, "a number of more than 10 bytes"),
    "field zero": (b"\x00\x00", "field number 0"),
    "group": (varint(100 << 3 | 3), "field 100: wire type 3"),
    "layer as a number": (number(100, 5), "field 100: a number, expected bytes"),
    "name not UTF-8": (chunk(100, chunk(1, b"\xff")), "not UTF-8"),
    "blob without shape": (layer("a", chunk(5, bytes(8))), r"shape \(0, 0, 0, 0\)"),
    "blob without data": (layer("a", SHAPE_2), "needs 8 bytes of data, found 0"),
    "too little data": (layer("a", SHAPE_2 + chunk(5, bytes(4))), "needs 8 bytes of data, found 4"),
    "too much data": (layer("a", SHAPE_2 + chunk(5, bytes(12))), "needs 8 bytes of data, found 12"),
    "huge shape": (
        layer("a", chunk(7, chunk(1, varint(2**40) * 2)) + chunk(5, bytes(8))),
        f"needs {2**82} bytes",
    ),
    "many dimensions": (layer("a", chunk(7, chunk(1, b"\x01" * 1000))), "more than 32 dimensions"),
    "one layer twice": (layer("a", blob(random(2))) * 2, "a second layer 'a'"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_with_what_and_where(tmp_path: Path, case: str) -> None:
    content, message = HOSTILE[case]
    with pytest.raises(ValueError, match=rf"hostile\.caffemodel.*{message}"):
        read(tmp_path / "hostile.caffemodel", content)


def vgg16_weights() -> dict[str, torch.Tensor]:
    """Every key of the network; constant weights, for they are written and compared only."""
    with torch.device("meta"):
        expected = build_backbone("vgg16", 8).state_dict()
    return {key: torch.full(value.shape, float(n)) for n, (key, value) in enumerate(expected.items())}


@pytest.mark.parametrize("old", [False, True])
def test_a_whole_vgg16_is_found_by_its_suffix(
    tmp_path: Path, old: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    weights = vgg16_weights()
    path = tmp_path / "vgg16_20M.caffemodel"
    with path.open("wb") as file:
        for name in dict.fromkeys(key.rpartition(".")[0] for key in weights):
            blobs = (blob(weights[f"{name}.{kind}"].numpy(), old=old) for kind in ("weight", "bias"))
            file.write(layer(name, *blobs, old=old))
        file.write(layer("fc8", blob(random(1, 1024, 1, 1), old=old), blob(random(1), old=old), old=old))
    found = resolve_weights(str(path), "vgg16")
    assert found is not None
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[key], weights[key]) for key in weights)
    assert "not used: fc8" in caplog.text


def test_missing_and_misshapen_layers_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "w.caffemodel"
    path.write_bytes(layer("conv1_1", blob(random(64, 3, 5, 5)), blob(random(64))))
    with pytest.raises(ValueError, match="does not fit vgg16") as caught:
        resolve_weights(str(path), "vgg16")
    assert "conv1_1.weight: got (64, 3, 5, 5), expected (64, 3, 3, 3)" in str(caught.value)
    assert "missing conv1_2.weight (64, 64, 3, 3)" in str(caught.value)
    assert "… and 26 more missing" in str(caught.value)
    assert "conv1_1.bias" not in str(caught.value)


def test_only_layers_of_the_network_are_named() -> None:
    pair = [random(2, 2), random(2)]
    state, unused = vgg16_state(
        {"conv5_3": pair, "fc6": pair, "fc8": pair, "conv6_1": pair, "conv1_1": pair[:1]}
    )
    assert set(state) == {"conv5_3.weight", "conv5_3.bias", "fc6.weight", "fc6.bias"}
    assert unused == ["fc8", "conv6_1", "conv1_1"]


def caffe_messages() -> Any:
    """NetParameter as protobuf builds it from the parts of Caffe's schema that matter here."""
    protobuf = pytest.importorskip("google.protobuf", reason="protobuf is a development dependency")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    schema = {
        "BlobShape": [("dim", 1, kinds.TYPE_INT64, True)],
        "BlobProto": [
            *(
                (name, n, kinds.TYPE_INT32, False)
                for n, name in enumerate(("num", "channels", "height", "width"), 1)
            ),
            ("data", 5, kinds.TYPE_FLOAT, True),
            ("diff", 6, kinds.TYPE_FLOAT, True),
            ("shape", 7, "BlobShape", False),
            ("double_data", 8, kinds.TYPE_DOUBLE, True),
        ],
        "V1LayerParameter": [("name", 4, kinds.TYPE_STRING, False), ("blobs", 6, "BlobProto", True)],
        "LayerParameter": [
            ("name", 1, kinds.TYPE_STRING, False),
            ("type", 2, kinds.TYPE_STRING, False),
            ("blobs", 7, "BlobProto", True),
        ],
        "NetParameter": [
            ("name", 1, kinds.TYPE_STRING, False),
            ("layers", 2, "V1LayerParameter", True),
            ("layer", 100, "LayerParameter", True),
        ],
    }
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for message, fields in schema.items():
        described = file.message_type.add(name=message)
        for name, n, kind, repeated in fields:
            field = described.field.add(name=name, number=n)
            field.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if isinstance(kind, str):
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".caffe.{kind}"
            else:
                field.type = kind
                field.options.packed = repeated and kind != kinds.TYPE_STRING
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    assert protobuf
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


def test_files_of_protobufs_own_encoder_are_read(tmp_path: Path) -> None:
    net = caffe_messages()(name="VGG")
    weight, bias, doubles = random(4, 3, 3, 3), random(4), random(2, 300, dtype="float64")
    new = net.layer.add(name="conv1_1", type="Convolution")
    for array in (weight, bias):
        new_blob = new.blobs.add(data=array.ravel().tolist(), diff=[0.0] * 5)
        new_blob.shape.dim.extend(array.shape)
    net.layer.add(name="relu1_1", type="ReLU")
    net.layer.add(name="fc").blobs.add(double_data=doubles.ravel().tolist()).shape.dim.extend(doubles.shape)
    net.layers.add(name="conv1_2").blobs.add(
        num=4, channels=3, height=3, width=3, data=weight.ravel().tolist()
    )
    found = read(tmp_path / "a.caffemodel", net.SerializeToString())
    assert {name: [blob.shape for blob in blobs] for name, blobs in found.items()} == {
        "conv1_1": [(4, 3, 3, 3), (4,)],
        "fc": [(2, 300)],
        "conv1_2": [(4, 3, 3, 3)],
    }
    for name, expected in (("conv1_1", weight), ("fc", doubles), ("conv1_2", weight)):
        np.testing.assert_array_equal(found[name][0], expected)
    np.testing.assert_array_equal(found["conv1_1"][1], bias)


def test_classifier_starts_from_a_caffemodels_weights() -> None:
    weights = vgg16_weights()
    network = build_classifier(config.Classifier(backbone="vgg16"), 2, weights)
    assert torch.equal(network.state_dict()["fc6.bias"], weights["fc6.bias"])
