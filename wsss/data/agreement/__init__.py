"""Do true masks and image-level labels tell the same? What is wrong with masks shows in this comparison.

Masks serve for scoring alone, so that a misunderstanding about their values changes no result, and no stage
would notice. It shows where an image's label says `dog` and its mask has no pixel of the dog's value.
"""

from wsss.data.agreement.comparison import compare_masks

__all__ = ["compare_masks"]
