"""Result files: nothing half-written, nothing foreign read, the same bytes for the same content."""

from __future__ import annotations

import io
import os
import pickle
import signal
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from wsss.results import (
    AffinityGrid,
    ArtifactError,
    HistoryWriter,
    open_shards,
    pooling_of,
    read_affinities,
    read_cams,
    read_history,
    read_json,
    read_masks,
    replacing,
    write_affinities,
    write_cams,
    write_confident,
    write_json,
    write_manifest,
    write_masks,
)
from wsss.results.checkpoints import load_checkpoint, save_checkpoint
from wsss.study.provenance import ArtifactManifest

AWKWARD_IDS = [
    "a/b",
    ".",
    "..",
    ".hidden",
    "sp ace",
    "100%",
    "a%2Fb",
    "bär",
    "写真",
    "x" * 240,
    "*?:\\",
    "a\nb",
]
HUGE = (2**20, 2**20, 2**20)
GRID = AffinityGrid(radius=5, input_scale=2.0, border="full")


def mask_of(seed: int, shape: tuple[int, int] = (7, 9)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def unit_float16(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float16)


def save_cams(path: Path, ids: Iterable[str]) -> None:
    write_cams(path, ((image_id, unit_float16(len(image_id), 2, 7, 9), [1, 3]) for image_id in ids))


def save_masks(path: Path, ids: Iterable[str]) -> None:
    write_masks(path, ((image_id, mask_of(len(image_id))) for image_id in ids))


def save_affinities(path: Path, ids: Iterable[str]) -> None:
    items = ((image_id, unit_float16(len(image_id), 34, 4, 3)) for image_id in ids)
    write_affinities(path, items, GRID)


KINDS: dict[str, tuple[Callable[[Path, Iterable[str]], None], Callable[[Path], Any]]] = {
    "cams": (save_cams, read_cams),
    "masks": (save_masks, read_masks),
    "affinities": (save_affinities, read_affinities),
}
every_kind = pytest.mark.parametrize(("save", "read"), KINDS.values(), ids=KINDS)


# Written whole or not at all


def test_replacing_keeps_the_old_file_when_the_body_fails(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "result.txt"
    with replacing(path) as temporary:
        temporary.write_text("old")
        assert not path.exists()

    def fail_halfway() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail_halfway()
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["result.txt"]


def test_replacing_takes_the_longest_file_name(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 127)
    with replacing(path) as temporary:
        temporary.write_text("")
    assert path.exists()


@every_kind
def test_a_kill_in_the_middle_leaves_the_old_file_and_a_hidden_one(
    tmp_path: Path, save: Any, read: Any
) -> None:
    def ids() -> Iterator[str]:
        yield from (str(index) for index in range(100))
        os.kill(os.getpid(), signal.SIGKILL)

    path = tmp_path / "00.out"
    path.write_text("old")
    if (child := os.fork()) == 0:
        try:
            save(path, ids())
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert path.read_text() == "old"
    (left,) = set(os.listdir(tmp_path)) - {"00.out"}
    assert left.startswith(".")
    assert left.endswith(".part")


@every_kind
def test_equal_content_gives_equal_bytes(tmp_path: Path, save: Any, read: Any) -> None:
    save(tmp_path / "a", ["one", "two"])
    save(tmp_path / "b", ["one", "two"])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_no_time_of_writing_is_stored(tmp_path: Path) -> None:
    save_masks(tmp_path / "a.h5", ["one"])
    save_cams(tmp_path / "a.npz", ["one"])
    with h5py.File(tmp_path / "a.h5") as file:
        assert h5py.h5g.get_objinfo(file.id, b"one").mtime == 0
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


# What goes in comes out


def test_cams_come_back_and_numpy_reads_them_too(tmp_path: Path) -> None:
    scores = np.array([[[0.0, 1.0]], [[-0.0, 0.25]]], np.float16)
    path = tmp_path / "00.npz"
    write_cams(path, [("one", scores, [2, 7]), ("no label", np.empty((0, 3, 4), np.float16), [])])
    with read_cams(path) as cams:
        assert_array_equal(cams["one"].scores, scores)
        assert cams["one"].scores.flags.writeable
        assert cams["one"].class_values.tolist() == [2, 7]
        assert cams["one"].class_values.dtype == np.int64
        assert cams["no label"].scores.shape == (0, 3, 4)
    with np.load(path, allow_pickle=False) as arrays:
        assert_array_equal(arrays["one/scores"], scores)


def test_masks_and_affinities_come_back(tmp_path: Path) -> None:
    stencil = unit_float16(0, 34, 4, 3)
    write_masks(tmp_path / "m", [("one", mask_of(1))])
    write_affinities(tmp_path / "a", [("one", stencil)], GRID)
    assert_array_equal(read_masks(tmp_path / "m")["one"], mask_of(1))
    assert_array_equal(read_affinities(tmp_path / "a")["one"], stencil)


@pytest.mark.parametrize("grid", [GRID, AffinityGrid(3, 0.7, "cropped")])
def test_affinities_say_on_which_grid_they_are(tmp_path: Path, grid: AffinityGrid) -> None:
    pairs = {5: 34, 3: 12}[grid.radius]
    write_affinities(tmp_path / "a", [("one", unit_float16(0, pairs, 4, 3))], grid)
    with read_affinities(tmp_path / "a") as affinities:
        assert AffinityGrid.of(affinities) == grid
    with open_shards([tmp_path / "a"], read_affinities) as shards:
        assert AffinityGrid.of(shards) == grid


def test_affinities_of_different_grids_are_not_one(tmp_path: Path) -> None:
    write_affinities(tmp_path / "a", [], GRID)
    write_affinities(tmp_path / "b", [], GRID._replace(input_scale=1.0))
    shards = open_shards([tmp_path / "a", tmp_path / "b"], read_affinities)
    with pytest.raises(ArtifactError, match=r"b: .*'input_scale': 1\.0.* but .*a has .*'input_scale': 2\.0"):
        AffinityGrid.of(shards)
    with pytest.raises(ArtifactError, match="'radius' is not recorded"):
        AffinityGrid.of(open_shards([], read_affinities))


@pytest.mark.parametrize("pooling", ["vote", "scores"])
def test_confident_regions_say_how_their_cells_were_labelled(tmp_path: Path, pooling: Any) -> None:
    write_confident(tmp_path / "c", [("one", mask_of(1))], pooling=pooling)
    with read_masks(tmp_path / "c") as labels:
        assert_array_equal(labels["one"], mask_of(1))
        assert pooling_of(labels) == pooling
    with open_shards([tmp_path / "c"], read_masks) as shards:
        assert pooling_of(shards) == pooling


def test_other_masks_are_no_confident_regions(tmp_path: Path) -> None:
    save_masks(tmp_path / "m", ["one"])
    with pytest.raises(ArtifactError, match="pooling None, expected vote or scores"):
        pooling_of(read_masks(tmp_path / "m"))


@every_kind
def test_ids_may_be_awkward_and_come_in_ascending_order(tmp_path: Path, save: Any, read: Any) -> None:
    save(tmp_path / "file", AWKWARD_IDS)
    with read(tmp_path / "file") as images:
        assert list(images) == sorted(AWKWARD_IDS)
        assert len(images) == len(AWKWARD_IDS)
        assert "a/b" in images
        assert "a" not in images
        for image_id in AWKWARD_IDS:
            mask = images[image_id] if read is read_masks else images[image_id][0]
            assert mask.size > 0
        with pytest.raises(KeyError):
            images["b"]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), unique=True))
