"""The one place that opens result files: CAM stacks, masks, affinities, checkpoints, histories and JSON.

Writers never leave half a file behind (`replacing`), and the same content gives the same bytes. Readers
refuse truncated and foreign files with an `ArtifactError` that names the path, check every size against the
file before allocating, and never unpickle. Arrays are read image by image: every such reader is a `Mapping`
from image id to content.
"""

from wsss.results.cam_stacks import Cams, CamStacks, read_cams, write_cams
from wsss.results.checkpoints import load_checkpoint, save_checkpoint
from wsss.results.files import ArtifactError, replacing, write_text
from wsss.results.hdf5 import (
    Affinities,
    Masks,
    PseudoMask,
    PseudoMasks,
    read_affinities,
    read_masks,
    read_pseudo_masks,
    write_affinities,
    write_masks,
    write_pseudo_masks,
)
from wsss.results.image_map import ImageMap, Shards, open_shards
from wsss.results.records import (
    HistoryWriter,
    read_history,
    read_json,
    write_json,
    write_manifest,
    write_table,
)

__all__ = [
    "Affinities",
    "ArtifactError",
    "CamStacks",
    "Cams",
    "HistoryWriter",
    "ImageMap",
    "Masks",
    "PseudoMask",
    "PseudoMasks",
    "Shards",
    "load_checkpoint",
    "open_shards",
    "read_affinities",
    "read_cams",
    "read_history",
    "read_json",
    "read_masks",
    "read_pseudo_masks",
    "replacing",
    "save_checkpoint",
    "write_affinities",
    "write_cams",
    "write_json",
    "write_manifest",
    "write_masks",
    "write_pseudo_masks",
    "write_table",
    "write_text",
]
