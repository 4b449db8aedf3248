"""How a network wants its input: mean and scale of each colour, and their order."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation per channel, on the [0, 1] scale, in the network's channel order."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False

    def __call__(self, image: Tensor) -> Tensor:
        """Normalise RGB images ``(..., 3, H, W)``, float in [0, 1]."""
        if self.bgr:
            image = image.flip(-3)
        mean, std = (image.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (image - mean) / std


#: Of torchvision's ImageNet weights, and of most of timm's.
IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