def test_any_text_is_an_id(ids: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for save, read in (KINDS["cams"], KINDS["masks"]):
            save(Path(folder) / "file", ids)
            assert list(read(Path(folder) / "file")) == sorted(ids)


@every_kind
def test_a_shard_may_be_empty(tmp_path: Path, save: Any, read: Any) -> None:
    save(tmp_path / "file", [])
    assert len(read(tmp_path / "file")) == 0


def test_masks_are_compressed(tmp_path: Path) -> None:
    write_masks(tmp_path / "m", [("plain", np.zeros((3000, 4000), np.uint8))])
    assert (tmp_path / "m").stat().st_size < 100_000
    assert read_masks(tmp_path / "m")["plain"].sum() == 0


# Refused when written


@pytest.mark.parametrize(
    ("scores", "class_values", "message"),
    [
        (np.full((1, 2, 2), np.nan, np.float16), [1], r"not all in \[0, 1\]"),
        (np.full((1, 2, 2), -0.5, np.float16), [1], r"not all in \[0, 1\]"),
        (np.full((1, 2, 2), 1.001, np.float16), [1], r"not all in \[0, 1\]"),
        (np.zeros((1, 2, 2), np.float32), [1], "float32"),
        (np.zeros((2, 2), np.float16), [1, 2], r"\(2, 2\)"),
        (np.zeros((2, 2, 2), np.float16), [1], r"class values \[1\], expected 2 ascending"),
        (np.zeros((2, 2, 2), np.float16), [2, 1], r"class values \[2, 1\]"),
        (np.zeros((2, 2, 2), np.float16), [1, 1], r"class values \[1, 1\]"),
        (np.zeros((1, 2, 2), np.float16), [0], r"class values \[0\]"),
        (np.zeros((1, 2, 2), np.float16), [255], r"class values \[255\], .* in 1…254"),
    ],
)
def test_wrong_cams_are_refused_by_image(
    tmp_path: Path, scores: np.ndarray, class_values: list[int], message: str
) -> None:
    path = tmp_path / "00.npz"
    with pytest.raises(ArtifactError, match=rf"00.npz: image 'one': .*{message}"):
        write_cams(path, [("one", scores, class_values)])
    assert os.listdir(tmp_path) == []


def test_wrong_arrays_are_refused_by_image(tmp_path: Path) -> None:
    path = tmp_path / "00.h5"
    with pytest.raises(ArtifactError, match=r"00.h5: image 'a/b': int64 \(2, 2\), expected uint8"):
        write_masks(path, [("a/b", np.zeros((2, 2), np.int64))])
    with pytest.raises(ArtifactError, match=r"00.h5: image 'one': uint8 \(0, 2\)"):
        write_masks(path, [("one", np.zeros((0, 2), np.uint8))])
    with pytest.raises(ArtifactError, match="image 'one': affinities are not all in"):
        write_affinities(path, [("one", np.full((34, 2, 2), 2, np.float16))], GRID)
    with pytest.raises(ArtifactError, match="image 'one': 33 pairs per cell, expected 34 at a radius of 5"):
        write_affinities(path, [("one", np.zeros((33, 2, 2), np.float16))], GRID)
    assert os.listdir(tmp_path) == []


@every_kind
def test_an_id_twice_and_an_empty_id_are_refused(tmp_path: Path, save: Any, read: Any) -> None:
    with pytest.raises(ArtifactError, match=r"file: image 'a/b' is written twice"):
        save(tmp_path / "file", ["a/b", "c", "a/b"])
    with pytest.raises(ArtifactError, match="may not be empty"):
        save(tmp_path / "file", [""])


# Refused when read


@every_kind
def test_a_truncated_file_is_refused(tmp_path: Path, save: Any, read: Any) -> None:
    path = tmp_path / "file"
    save(path, ["one", "two"])
    whole = path.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match="file: "):
            read(path)


