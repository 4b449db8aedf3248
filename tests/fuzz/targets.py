"""What is fuzzed: each reader of files that people or other programs hand over, with valid files for it."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save as safetensors
from scipy.io import savemat

from tests.fuzz.runner import Target
from wsss.data import ImageRow, Manifest, read_image
from wsss.data.class_names import read_classes
from wsss.data.coco_annotations import read_annotations
from wsss.data.coco_masks import semantic_mask
from wsss.data.exchange.cvat import read_cvat, write_cvat
from wsss.data.exchange.labelme import read_labelme, write_labelme
from wsss.data.images import palette_image, read_colours, write_mask
from wsss.data.labels.table import read_table
from wsss.data.layouts.label_studio import read_label_studio
from wsss.data.layouts.labelme import read_labelme as read_labelme_labels
from wsss.data.layouts.voc import read_voc
from wsss.data.masks import MaskReader, facts_of, read_palette
from wsss.data.names import named_images
from wsss.data.problems import Problems
from wsss.data.sbd_masks import read_sbd_mask
from wsss.method.affinity import half_plane_offsets
from wsss.models.bundles import restore_bundle
from wsss.models.checkpoints import Restored, save_network
from wsss.models.classifier import build_classifier, restore_classifier
from wsss.models.weights.reading import read_state
from wsss.results import (
    AffinityGrid,
    read_affinities,
    read_cams,
    read_history,
    read_json,
    read_masks,
    write_affinities,
    write_cams,
    write_masks,
)
from wsss.results.bundles import FACTS, WEIGHTS
from wsss.results.confusions import ImageConfusion, read_confusions, write_confusions
from wsss.stages.affinities.boundary import read_boundary
from wsss.stages.bundle.writing import write_bundle
from wsss.stages.cams.files import read_cam_files
from wsss.stages.exchange import class_list, listed_masks
from wsss.stages.masks import list_masks
from wsss.stages.voc_submission import problems_of
from wsss.study.bundle import Provenance
from wsss.study.config import Classifier, load_study, read_study
from wsss.study.params import BundleClassifier
from wsss.study.provenance import file_digest

HEIGHT, WIDTH = 24, 32
CLASSES = ("cat", "dog")
ROW = ImageRow("a", Path("a.jpg"), None, "train", False, (0, 1), HEIGHT, WIDTH, "0" * 32)
RNG = partial(np.random.default_rng, 0)

Seeds = Callable[[Path], Sequence[bytes]]


def photograph() -> Image.Image:
    """Return an image with smooth parts."""
    coarse = Image.fromarray(RNG().integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def mask() -> np.ndarray:
    """Return a mask (H, W) uint8 with both classes and void."""
    values: np.ndarray = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[4:12, 3:20], values[12:20, 8:30], values[0] = 1, 2, 255
    return values


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """Encode an image."""
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def images(_: Path) -> list[bytes]:
    """Return photographs in all formats that are read."""
    image = photograph()
    deep = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 16)
    kinds = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM", "TGA", "JPEG2000")
    turned = Image.Exif()
    turned[0x0112] = 6
    return [
        *(saved(image, kind) for kind in kinds),
        saved(image, "JPEG", exif=turned, progressive=True),
        saved(image.convert("RGBA"), "PNG"),
        saved(image.convert("P"), "PNG"),
        saved(deep, "PNG"),
        *(saved(image, "TIFF", compression=kind) for kind in (None, "tiff_lzw", "tiff_deflate", "jpeg")),
        saved(deep, "TIFF"),
    ]


def masks(_: Path) -> list[bytes]:
    """Return masks in all formats that keep values."""
    values = mask()
    palette, grey = palette_image(values), Image.fromarray(values)
    return [
        saved(palette, "PNG"),
        saved(grey, "PNG"),
        saved(Image.fromarray(np.minimum(values, 1) > 0), "PNG"),
        saved(grey.convert("RGB"), "PNG"),
        saved(palette, "GIF"),
        saved(grey, "BMP"),
        saved(grey, "TIFF", compression="tiff_lzw"),
        saved(Image.fromarray(values.astype(np.float32)), "TIFF"),
    ]


def read_any_mask(path: Path) -> None:
    """Read a mask's values, colours and palette."""
    facts_of(path, MaskReader().read(path))
    read_colours(path)


