"""Image-level labels from tables and from the names of folders."""
