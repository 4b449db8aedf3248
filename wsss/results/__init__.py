"""The one place that opens result files: CAMs, masks, affinities, checkpoints, histories, tables and JSON.

Writers never leave half a file behind (`replacing`), and the same content gives the same bytes. Readers
refuse truncated and foreign files with an `ArtifactError` that names the path, check every size against the
file before allocating, and never unpickle. Arrays are read image by image: every such reader is a `Mapping`
from image id to content.
"""

from wsss.results.affinities import Affinities, AffinityGrid, read_affinities, write_affinities
from wsss.results.cam_stacks import Cams, CamStacks, read_cams, write_cams
from wsss.results.confusions import (
    ClassifiedImage,
    ImageConfusion,
    image_miou,
    read_classified,
    read_confusions,
    write_classified,
    write_confusions,
)
from wsss.results.features import read_features, write_features
from wsss.results.files import ArtifactError, replacing, write_text
from wsss.results.image_map import ImageMap, Shards, open_shards
from wsss.results.masks import Masks, pooling_of, read_masks, write_confident, write_masks, write_pseudo_masks
from wsss.results.quality import (
    SIGNALS,
    ImageSignals,
    RankedImage,
    read_ranking,
    read_signals,
    write_ranking,
    write_signals,
)
from wsss.results.records import (
    HistoryWriter,
    read_history,
    read_json,
    write_json,
    write_manifest,
    write_table,
)

__all__ = [
    "SIGNALS",
    "Affinities",
    "AffinityGrid",
    "ArtifactError",
    "CamStacks",
    "Cams",
    "ClassifiedImage",
    "HistoryWriter",
    "ImageConfusion",
    "ImageMap",
    "ImageSignals",
    "Masks",
    "RankedImage",
    "Shards",
    "image_miou",
    "open_shards",
    "pooling_of",
    "read_affinities",
    "read_cams",
    "read_classified",
    "read_confusions",
    "read_features",
    "read_history",
    "read_json",
    "read_masks",
    "read_ranking",
    "read_signals",
    "replacing",
    "write_affinities",
    "write_cams",
    "write_classified",
    "write_confident",
    "write_confusions",
    "write_features",
    "write_json",
    "write_manifest",
    "write_masks",
    "write_pseudo_masks",
    "write_ranking",
    "write_signals",
    "write_table",
    "write_text",
]
