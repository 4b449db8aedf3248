"""Any network of timm as a backbone."""

FACTS = {"output_strides": (None, 8, 16, 32), "imagenet": True}
