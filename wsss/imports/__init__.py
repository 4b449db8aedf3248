"""CAMs and boundary maps of other systems, one file per image, read without running anything in them."""

from wsss.imports.boundaries import boundary_files, compute_boundary_affinities
from wsss.imports.cams import cam_files, import_cams

__all__ = ["boundary_files", "cam_files", "compute_boundary_affinities", "import_cams"]