@every_kind
def test_a_foreign_file_is_refused_and_a_missing_one_is_missing(tmp_path: Path, save: Any, read: Any) -> None:
    path = tmp_path / "file"
    for other_save, other_read in KINDS.values():
        if other_read is not read:
            other_save(path, ["one"])
            with pytest.raises(ArtifactError, match="file: "):
                read(path)
    with h5py.File(path, "w") as file:
        file["one"] = mask_of(0)
    with pytest.raises(ArtifactError, match="file: "):
        read(path)
    np.savez(path.open("wb"), one=mask_of(0))
    with pytest.raises(ArtifactError, match="file: "):
        read(path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read(tmp_path / "nowhere")


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def npy(array: np.ndarray) -> bytes:
    data = io.BytesIO()
    np.save(data, array, allow_pickle=True)
    return data.getvalue()


def claiming(shape: tuple[int, ...]) -> bytes:
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(data, {"descr": "<f2", "fortran_order": False, "shape": shape})
    return data.getvalue() + bytes(16)


@pytest.mark.parametrize(
    "member",
    [
        claiming(HUGE),
        claiming((-1, -8, 1)),
        claiming((3, 1, 1)),
        npy(np.zeros((1, 2, 2), np.float64)),
        npy(np.asfortranarray(np.zeros((2, 2, 2), np.float16))),
        npy(np.full((1, 2, 2), np.nan, np.float16)),
        b"no array at all",
    ],
    ids=["huge", "negative", "too long", "float64", "Fortran order", "nan", "no header"],
)
def test_a_cam_file_with_a_wrong_member_is_refused(tmp_path: Path, member: bytes) -> None:
    path = tmp_path / "00.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one/scores.npy", member)
        archive.writestr("one/class_values.npy", npy(np.array([1])))
    with pytest.raises(ArtifactError, match=r"00.npz: "):
        read_cams(path)["one"]


