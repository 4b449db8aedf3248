"""Quality of a study's artifacts against what is true, as the files of `scores/` hold it."""
