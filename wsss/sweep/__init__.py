"""The sweep: random walks with other values over the affinities and CAMs of a study, without any network."""

from wsss.sweep.images import sweep_image, swept_rows, true_labels
from wsss.sweep.points import Grid, Point
from wsss.sweep.ranking import gather, overlay, rank, table
from wsss.sweep.tally import Tally, tally_image, total

__all__ = [
    "Grid",
    "Point",
    "Tally",
    "gather",
    "overlay",
    "rank",
    "sweep_image",
    "swept_rows",
    "table",
    "tally_image",
    "total",
    "true_labels",
]
