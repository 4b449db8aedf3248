"""Result files as mappings from image id to content, read lazily and safely by threads and processes."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar
from urllib.parse import quote, unquote

from wsss.results.files import ArtifactError

Content = TypeVar("Content")


def member_name(image_id: str) -> str:
    """Name an image inside a zip or HDF5 file: percent-encoded, so that ids may hold `/` or start with a dot.

    Both containers read `/` as a folder, and HDF5 reads `.` as the folder itself. Reversed by `image_id_of`.
    """
    if not image_id:
        raise ArtifactError("an image id may not be empty")
    name = quote(image_id, safe=" ")
    return "%2E" + name[1:] if name.startswith(".") else name


def image_id_of(name: str) -> str:
    """Reverse `member_name`."""
    return unquote(name, errors="strict")


class ImageMap(Mapping[str, Content], Generic[Content]):
    """The content of one result file by image id, in ascending order of ids.

    The file is checked and its ids are read at once; arrays are read when asked for. Threads share the open
    file, a forked or spawned process opens its own. Also a context manager, which closes the file.

    Attributes:
        attributes: what the file records about all of its images, by name; see the functions that read it.
    """

    attributes: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        # Process and handle, set in one step, so that threads need no lock.
        self._opened: tuple[int, Any] | None = None
        with self._open() as handle:
            self._members = dict(sorted(self._index(handle).items()))

    @abstractmethod
    def _open(self) -> Any:
        """Open the file for reading; refuse a foreign one."""

    @abstractmethod
    def _index(self, handle: Any) -> dict[str, str]:
        """Read the name of each image's member."""

    @abstractmethod
    def _read(self, handle: Any, member: str) -> Content:
        """Read one image's content."""

    def __getitem__(self, image_id: str) -> Content:
        return self._read(self._handle(), self._members[image_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._members

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def _handle(self) -> Any:
        opened = self._opened
        if opened is None or opened[0] != os.getpid():  # a handle from before a fork shares its file offset
            opened = self._opened = (os.getpid(), self._open())
        return opened[1]


class Shards(Mapping[str, Content], Generic[Content]):
    """Several result files as one mapping, in ascending order of ids, as if they were one file."""

    def __init__(self, shards: Iterable[ImageMap[Content]]) -> None:
        self.shards = tuple(shards)
        home: dict[str, ImageMap[Content]] = {}
        for shard in self.shards:
            for image_id in shard:
                if image_id in home:
                    raise ArtifactError(f"{shard.path}: image {image_id!r} is also in {home[image_id].path}")
                home[image_id] = shard
        self._home = dict(sorted(home.items()))

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What all of the files record alike. Raises `ArtifactError` if they differ."""
        first = next(iter(self.shards), None)
        for shard in self.shards:
            if first is not None and shard.attributes != first.attributes:
                raise ArtifactError(
                    f"{shard.path}: {dict(shard.attributes)}, but {first.path} has {dict(first.attributes)}"
                )
        return first.attributes if first is not None else MappingProxyType({})

    def __getitem__(self, image_id: str) -> Content:
        return self._home[image_id][image_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._home)

    def __len__(self) -> int:
        return len(self._home)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._home

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for shard in self.shards:
            shard.close()


def open_shards(
    paths: Iterable[str | Path], reader: Callable[[str | Path], ImageMap[Content]]
) -> Shards[Content]:
    """Open result files with `reader` (say, `read_masks`) as one mapping.

    Raises `ArtifactError` when an id is in two of them.
    """
    return Shards(reader(path) for path in paths)
