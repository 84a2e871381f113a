"""Files of trained networks: what is written is read, and nothing else is believed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ispdsl.errors import CompileError
from ispdsl.learned.card import Card
from ispdsl.learned.weights import load, read_card, write


def test_what_is_written_is_read(tmp_path: Path) -> None:
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    card = Card(kind="predictor", addresses=("exposure.ev",), scores={"psnr": 31.5})
    write(tmp_path / "p.safetensors", model, card)
    assert read_card(tmp_path / "p.safetensors", "predictor") == card
    load(tmp_path / "p.safetensors", other, "predictor")
    assert torch.equal(model.weight, other.weight)
    assert not other.training
    assert not other.weight.requires_grad


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    with pytest.raises(CompileError, match="No such file"):
        read_card(path, "student")
    path.write_bytes(b"no safetensors at all")
    with pytest.raises(CompileError, match="no file of a network"):
        read_card(path, "student")
    write(path, nn.Linear(3, 2), Card(kind="predictor"))
    with pytest.raises(CompileError, match="is a predictor, not a student") as caught:
        read_card(path, "student")
    assert "ispdsl distil" in str(caught.value.hint)
    with pytest.raises(CompileError, match="do not fit"):
        load(path, nn.Linear(4, 2), "predictor")
    broken = nn.Linear(3, 2)
    nn.init.constant_(broken.weight, float("inf"))
    write(path, broken, Card(kind="predictor"))
    with pytest.raises(CompileError, match="not finite"):
        load(path, nn.Linear(3, 2), "predictor")
