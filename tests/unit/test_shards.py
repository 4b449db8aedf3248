from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss.study.shards import shard_names, shard_of


def test_shard_of_is_the_documented_hash():
    # python -c 'from hashlib import blake2b; print(blake2b(b"2007_000032", digest_size=8).hexdigest())'
    assert shard_of("2007_000032", 16) == 0x251FB2725BD18491 % 16
    assert shard_of("Žluťoučký kůň", 7) == 0x64CE67DDBD72C99A % 7


@settings(deadline=None)
@given(st.text(), st.integers(1, 200))
def test_every_image_has_a_shard_that_exists(image_id: str, count: int):
    assert 0 <= shard_of(image_id, count) < count == len(shard_names(count))


def test_shards_are_of_similar_size():
    sizes = Counter(shard_of(f"image_{index}", 4) for index in range(2000))
    assert all(400 < sizes[shard] < 600 for shard in range(4))


def test_names_sort_in_order_and_keep_when_shards_are_added():
    assert shard_names(3) == ["00", "01", "02"]
    assert shard_names(101)[:3] == shard_names(3)
    assert shard_names(101)[-1] == "100"


@pytest.mark.parametrize("count", [0, -1])
def test_at_least_one_shard(count: int):
    with pytest.raises(ValueError, match=f"got {count}, expected 1 or more"):
        shard_of("a", count)
    with pytest.raises(ValueError, match=f"got {count}, expected 1 or more"):
        shard_names(count)
