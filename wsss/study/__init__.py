"""What a study is: configuration, shards, provenance, digests. Without torch and numpy: every job imports it."""
