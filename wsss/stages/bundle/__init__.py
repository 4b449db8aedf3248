"""Trained networks as bundles, which need no data set, stage or study, and what is done with them."""
