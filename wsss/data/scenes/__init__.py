"""Scenes that look like photographs of plush animals, drawn from a seed.

Every animal has a large plain part (body and paws), drawn alike for all classes, and a small head that alone
tells the class. So a classifier has reason to look at heads only. Bodies are smooth and mostly colourful,
ground and clutter dull and grainy: where an animal ends can be learnt without knowing its class.
"""

from wsss.data.scenes.heads import CLASSES
from wsss.data.scenes.photograph import draw_scene

__all__ = ["CLASSES", "draw_scene"]
