"""What a process of its own begins with. It has to be importable, which `__main__` is not."""

from __future__ import annotations


def one_thread() -> None:
    """One thread for each process."""
    import torch

    torch.set_num_threads(1)
