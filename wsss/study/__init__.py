"""What a study is: configuration, shards, provenance, digests. No torch, no numpy: every job imports it."""
