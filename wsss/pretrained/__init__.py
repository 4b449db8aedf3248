"""Weight files of other frameworks, read in plain Python, and their names in this project's networks."""
