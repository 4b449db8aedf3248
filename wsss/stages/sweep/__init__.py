"""The sweep: random walks with other values over the affinities and CAMs of a study, without any network."""

from wsss.stages.sweep.choice import candidates, widened
from wsss.stages.sweep.choosing import choose, describe
from wsss.stages.sweep.chosen import chosen_text, chosen_walk
from wsss.stages.sweep.finish import ShardResults, finish_images
from wsss.stages.sweep.images import sweep_image
from wsss.stages.sweep.pixels import describe_pixels, read_pixels, swept_rows
from wsss.stages.sweep.points import Grid, Point, best_first
from wsss.stages.sweep.ranking import gather, overlay, rank, table
from wsss.stages.sweep.shard import sweep_shard
from wsss.stages.sweep.tally import Tally, tally_image, total
from wsss.stages.sweep.usual import near_usual, usual_steps

__all__ = [
    "Grid",
    "Point",
    "ShardResults",
    "Tally",
    "best_first",
    "candidates",
    "choose",
    "chosen_text",
    "chosen_walk",
    "describe",
    "describe_pixels",
    "finish_images",
    "gather",
    "near_usual",
    "overlay",
    "rank",
    "read_pixels",
    "sweep_image",
    "sweep_shard",
    "swept_rows",
    "table",
    "tally_image",
    "total",
    "usual_steps",
    "widened",
]
