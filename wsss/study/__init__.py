"""What a study is: its configuration, shards, provenance and digests. No torch, no numpy: every job imports it."""
