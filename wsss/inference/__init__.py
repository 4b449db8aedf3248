"""Networks over data sets: CAMs, affinities, the random walk from one to the other, and segmentation.

Images of equal size share a batch and are decoded ahead, in threads. Results come batch by batch: all images
of one size, then those of the next. Networks are expected on the device of `Compute`, in evaluation mode.
"""

from wsss.inference.affinities import average_stencils, compute_affinities, compute_levels, mirror_stencil
from wsss.inference.classes import classify, compute_cams
from wsss.inference.confident import label_image
from wsss.inference.pseudo_masks import from_grid, peaks_to_one, propagate_image, to_grid, with_background
from wsss.inference.refinement import Refine, image_refinement
from wsss.inference.segmentation import segment

__all__ = [
    "Refine",
    "average_stencils",
    "classify",
    "compute_affinities",
    "compute_cams",
    "compute_levels",
    "from_grid",
    "image_refinement",
    "label_image",
    "mirror_stencil",
    "peaks_to_one",
    "propagate_image",
    "segment",
    "to_grid",
    "with_background",
]