def test_a_cam_file_cannot_run_code_or_unpack_to_more_than_its_size(tmp_path: Path) -> None:
    path, trace = tmp_path / "00.npz", tmp_path / "trace"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one/scores.npy", npy(np.array([[[Bomb(trace)]]])))
        archive.writestr("one/class_values.npy", npy(np.array([1])))
        zeros = npy(np.zeros((1, 300, 300), np.float16))
        archive.writestr("two/scores.npy", zeros, zipfile.ZIP_DEFLATED)
        archive.writestr("two/class_values.npy", npy(np.array([1])))
    cams = read_cams(path)
    for image_id in cams:
        with pytest.raises(
            ArtifactError, match=r"00.npz: one/scores.npy claims|00.npz: two/scores.npy is compressed"
        ):
            cams[image_id]
    assert not trace.exists()


def test_a_changed_byte_in_a_cam_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "00.npz"
    scores = np.full((1, 2, 2), 0.5, np.float16)
    write_cams(path, [("one", scores, [1])])
    path.write_bytes(path.read_bytes().replace(scores.tobytes(), scores.tobytes()[:-1] + b"\x30"))
    with pytest.raises(ArtifactError, match=r"00.npz: .*CRC"):
        read_cams(path)["one"]


def hostile_masks(file: h5py.File, folder: Path) -> None:
    (folder / "secret").write_bytes(bytes(100))
    save_masks(folder / "other.h5", ["one"])
    file.create_dataset("unwritten", shape=HUGE[:2], dtype=np.uint8)
    file.create_dataset("unwritten chunk", (HUGE[0], 1), np.uint8, chunks=(HUGE[0], 1), compression="gzip")
    file.create_dataset("chunks", data=np.zeros((64, 64), np.uint8), chunks=(8, 8))
    file.create_dataset("external", (10, 10), np.uint8, external=[(str(folder / "secret"), 0, 100)])
    layout = h5py.VirtualLayout((7, 9), np.uint8)
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "one", (7, 9))
    file.create_virtual_dataset("virtual", layout)
    file["float"] = np.zeros((2, 2))
    file["one dimension"] = np.zeros(2, np.uint8)
    file.create_group("group")
    file["link"] = h5py.SoftLink("/float")
    file["external link"] = h5py.ExternalLink(str(folder / "other.h5"), "one")


def test_hostile_hdf5_is_refused_before_it_allocates(tmp_path: Path) -> None:
    path = tmp_path / "00.h5"
    save_masks(path, ["good"])
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        hostile_masks(file, tmp_path)
    masks = read_masks(path)
    assert masks["good"].shape == (7, 9)
    assert len(masks) == 11
    for image_id in set(masks) - {"good"}:
        with pytest.raises(ArtifactError, match=f"00.h5: {image_id}"):
            masks[image_id]


def test_older_forms_of_hdf5_are_refused_before_they_are_followed(tmp_path: Path) -> None:
    """Their headers have no checksums, and HDF5 goes round in circles on some that are damaged."""
    path = tmp_path / "00.h5"
    with h5py.File(path, "w", libver="earliest") as file:
        file.attrs["format"] = "wsss masks 1"
        file["one"] = np.zeros((7, 9), np.uint8)
    with pytest.raises(ArtifactError, match=r"00.h5: HDF5 of version 0 .* expected version 3"):
        read_masks(path)


def test_texts_of_variable_length_are_refused(tmp_path: Path) -> None:
    """They lie in a heap without checksums, in which HDF5 goes round in circles if a byte is changed."""
    path = tmp_path / "00.h5"
    save_masks(path, ["one"])
    assert b"GCOL" not in path.read_bytes()
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        file.attrs["format"] = "wsss masks 1"
    with pytest.raises(
        ArtifactError, match=r"00.h5: attribute 'format' .* earlier versions .* Run the study again"
    ):
        read_masks(path)


def test_a_header_without_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "00.h5"
    save_masks(path, ["one"])
    with h5py.File(path, "r+", libver="earliest") as file:
        file["old"] = np.zeros((7, 9), np.uint8)
    masks = read_masks(path)
    assert masks["one"].shape == (7, 9)
    with pytest.raises(ArtifactError, match=r"00.h5: old: there is no header with a checksum at byte \d"):
        masks["old"]


