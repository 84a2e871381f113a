"""Doubles as files: the same bits come back, and whatever is no whole double is refused with what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from ispdsl.errors import CompileError
from ispdsl.proxies.double import load, make, measure, read_card, save
from ispdsl.proxies.weights import MARK
from tests.proxies.cards import HIST, RAW, RGB, card


def written(path: Path) -> Path:
    save(make(card("pointwise", width=4), seed=1), path)
    return path


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: dict[str, Any], body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize("sign", [1, -1], ids=["histogram", "signed"])
def test_what_was_saved_comes_back_to_the_bit(tmp_path: Path, sign: int) -> None:
    made = card("areawise", [RAW], [RGB], readings=[HIST], width=4, depth=1)
    examples = [{"hist": sign * torch.rand(64)} for _ in range(3)]
    double = make(made.model_copy(update={"error": {"psnr": 41.5}}), measure(made.task, examples), seed=7)
    for weight in double.network.parameters():
        weight.data += 0.1 * torch.rand_like(weight)
    path = tmp_path / "deep" / "x.safetensors"
    save(double, path)
    back = load(path)
    assert back.card == double.card == read_card(path)
    assert back.state_dict().keys() == double.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(double.state_dict().values(), back.state_dict().values(), strict=True))
    image, keywords = torch.rand(1, 6, 6), {"ev": 1, "mode": "soft", "hist": examples[0]["hist"], "cfa": "bggr"}
    given = double(image, **keywords)
    assert given.isfinite().all()
    assert torch.equal(given, back(image, **keywords))
    save(back, path)
    assert [each.name for each in path.parent.iterdir()] == ["x.safetensors"], "nothing is left over"


def test_the_card_is_read_without_torch(tmp_path: Path) -> None:
    path = written(tmp_path / "x.safetensors")
    text = f"""
import sys
from pathlib import Path
from ispdsl.proxies.weights import read_card
assert read_card(Path({str(path)!r})).network == "pointwise"
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", text], check=True, timeout=60)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "x.safetensors")
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CompileError, match="cannot be written: No space left"):
        save(make(card("pointwise", width=8)), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def _foreign(content: bytes) -> bytes:
    return safetensors.torch.save({"weight": torch.zeros(3)})


def _cut(content: bytes) -> bytes:
    return content[:-5]


def _other_format(content: bytes) -> bytes:
    header, body = parts(content)
    found = json.loads(header["__metadata__"]["card"])
    header["__metadata__"]["card"] = json.dumps({**found, "format": 99})
    return joined(header, body)


def _no_card(content: bytes) -> bytes:
    header, body = parts(content)
    header["__metadata__"]["card"] = "{}"
    return joined(header, body)


def _gap(content: bytes) -> bytes:
    header, body = parts(content)
    name = next(name for name in header if name != "__metadata__")
    header[name]["shape"] = [7, 7, 7]
    return joined(header, body)


def _long_header(content: bytes) -> bytes:
    return (1 << 40).to_bytes(8, "little") + content[8:]


def _changed(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[bytes], bytes]:
    def found(content: bytes) -> bytes:
        header, _ = parts(content)
        weights = safetensors.torch.load(content)
        change(weights)
        return safetensors.torch.save(weights, header["__metadata__"])

    return found


def _not_finite(weights: dict[str, torch.Tensor]) -> None:
    weights["network.pixel.first.weight"][0, 0] = float("nan")


def _other_shape(weights: dict[str, torch.Tensor]) -> None:
    weights["network.pixel.first.bias"] = torch.zeros(5)


def _other_names(weights: dict[str, torch.Tensor]) -> None:
    weights["extra"] = weights.pop("network.pixel.first.bias")


def _flipped(content: bytes) -> bytes:
    """One bit of the last weight, which stays a finite number."""
    return content[:-2] + bytes([content[-2] ^ 1]) + content[-1:]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_flipped, "its weights are not those that were written"),
        (_foreign, "these are other weights"),
        (_cut, "is damaged: its header and its size disagree"),
        (_other_format, "is a double of format 99, this ispdsl reads format 1"),
        (_no_card, "the card in it is damaged"),
        (_gap, "its header and its size disagree"),
        (_long_header, "no safetensors file, or cut off"),
        (lambda _: b"PK\x03\x04 a pickle, perhaps", "no safetensors file"),
        (lambda _: b"", "no safetensors file"),
        (_changed(_not_finite), "network.pixel.first.weight holds values that are no finite numbers"),
        (_changed(_other_shape), r"network.pixel.first.bias has shape \(5,\) instead of \(4,\)"),
        (_changed(_other_names), r"its weights are not those of pointwise \(extra, network.pixel.first.bias\)"),
    ],
)
def test_what_is_no_whole_double_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    path = written(tmp_path / "x.safetensors")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CompileError, match=message) as raised:
        load(path)
    assert "ispdsl train" in str(raised.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="No such file"):
        load(tmp_path / "none.safetensors")


def test_the_header_says_what_it_is(tmp_path: Path) -> None:
    header, _ = parts(written(tmp_path / "x.safetensors").read_bytes())
    assert header["__metadata__"]["what"] == MARK
