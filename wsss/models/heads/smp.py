"""Decoders of segmentation_models_pytorch as heads, for any backbone."""

FACTS = {"decoders": ("unet", "fpn", "deeplabv3plus", "segformer", "upernet")}
