"""Scenes that look like photographs of plush animals, drawn from a seed.

Every animal has a large plain part (body and paws), drawn in the same way for all classes, and a small head
that alone identifies the class, so a classifier has reason to look at heads only. Bodies are smooth and
mostly colourful, ground and clutter dull and grainy: the outline of an animal can be learned without its
class.
"""

from wsss.data.scenes.heads import CLASSES
from wsss.data.scenes.photograph import draw_scene

__all__ = ["CLASSES", "draw_scene"]
