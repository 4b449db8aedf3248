"""Mask values: the one way from class indices to them, and their names."""

from __future__ import annotations

import numpy as np
import pytest

from wsss.method.labels import class_values, value_names


@pytest.mark.parametrize("indices", [[], [0], [2, 0, 253], (1,), range(3), np.array([4, 7])])
def test_a_mask_value_is_the_place_of_the_name(indices: object) -> None:
    class_names = [f"class {index}" for index in range(254)]
    values = class_values(indices)  # type: ignore[arg-type]
    assert values.dtype == np.int64
    names = value_names(class_names)
    assert [names[value] for value in values] == [class_names[index] for index in indices]  # type: ignore[attr-defined]


def test_background_comes_first() -> None:
    assert value_names(("cat", "dog")) == ("background", "cat", "dog")


@pytest.mark.parametrize("indices", [[-1], [0, 254]])
def test_what_has_no_mask_value_is_refused(indices: list[int]) -> None:
    with pytest.raises(ValueError, match=r"expected class indices in 0…253, got"):
        class_values(indices)
