"""Forms of CAM files, one module each: FACTS with the `suffixes`, and `read(path, most_values)`."""
