"""Forms of CAM files, one module each: FACTS with the `suffixes`, and `read(path, most_values)`.

With `per_class` among the FACTS there is a file for each class, and `read` gives its map (H, W).
"""