def grey_png(_: Path) -> list[bytes]:
    """Return grey maps."""
    grey = np.asarray(photograph().convert("L"))
    return [
        saved(Image.fromarray(grey), "PNG"),
        saved(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"),
        saved(Image.fromarray(grey).convert("RGB"), "PNG"),
    ]


# Labels


def with_images(folder: Path) -> None:
    """Put images beside the file with their labels."""
    for name in ("a.jpg", "b c.jpg", "d.png"):
        photograph().save(folder / name)


def table(folder: Path) -> list[bytes]:
    """Return tables of labels in several forms."""
    with_images(folder)
    return [
        b"image,labels\na.jpg,cat\nb c.jpg,cat dog\nd,\n",
        b"sep=;\nfile;label\na;cat|dog\nb c;dog\nd;background\n",
        b"image,cat,dog,split\na.jpg,1,0,train\nb c.jpg,0,1,val\nd.png,1,1,train\n",
        'id\tlabels\na\t["cat"]\n"b c"\t"dog, cat"\nd\tcat\n'.encode("utf-16"),
    ]


def read_labels_table(path: Path) -> None:
    """Read a table as a folder data set does."""
    problems = Problems()
    _, names = named_images(path.parent, problems)
    read_table(path, names, CLASSES, problems)
    read_table(path, names, (), problems)
    problems.raise_any(str(path))


def word_list(_: Path) -> list[bytes]:
    """Return lists of classes."""
    return ["cat\npolar bear\nÜbung\n".encode(), b"\xef\xbb\xbf1: cat\r\n2: dog\r\n"]


def read_word_list(path: Path) -> None:
    """Read a list of classes."""
    problems = Problems()
    read_classes(path, problems)
    problems.raise_any(str(path))
    class_list(path)


def palette(_: Path) -> list[bytes]:
    """Return files of colours."""
    return [
        b"# name:r,g,b\nbackground:0,0,0::\ncat:128,0,0::\ndog:0,128,0::\n",
        b"#800000 cat\n#008000 dog\n",
    ]


def read_any_palette(path: Path) -> None:
    """Read a file of colours."""
    problems = Problems()
    read_palette(path, CLASSES, problems)
    problems.raise_any(str(path))


def coco(folder: Path) -> list[bytes]:
    """Return COCO's annotations, with polygons and run lengths, packed and not."""
    polygons = [[[2.0, 3.0, 20.5, 3.0, 20.5, 15.0, 2.0, 15.0]]] if find_spec("pycocotools") else []
    outlines: list[Any] = [
        *polygons,
        {"size": [HEIGHT, WIDTH], "counts": list(RUNS)},
        {"size": [HEIGHT, WIDTH], "counts": packed(RUNS)},
        None,
    ]
    content = {
        "images": [
            {"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH}
            for number, name in enumerate(("a.jpg", "b c.jpg", "d.png"))
        ],
        "categories": [
            {"id": 3, "name": "cat", "supercategory": "animal"},
            {"id": 18, "name": "dog", "supercategory": "animal"},
        ],
        "annotations": [
            {
                "id": n,
                "image_id": n % 3,
                "category_id": (3, 18)[n % 2],
                "iscrowd": n % 2,
                "segmentation": outline,
            }
            for n, outline in enumerate(outlines)
        ],
    }
    return [json.dumps(content).encode(), json.dumps(content, indent=1).encode()]


RUNS = (100, 200, 300, HEIGHT * WIDTH - 600)


def packed(runs: Sequence[int]) -> str:
    """Pack run lengths into COCO's text."""
    text = ""
    for index, run in enumerate(runs):
        value, more = run - (runs[index - 2] if index > 2 else 0), True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr((bits | 32 * more) + 48)
    return text


def read_coco(path: Path) -> None:
    """Read annotations and draw their masks."""
    problems = Problems()
    found = read_annotations(path, problems)
    problems.raise_any(str(path))
    for image in found.images.values():
        outlined = [instance for instance in image.instances if instance.segmentation is not None]
        semantic_mask(outlined, HEIGHT, WIDTH)


def voc_xml(folder: Path) -> list[bytes]:
    """Return VOC's annotations."""
    with_images(folder)
    return [
        b"<annotation><filename>a.jpg</filename><size><width>32</width></size><object><name>cat</name>"
        b"<difficult>0</difficult><bndbox><xmin>1</xmin></bndbox></object></annotation>",
        b'<?xml version="1.0" encoding="utf-8"?>\n<annotation>\n\t<object>\n\t\t<name>dog</name>\n'
        b"\t\t<difficult>1</difficult>\n\t</object>\n</annotation>\n",
    ]


def read_voc_xml(path: Path) -> None:
    """Read annotations as the layout `voc` does."""
    problems = Problems()
    read_voc(path.parent, path.parent, (), problems).problems.raise_any(str(path))


def label_studio(folder: Path) -> list[bytes]:
    """Return exports of Label Studio, whole and short."""
    with_images(folder)
    choice = {"from_name": "l", "type": "choices", "value": {"choices": ["cat"]}}
    tasks = [
        {"id": 1, "data": {"image": "/data/upload/1/1f2e3d4c-a.jpg"}, "annotations": [{"result": [choice]}]},
        {"id": 2, "data": {"image": "d.png"}, "annotations": [{"result": [], "was_cancelled": True}]},
    ]
    short = [{"id": 1, "image": "a.jpg", "choice": "cat", "annotator": 1, "annotation_id": 3}]
    return [json.dumps(tasks).encode(), json.dumps(short).encode()]


def read_any_label_studio(path: Path) -> None:
    """Read an export as the layout does."""
    read_label_studio(path.parent, path, (), Problems()).problems.raise_any(str(path))


def labelme(folder: Path) -> list[bytes]:
    """Return labelme's files, with outlines and with painted shapes."""
    with_images(folder)
    path = folder / "written.json"
    write_labelme(path, mask(), folder / "a.jpg", CLASSES)
    content = json.loads(path.read_text("utf-8"))
    path.unlink()
    content["shapes"] += [
        {"label": "dog", "points": [[3, 3], [9, 9]], "shape_type": "rectangle"},
        {"label": "cat", "points": [[9, 9], [12, 12]], "shape_type": "circle"},
    ]
    return [json.dumps(content).encode()]


def read_any_labelme(path: Path) -> None:
    """Read the mask, and the labels, of a file."""
    read_labelme(path, (HEIGHT, WIDTH), CLASSES)
    read_labelme_labels(path.parent, path.parent, (), Problems()).problems.raise_any(str(path))


def cvat(folder: Path) -> list[bytes]:
    """Return files of CVAT's, with polygons, a box and a mask."""
    path = folder / "written.xml"
    write_cvat(path, [("a.jpg", mask())], CLASSES)
    content = path.read_bytes()
    path.unlink()
    shapes = (
        b'<box label="dog" xtl="1" ytl="2" xbr="9" ybr="12" rotation="30" z_order="1"/>'
        b'<mask label="cat" rle="5,10,5" left="2" top="3" width="5" height="4" z_order="2"/></image>'
    )
    return [content, content.replace(b"</image>", shapes)]


def read_any_cvat(path: Path) -> None:
    """Read all masks."""
    for _, found in read_cvat(path, {"a": (HEIGHT, WIDTH)}, CLASSES):
        if isinstance(found, Exception):
            raise found


def sbd(_: Path) -> list[bytes]:
    """Return MATLAB files like SBD's."""
    found = []
    for compressed in (False, True):
        stream = io.BytesIO()
        savemat(stream, {"GTcls": {"Segmentation": mask() % 255}}, do_compression=compressed)
        found.append(stream.getvalue())
    return found


# Files of other systems


def npy(array: Any) -> bytes:
    """Encode an array, or what numpy pickles into one."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def maps(*shape: int) -> np.ndarray:
    """Return floats in [0, 1]."""
    return RNG().random(shape, np.float32)


def npz(_: Path) -> list[bytes]:
    """Return stacks of maps, stored and compressed."""
    found = []
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, scores=maps(2, HEIGHT, WIDTH), classes=np.array([0, 1]))
        found.append(stream.getvalue())
    return found


def pickled(_: Path) -> list[bytes]:
    """Return dictionaries as IRN and PuzzleCAM pickle them, arrays and tensors."""
    full, small = maps(2, HEIGHT, WIDTH), maps(2, HEIGHT // 4, WIDTH // 4)
    contents: list[dict[str, Any]] = [
        {"keys": np.array([0, 1]), "cam": small, "high_res": full},
        {"keys": torch.tensor([0, 1]), "cam": torch.from_numpy(small), "high_res": full},
    ]
    return [*map(npy, contents)]


def pickled_by_class(_: Path) -> list[bytes]:
    """Return dictionaries as PSA pickles them."""
    return [npy({0: maps(HEIGHT, WIDTH), 1: maps(HEIGHT, WIDTH)})]


def boundary_array(_: Path) -> list[bytes]:
    """Return a boundary map."""
    return [npy(maps(HEIGHT, WIDTH))]


def cam_reader(format_name: str) -> Callable[[Path], object]:
    """Return the reader of a format of CAMs."""
    return partial(_read_cams, format_name=format_name)


def _read_cams(path: Path, format_name: str) -> object:
    paths = [path, path] if format_name == "png" else [path]
    return read_cam_files(paths, ROW, format_name, len(CLASSES))


def read_boundary_map(path: Path) -> object:
    """Read a boundary map."""
    return read_boundary(path, (HEIGHT, WIDTH))


# Results


def written(folder: Path, name: str, write: Callable[[Path], object]) -> bytes:
    """Return what a function writes to a file."""
    path = folder / name
    write(path)
    content = path.read_bytes()
    path.unlink()
    return content


def read_all(reader: Callable[[Path], Any]) -> Callable[[Path], object]:
    """Return a reader of every image in a file."""
    return partial(_read_all, reader=reader)


def _read_all(path: Path, reader: Callable[[Path], Any]) -> object:
    with reader(path) as content:
        return [content[image_id] for image_id in content]


def cam_stacks(folder: Path) -> list[bytes]:
    """Return CAMs of ours."""
    items = [(name, maps(2, HEIGHT, WIDTH).astype(np.float16), [1, 2]) for name in ("a", "b/c")]
    return [written(folder, "w.npz", lambda path: write_cams(path, items))]


def hdf5_masks(folder: Path) -> list[bytes]:
    """Return masks of ours, of few and of many images."""
    items = [[(str(number), mask()) for number in range(count)] for count in (2, 30)]
    return [written(folder, "w.h5", partial(write_masks, items=chosen)) for chosen in items]


def hdf5_affinities(folder: Path) -> list[bytes]:
    """Return affinities of ours."""
    pairs = len(half_plane_offsets(3))
    items = [(name, maps(pairs, 3, 4).astype(np.float16)) for name in ("a", "b")]
    return [written(folder, "w.h5", lambda path: write_affinities(path, items, AffinityGrid(3, 1.0, "full")))]


def manifest(folder: Path) -> list[bytes]:
    """Return tables of a data set."""
    rows = (ROW, ImageRow("b", Path("b.png"), Path("m.png"), "val", True, (), 8, 9, "f" * 32))
    return [written(folder, "w.tsv", Manifest(CLASSES, rows).write)]


def index(folder: Path) -> list[bytes]:
    """Return the list beside exported masks."""
    write_mask(folder / "a.png", mask())
    list_masks(folder, {"a": Path("a.jpg")}, CLASSES)
    return [(folder / "index.tsv").read_bytes()]


def read_index(path: Path) -> None:
    """Read the list as the export does."""
    listed_masks(path.parent, None, len(CLASSES))


def history(_: Path) -> list[bytes]:
    """Return histories."""
    return [b"step\tloss\n1\t0.5\n2\t0.25\n3\tnan\n"]


def confusions(folder: Path) -> list[bytes]:
    """Return confusions of images."""
    items = [ImageConfusion("a", "val", np.array([[0, 0, 5], [1, 255, 3]]))]
    return [written(folder, "w.tsv", lambda path: write_confusions(path, items))]


def scores(_: Path) -> list[bytes]:
    """Return metrics."""
    return [b'{\n  "miou": 0.5,\n  "iou": {"cat": null, "d\\u00e9": 1e-3}\n}\n']


# Networks


def tensors() -> dict[str, torch.Tensor]:
    """Return a state dict."""
    torch.manual_seed(0)
    return {"a.weight": torch.randn(3, 4), "a.bias": torch.randn(3), "n": torch.tensor(7)}


def pth(_: Path) -> list[bytes]:
    """Return state dicts in torch's formats, old and new, bare and in a checkpoint."""
    found = []
    for content in (tensors(), {"state_dict": tensors(), "epoch": 3, "args": None}):
        for zipped in (True, False):
            stream = io.BytesIO()
            torch.save(content, stream, _use_new_zipfile_serialization=zipped)
            found.append(stream.getvalue())
    return found


def safetensors_file(_: Path) -> list[bytes]:
    """Return a file of safetensors."""
    return [safetensors(tensors())]


def params(_: Path) -> list[bytes]:
    """Return MXNet's arrays in the three layouts."""
    return [mxnet(opening, sizes) for opening, sizes in OPENINGS.items()]


OPENINGS = {b"": "I", struct.pack("<I", 0xF993FAC8): "q", struct.pack("<Ii", 0xF993FAC9, 0): "q"}
"""What an array begins with in MXNet's layouts, and how its sizes are packed."""


def mxnet(opening: bytes, sizes: str) -> bytes:
    """Encode two arrays as MXNet does."""
    arrays = {"arg:conv1a_weight": maps(2, 3), "aux:bn7_moving_mean": maps(4)}
    packed = [
        opening
        + struct.pack(f"<I{array.ndim}{sizes}iii", array.ndim, *array.shape, 1, 0, 0)
        + array.tobytes()
        for array in arrays.values()
    ]
    names = [struct.pack("<Q", len(name)) + name.encode() for name in arrays]
    head, count = struct.pack("<QQQ", 0x112, 0, len(packed)), struct.pack("<Q", len(names))
    return b"".join([head, *packed, count, *names])


def caffemodel(_: Path) -> list[bytes]:
    """Return layers of VGG16 as Caffe writes them, with new and old shapes."""

    def chunk(field: int, content: bytes) -> bytes:
        return varint(field << 3 | 2) + varint(len(content)) + content

    weight, bias = maps(2, 3).tobytes(), maps(2).tobytes()
    new = [chunk(7, chunk(1, bytes([2, 3]))) + chunk(5, weight), chunk(7, chunk(1, b"\2")) + chunk(5, bias)]
    old = [b"\x08\1\x10\1\x18\2\x20\3" + chunk(5, weight), b"\x08\1\x10\1\x18\1\x20\2" + chunk(5, bias)]
    return [
        chunk(100, chunk(1, b"conv1_1") + b"".join(chunk(7, blob) for blob in new)),
        chunk(2, chunk(4, b"fc6") + b"".join(chunk(6, blob) for blob in old)),
    ]


def varint(value: int) -> bytes:
    """Encode a number as protobuf does."""
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


def checkpoint(folder: Path) -> list[bytes]:
    """Return a checkpoint of ours."""
    section = Classifier(backbone="small", weights="none")
    torch.manual_seed(0)
    network = build_classifier(section, len(CLASSES))
    return [written(folder, "w.pth", lambda path: save_network(path, network, section, CLASSES))]


def bundle_file(name: str) -> Seeds:
    """Return what writes a bundle, and gives one of its files; the other stays whole."""
    return partial(_bundle_file, name)


def _bundle_file(name: str, folder: Path) -> list[bytes]:
    section = Classifier(backbone="small", weights="none")
    torch.manual_seed(0)
    trained = Restored(build_classifier(section, len(CLASSES)).eval(), section, CLASSES)
    provenance = Provenance(
        study="tiny", wsss="0", code="c", inputs={}, seed=0, versions={}, training_images=2,
        training_images_of_class={"cat": 1},
    )  # fmt: skip
    write_bundle(folder, trained, BundleClassifier.of(load_study({"name": "tiny"})), provenance, {})
    return [(folder / name).read_bytes()]


def read_facts(path: Path) -> object:
    """Read a bundle."""
    return restore_bundle(path.parent)


def read_weights_of_bundle(path: Path) -> object:
    """Read a bundle whose description agrees with the damaged weights."""
    facts = json.loads((path.parent / FACTS).read_text("utf-8"))
    facts["weights_digest"] = file_digest(path)
    (path.parent / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    return restore_bundle(path.parent)


# Configuration and archives


def study(_: Path) -> list[bytes]:
    """Return studies."""
    return [
        b"name: mine\nrecipe: cpu\ndataset:\n  kind: folder\n  root: photos\nrandom_walk:\n  beta: 8\n",
        b"name: m2\nclassifier: {epochs: 3, optimizer: {kind: adamw, learning_rate: 0.001}}\n"
        b"cams:\n  scales: [1.0, 0.5]\nshards: {train: 3, val: auto}\nrounds: {count: 2}\n",
    ]


def submission(_: Path) -> list[bytes]:
    """Return archives for VOC's server."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        content = saved(palette_image(np.minimum(mask(), 2)), "PNG")
        for name in ("a", "b"):
            member = tarfile.TarInfo(f"results/VOC2012/Segmentation/comp5_test_cls/{name}.png")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return [gzip.compress(stream.getvalue(), 1, mtime=0), gzip.compress(stream.getvalue(), 0, mtime=0)]


def read_submission(path: Path) -> None:
    """Check an archive, whose problems name the member or the archive."""
    if found := problems_of(path, {"a": (HEIGHT, WIDTH), "b": (HEIGHT, WIDTH)}):
        raise ValueError(f"{path}: {found}")


TARGETS = {
    target.name: target
    for target in (
        Target("photographs", "photograph.jpg", read_image, images),
        Target("masks", "mask.png", read_any_mask, masks),
        Target("labels table", "labels.csv", read_labels_table, table),
        Target("class list", "classes.txt", read_word_list, word_list),
        Target("palette", "colours.txt", read_any_palette, palette),
        Target("COCO", "instances.json", read_coco, coco),
        Target("VOC XML", "a.xml", read_voc_xml, voc_xml),
        Target("Label Studio", "tasks.json", read_any_label_studio, label_studio),
        Target("labelme", "a.json", read_any_labelme, labelme),
        Target("CVAT", "annotations.xml", read_any_cvat, cvat),
        Target("SBD", "a.mat", read_sbd_mask, sbd),
        Target("CAMs, npz", "a.npz", cam_reader("stacks"), npz),
        Target("CAMs, IRN", "a.npy", cam_reader("irn"), pickled),
        Target("CAMs, PSA", "a.npy", cam_reader("psa"), pickled_by_class),
        Target("CAMs, PNG", "a_cat.png", cam_reader("png"), grey_png),
        Target("boundary, npy", "a.npy", read_boundary_map, boundary_array),
        Target("boundary, PNG", "a.png", read_boundary_map, grey_png),
        Target("CAM stacks", "00.npz", read_all(read_cams), cam_stacks),
        Target("HDF5 masks", "00.h5", read_all(read_masks), hdf5_masks),
        Target("HDF5 affinities", "01.h5", read_all(read_affinities), hdf5_affinities),
        Target("data set table", "train.tsv", Manifest.read, manifest),
        Target("index of masks", "index.tsv", read_index, index),
        Target("history", "history.tsv", read_history, history),
        Target("confusions", "scores.tsv", partial(read_confusions, n_values=3), confusions),
        Target("JSON", "scores.json", read_json, scores),
        Target("weights, pth", "weights.pth", read_state, pth),
        Target("weights, safetensors", "weights.safetensors", read_state, safetensors_file),
        Target("weights, params", "weights.params", read_state, params),
        Target("weights, caffemodel", "weights.caffemodel", read_state, caffemodel),
        Target("checkpoint", "classifier.pth", restore_classifier, checkpoint),
        Target("bundle, facts", FACTS, read_facts, bundle_file(FACTS)),
        Target("bundle, weights", WEIGHTS, read_weights_of_bundle, bundle_file(WEIGHTS)),
        Target("configuration", "study.yaml", read_study, study),
        Target("submission", "results.tgz", read_submission, submission),
    )
}
"""By name."""
