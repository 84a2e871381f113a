"""The networks: shapes, where gradients go, what of a file is refused, and the published weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ispdsl.errors import RunError
from ispdsl.vision.boxes import read_labels
from ispdsl.vision.classification import at_size, classification_loss, told_right
from ispdsl.vision.detection import average_precision, matches
from ispdsl.vision.detection_loss import detection_loss
from ispdsl.vision.fastestdet import FastestDet, load_fastestdet
from ispdsl.vision.resnet import ResNet, load_resnet

NETWORKS: dict[str, tuple[Any, Any]] = {"resnet": (ResNet, load_resnet), "fastestdet": (FastestDet, load_fastestdet)}

networks = pytest.mark.parametrize(("make", "load"), NETWORKS.values(), ids=NETWORKS)


def test_the_residual_network_has_the_papers_size() -> None:
    """Table 6: 0.27 million parameters at 20 layers, 0.46 at 32."""
    counts = [sum(each.numel() for each in ResNet(depth).parameters()) for depth in (20, 32)]
    assert [round(count / 1e6, 2) for count in counts] == [0.27, 0.46]
    with pytest.raises(ValueError, match="6n"):
        ResNet(21)


def test_a_shortcut_takes_every_other_pixel_and_adds_planes_of_zeros() -> None:
    block = ResNet().eval().layer2[0]
    assert isinstance(block, nn.Module)
    for each in block.parameters():
        nn.init.zeros_(each)
    x = torch.rand(1, 16, 6, 6)
    expected = torch.cat([torch.zeros(1, 8, 3, 3), x[..., ::2, ::2], torch.zeros(1, 8, 3, 3)], 1)
    torch.testing.assert_close(block(x), expected)


def test_the_detector_answers_for_every_16th_pixel_in_parts_of_the_picture() -> None:
    model = FastestDet().eval()
    cells = model(torch.rand(2, 3, 64, 96))
    assert [tuple(each.shape) for each in cells] == [(2, 4, 6), (2, 4, 6, 4), (2, 4, 6, 80)]
    torch.testing.assert_close(cells.kinds.exp().sum(-1), torch.ones(2, 4, 6))
    _, places, _ = model.answers(torch.zeros(1, 3, 64, 64))
    left, top, right, bottom = model(torch.zeros(1, 3, 64, 64)).boxes[0, 1, 2]
    torch.testing.assert_close((left + right) / 2, (2 + places[0, 0, 1, 2].tanh()) / 4)
    torch.testing.assert_close((top + bottom) / 2, (1 + places[0, 1, 1, 2].tanh()) / 4)
    torch.testing.assert_close(right - left, places[0, 2, 1, 2].sigmoid())
    torch.testing.assert_close(bottom - top, places[0, 3, 1, 2].sigmoid())


def test_the_detector_refuses_sizes_that_it_cannot_halve() -> None:
    with pytest.raises(RunError, match="90 x 64") as caught:
        FastestDet()(torch.rand(1, 3, 64, 90))
    assert "multiples of 32" in str(caught.value)


# ---- files of weights ------------------------------------------------------------------------------------------


def state(make: Any) -> dict[str, Any]:
    return {name: tensor.clone() for name, tensor in make().state_dict().items()}


@networks
def test_weights_come_back_and_stay(make: Any, load: Any, tmp_path: Path) -> None:
    written = state(make)
    torch.save(written, tmp_path / "a.pth")
    model = load(tmp_path / "a.pth")
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(tensor, written[name], rtol=0, atol=0)
    assert not model.training
    assert not any(each.requires_grad for each in model.parameters())


def test_a_wrapped_state_dict_of_several_gpus_without_counters_is_read(tmp_path: Path) -> None:
    kept = {name: each for name, each in state(ResNet).items() if not name.endswith("num_batches_tracked")}
    wrapped = {"state_dict": {f"module.{name}": each for name, each in kept.items()}, "best": 91.8}
    torch.save(wrapped, tmp_path / "a.th")
    torch.testing.assert_close(load_resnet(tmp_path / "a.th").linear.weight, kept["linear.weight"])


def damaged(content: dict[str, Any], how: str) -> Any:
    name = next(name for name in content if name.endswith("weight") and content[name].dim() == 4)
    if how == "missing":
        del content[name]
    elif how == "unknown":
        content["extra.weight"] = torch.zeros(1)
    elif how == "shape":
        content[name] = content[name][:-1]
    elif how == "integers":
        content[name] = content[name].long()
    elif how == "not finite":
        content[name].view(-1)[0] = float("nan")
    elif how == "no dict":
        return [1, 2, 3]
    elif how == "no tensors":
        return {name: "text"}
    return content


REFUSED = {
    "missing": "has no tensor", "unknown": "has an unknown tensor", "shape": "has the shape", "integers": "int64",
    "not finite": "not finite", "no dict": "no state dict", "no tensors": "no state dict",
}  # fmt: skip


@networks
@pytest.mark.parametrize(("how", "why"), REFUSED.items())
def test_damaged_weights_are_refused(make: Any, load: Any, how: str, why: str, tmp_path: Path) -> None:
    torch.save(damaged(state(make), how), tmp_path / "a.pth")
    with pytest.raises(RunError, match=why) as caught:
        load(tmp_path / "a.pth")
    assert str(tmp_path / "a.pth") in caught.value.message


def test_no_code_of_a_file_is_run(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "harm",)

    torch.save({"weight": Harm()}, tmp_path / "a.pth")
    with pytest.raises(RunError, match="no state dict"):
        load_resnet(tmp_path / "a.pth")
    assert not (tmp_path / "harm").exists()


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No such file"):
        load_resnet(tmp_path / "none.th")
    with pytest.raises(RunError, match="no regular file"):
        load_resnet(tmp_path)
    (tmp_path / "text.th").write_text("weights")
    with pytest.raises(RunError, match="no state dict"):
        load_resnet(tmp_path / "text.th")
    with (tmp_path / "large.th").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(RunError, match="no more than"):
        load_resnet(tmp_path / "large.th")


# ---- the published weights -------------------------------------------------------------------------------------


@pytest.mark.realdata
def test_the_published_residual_network_tells_clean_pictures(data: Path) -> None:
    model = load_resnet(data / "weights" / "cifar_resnet" / "resnet20-12fca82f.th")
    with np.load(data / "vision" / "cifar10" / "lossless_dev2500.npz") as held:
        images, kinds = held["images"][:60], torch.from_numpy(held["labels"][:60].astype(np.int64))
    pictures = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    assert told_right(model, pictures, kinds).mean() >= 0.95
    dark = (pictures / 16).requires_grad_()
    of_dark = classification_loss(model(dark), kinds)
    assert of_dark > classification_loss(model(pictures), kinds) + 1
    (slope,) = torch.autograd.grad(of_dark, dark)
    assert slope.abs().sum() > 0
    large = nn.functional.interpolate(pictures, scale_factor=2.0)
    torch.testing.assert_close(at_size(large, 32), pictures)


EXPECTED = {
    (3, 5): ([0.10301888, -0.07063736, 0.52323109, 0.31379658, -0.40242454], 62, 0.50166565),
    (11, 11): ([0.68238282, 0.01593743, -0.00639212, 6.67454624, 0.6090259], 59, 0.39519760),
    (20, 2): ([0.03139666, 0.20124172, -0.64488387, -0.49325758, -1.08094108], 9, 0.22101672),
}
"""What onnxruntime 1.2x gives for the published ONNX file at some cells: something, four numbers of the box, and the
likeliest kind with its probability."""


@pytest.mark.realdata
def test_the_detector_is_that_of_the_published_onnx_file(data: Path) -> None:
    model = load_fastestdet(data / "weights" / "fastestdet" / "fastestdet.pth")
    rows, columns = np.mgrid[:352, :352]
    wave = np.stack([0.5 + 0.5 * np.sin(0.05 * rows * (plane + 1) + 0.03 * columns) for plane in range(3)])
    something, places, kinds = model.answers(torch.from_numpy(wave[None].astype(np.float32)))
    for (row, column), (numbers, kind, chance) in EXPECTED.items():
        seen = [something[0, 0, row, column].sigmoid(), *places[0, :, row, column]]
        np.testing.assert_allclose(torch.stack(seen).numpy(), numbers, rtol=1e-3, atol=1e-4)
        chances = kinds[0, :, row, column].softmax(0)
        assert int(chances.argmax()) == kind
        assert float(chances.max()) == pytest.approx(chance, abs=1e-3)


@pytest.mark.realdata
def test_the_published_detector_finds_things_and_fewer_in_the_dark(data: Path) -> None:
    model = load_fastestdet(data / "weights" / "fastestdet" / "fastestdet.pth")
    folder = data / "vision" / "coco128"
    paths = sorted((folder / "images" / "train2017").glob("*.jpg"))[:8]
    texts = [folder / "object_detection" / "labels" / "train2017" / f"{path.stem}.txt" for path in paths]
    labels = [read_labels(text) for text in texts]
    small = [
        np.asarray(Image.open(path).convert("RGB").resize((352, 352), Image.Resampling.BILINEAR)) for path in paths
    ]
    pictures = torch.from_numpy(np.stack(small).transpose(0, 3, 1, 2).astype(np.float32) / 255)
    with torch.no_grad():
        clean, dark = model(pictures), model(pictures / 16)
    light = average_precision(matches(clean, labels))
    assert light > 0.15
    assert average_precision(matches(dark, labels)) < light / 2
    assert detection_loss(dark, labels) > detection_loss(clean, labels) + 0.3
