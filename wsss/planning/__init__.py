"""Before and between runs: what a study will compute, how long that takes, and studies made from others."""
