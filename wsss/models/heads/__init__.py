"""Heads of the segmentation network, one module each: FACTS for `wsss.study.registry`, and `build`."""
