"""A run as a dataset for PyTorch. The only file of the store that needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from ispdsl.store.ledger import Row
from ispdsl.store.runs import Run, get, open_run, rows
from ispdsl.store.sample import Sample


class SampleDataset(Dataset[Any]):
    """The samples of a run in the order of their numbers, as they are when the dataset is made.

    An item is what `transform` makes of a sample; by default the mapping of `as_item`. It can be handed to the workers
    of a `torch.utils.data.DataLoader`, forked or spawned: an item is one file.

    Args:
        run: a run, or its folder.
        transform: from a sample to an item.
        chosen: these rows and no others.

    Raises:
        StoreError: there is no run, or it is damaged; an item, where its blob is damaged.
    """

    def __init__(
        self,
        run: Run | Path,
        transform: Callable[[Sample], Any] | None = None,
        chosen: Sequence[Row] | None = None,
    ) -> None:
        self.run = run if isinstance(run, Run) else open_run(run)
        self.rows = tuple(rows(self.run) if chosen is None else chosen)
        self.transform = transform or as_item

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.transform(get(self.run, self.rows[index].blob))


def as_item(sample: Sample) -> Mapping[str, Any]:
    """A sample as a mapping that the default collation of a `DataLoader` takes where all images are of one size.

    Returns:
        ``images`` by name, float32 `(C, H, W)`; ``metadata`` by name, float64; ``settings`` by address; ``part``, top,
        left, height and width as int64 `(4,)`; ``raw``, ``type`` and ``seconds``.
    """
    return {
        "images": {name: torch.from_numpy(image) for name, image in sample.images.items()},
        "metadata": {name: torch.as_tensor(value, dtype=torch.float64) for name, value in sample.metadata.items()},
        "settings": dict(sample.settings),
        "part": torch.tensor(sample.part),
        "raw": sample.raw,
        "type": sample.type,
        "seconds": sample.seconds,
    }
