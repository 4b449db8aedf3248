"""The two values of a label map that are no class."""

BACKGROUND = 0
IGNORE = 255
"""Unknown: void borders of true masks, undecided pixels of confident regions."""
