"""Masks in the formats of annotation tools, to hand them over for correction and to take them back.

Coordinates are pixels from the corner of the image: its first pixel reaches from 0 to 1. Background has no
outlines; pixels of value 255 have, under the name `unknown`.
"""
