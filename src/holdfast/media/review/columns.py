"""Columns of a table of results as arrays of NumPy, and labels as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def floats(table: pa.Table, name: str) -> Floats:
    """Return the column *name* of *table* as numbers of 64 bits."""
    return _joined(table, name).astype(np.float64)


def integers(table: pa.Table, name: str) -> Integers:
    """Return the column *name* of *table* as whole numbers of 64 bits."""
    return _joined(table, name).astype(np.int64)


def label_numbers(table: pa.Table, labels: list[str]) -> Integers:
    """Return each row's place in *labels*, to which labels that are new are appended."""
    numbers = [np.zeros(0, np.int64)]
    for chunk in table.column("label").chunks:
        words = chunk.dictionary.to_pylist()
        for word in words:
            if word not in labels:
                labels.append(word)
        places = np.array([labels.index(word) for word in words] or [0], np.int64)
        numbers.append(places[np.from_dlpack(chunk.indices).astype(np.int64)])
    return np.concatenate(numbers)


def _joined(table: pa.Table, name: str) -> NDArray[np.generic]:
    # `to_numpy` would import pandas where that is installed, for two seconds.
    chunks = [np.from_dlpack(chunk) for chunk in table.column(name).chunks if len(chunk)]
    return np.concatenate(chunks) if chunks else np.zeros(0)
