"""Heads of the segmentation network, one module each: `FACTS` for `wsss.study.registry`, and `build`.

`build(name, maps, n_values, crop_size)` gets the name in the configuration, channels and strides of the
backbone's feature maps from fine to coarse, the number of mask values with the background, and the side of
the training crops in pixels. Its module maps `(pyramid, size)`, an iterable of feature maps and the height
and width of the images, to logits `(B, n_values, h, w)` of any size. docs/backbones.md shows how to add one.
"""