@pytest.mark.parametrize("place", [8, 9, 12, 28, 36, 44])  # version, sizes, flags, end, root header, checksum
def test_a_damaged_head_of_a_file_is_refused(tmp_path: Path, place: int) -> None:
    path = tmp_path / "00.h5"
    save_masks(path, ["one"])
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"00.h5: "):
        read_masks(path)


def test_a_mask_that_is_packed_twice_is_refused(tmp_path: Path) -> None:
    """Each packing may make a thousand bytes of one."""
    path = tmp_path / "00.h5"
    save_masks(path, ["one"])
    packing = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    packing.set_chunk((64, 64))
    packing.set_deflate(9)
    packing.set_deflate(9)
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        space = h5py.h5s.create_simple((64, 64))
        stored = h5py.h5d.create(file.id, b"two", h5py.h5t.STD_U8LE, space, packing)
        stored.write(h5py.h5s.ALL, h5py.h5s.ALL, np.zeros((64, 64), np.uint8))
    with pytest.raises(ArtifactError, match=r"00.h5: two: packed in another way than once with gzip"):
        read_masks(path)["two"]


def test_damaged_compressed_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "00.h5"
    save_masks(path, ["one"])
    with h5py.File(path) as file:
        chunk = file["one"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"00.h5: "):
        read_masks(path)["one"]


# Threads, processes, shards


@every_kind
def test_threads_and_unpickled_copies_read_the_same(tmp_path: Path, save: Any, read: Any) -> None:
    ids = [f"{'x' * (index % 7)}{index}" for index in range(40)]
    save(tmp_path / "file", ids)
    images = read(tmp_path / "file")
    expected = [pickle.dumps(images[image_id]) for image_id in ids]
    fresh = read(tmp_path / "file")
    with ThreadPoolExecutor(8) as pool:
        assert [pickle.dumps(content) for content in pool.map(fresh.__getitem__, ids)] == expected
    copy = pickle.loads(pickle.dumps(images))
    images.close()
    assert [pickle.dumps(copy[image_id]) for image_id in ids] == expected
    assert pickle.dumps(images[ids[0]]) == expected[0]


def test_each_process_opens_the_file_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_cams(tmp_path / "file", ["one"])
    cams = read_cams(tmp_path / "file")
    opened: list[zipfile.ZipFile] = []

    class Counted(zipfile.ZipFile):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            opened.append(self)

    monkeypatch.setattr(zipfile, "ZipFile", Counted)
    cams["one"], cams["one"]
    assert len(opened) == 1
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as after a fork
    cams["one"], cams["one"]
    assert len(opened) == 2


def test_shards_are_one_mapping(tmp_path: Path) -> None:
    save_masks(tmp_path / "00.h5", ["b", "ccc"])
    save_masks(tmp_path / "01.h5", ["a", "dd"])
    with open_shards([tmp_path / "00.h5", tmp_path / "01.h5"], read_masks) as masks:
        assert list(masks) == ["a", "b", "ccc", "dd"]
        assert len(masks) == 4
        assert "ccc" in masks
        assert "e" not in masks
        assert_array_equal(masks["ccc"], mask_of(3))
        assert [shard.path.name for shard in masks.shards] == ["00.h5", "01.h5"]


def test_an_id_in_two_shards_is_refused(tmp_path: Path) -> None:
    save_masks(tmp_path / "00.h5", ["b"])
    save_masks(tmp_path / "01.h5", ["a", "b"])
    with pytest.raises(ArtifactError, match=r"01.h5: image 'b' is also in .*00.h5"):
        open_shards([tmp_path / "00.h5", tmp_path / "01.h5"], read_masks)


# Checkpoints


def test_a_checkpoint_comes_back_and_has_the_same_bytes_again(tmp_path: Path) -> None:
    content: dict[str, Any] = {
        "model": torch.nn.Linear(3, 2).state_dict(),
        "step": 2**100,
        "nested": {0: [1.5, (True, None)], "half": torch.ones(2, dtype=torch.bfloat16)},
    }
    save_checkpoint(tmp_path / "a.pt", content)
    save_checkpoint(tmp_path / "b.pt", content)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    loaded = load_checkpoint(tmp_path / "a.pt")
    assert loaded["step"] == 2**100
    assert loaded["nested"][0] == [1.5, (True, None)]
    torch.testing.assert_close(loaded["model"], dict(content["model"]), rtol=0, atol=0)
    torch.testing.assert_close(loaded["nested"]["half"], content["nested"]["half"])


