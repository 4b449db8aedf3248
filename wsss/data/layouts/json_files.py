"""JSON files of annotation tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wsss.data.problems import Problems
from wsss.study.regular import irregular

MAX_BYTES = 1 << 30
"""Larger files are not read."""


def load_json(path: Path, problems: Problems) -> Any:
    """Read a file; None, and a problem, if it cannot be read."""
    try:
        if wrong := irregular(path):
            problems.add("missing file", f"{path}: {wrong}")
            return None
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueError(f"{size:,} bytes, expected at most {MAX_BYTES:,}")
        content = path.read_bytes()
        if not content.strip():
            raise ValueError("the file is empty")
        return json.loads(content)
    except OSError as error:
        problems.add("missing file", f"{path}: {error.strerror}")
    except UnicodeDecodeError as error:
        wrong = f"byte 0x{error.object[error.start]:02x} is not {error.encoding.upper()}"
        problems.add("undecodable text", f"{path}: {wrong}, save the file as UTF-8")
    except (ValueError, RecursionError) as error:
        problems.add("bad annotations", f"{path}: not JSON: {error}")
    return None