def test_a_checkpoint_holds_no_more_than_the_tensor(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", {"row": torch.zeros(10_000, 10)[0]})
    assert (tmp_path / "a.pt").stat().st_size < 5_000


def test_a_checkpoint_of_anything_else_is_refused_by_key(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"a.pt: rates\[1\]: is a float64"):
        save_checkpoint(tmp_path / "a.pt", {"rates": [0.1, np.float64(0.1)]})
    with pytest.raises(ArtifactError, match=r"a.pt: where: is a PosixPath"):
        save_checkpoint(tmp_path / "a.pt", {"where": Path()})
    assert os.listdir(tmp_path) == []


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, {"weights": torch.zeros(1000)})
    whole = path.read_bytes()
    for content in (b"", whole[:100], whole[: len(whole) // 2], whole[:-1], b"text", bytes(1000)):
        path.write_bytes(content)
        with pytest.raises(ArtifactError, match=r"a.pt: "):
            load_checkpoint(path)
    torch.save([1], path)
    with pytest.raises(ArtifactError, match=r"a.pt: holds a list"):
        load_checkpoint(path)
    torch.save({"bomb": Bomb(tmp_path / "trace")}, path)
    with pytest.raises(ArtifactError, match=r"a.pt: "):
        load_checkpoint(path)
    assert not (tmp_path / "trace").exists()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_checkpoint(tmp_path / "nowhere")


# Histories, JSON, manifests


def test_a_history_is_on_disk_row_by_row(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "history.tsv"
    with HistoryWriter(path) as history:
        history.append({"step": 10, "loss": 1 / 3})
        assert path.read_text() == "step\tloss\n10\t0.333333333\n"
        history.append({"loss": float("nan"), "step": 20})
        with pytest.raises(
            ArtifactError, match=r"history.tsv: columns \['step'\], expected \['loss', 'step'\]"
        ):
            history.append({"step": 30})
    columns = read_history(path)
    assert list(columns) == ["step", "loss"]
    assert columns["step"].tolist() == [10, 20]
    assert_array_equal(columns["loss"], [0.333333333, np.nan])
    with HistoryWriter(path):
        assert path.read_text() == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"history.tsv: empty or cut short in line 1"),
        ("step\tloss\n1\t0.2", r"history.tsv: empty or cut short in line 2"),
        ("step\tloss\n1\n", r"history.tsv:2: 1 columns, expected 2"),
        ("step\tloss\n1\t2\nx\t2\n", r"history.tsv:3: .*'x'"),
    ],
)
def test_a_damaged_history_is_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "history.tsv"
    path.write_text(text)
    with pytest.raises(ArtifactError, match=message):
        read_history(path)


def test_json_is_sorted_and_plain(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(
        path, {"iou": np.array([0.5, np.nan]), "classes": ("bär",), "Count": np.int64(3), "mean": np.nan}
    )
    lines = ["{", '  "Count": 3,', '  "classes": [', '    "bär"', "  ],"]
    lines += ['  "iou": [', "    0.5,", "    null", "  ],", '  "mean": null', "}", ""]
    assert path.read_text(encoding="utf-8") == "\n".join(lines)
    assert read_json(path) == {"Count": 3, "classes": ["bär"], "iou": [0.5, None], "mean": None}


def test_what_json_does_not_know_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(ArtifactError, match=r"a.json: cannot be written"):
        write_json(path, {"infinite": np.inf})
    with pytest.raises(ArtifactError, match=r"a.json: cannot be written.*PosixPath"):
        write_json(path, {"path": Path()})
    assert not path.exists()
    path.write_bytes(b'{"a": \xff')
    with pytest.raises(ArtifactError, match=r"a.json: "):
        read_json(path)


def test_a_manifest_lies_beside_its_artifact(tmp_path: Path) -> None:
    manifest = ArtifactManifest(
        artifact="cams/00.npz",
        rule="compute_cams",
        config={"scales": [1.0]},
        code={"wsss.method.cam": "ab"},
        inputs={"dataset/00.tsv": "cd"},
        seed=None,
        versions={"numpy": "2"},
        device="cpu",
        seconds=1.5,
        peak_memory_mb=10.0,
        created="2020-01-01T00:00:00+00:00",
    )
    write_manifest(tmp_path / "00.npz", manifest)
    assert ArtifactManifest.from_json(read_json(tmp_path / "00.npz.json")) == manifest
