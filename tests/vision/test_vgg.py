"""VGG-19 with a state dict of torchvision's names, and without the layers that nobody needs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ispdsl.errors import RunError
from ispdsl.vision import vgg
from ispdsl.vision.vgg import VGG19, load_vgg19


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> VGG19:
    """The network with an eighth of its planes, which is quick to write."""
    monkeypatch.setattr(vgg, "PLANES", tuple(each // 16 for each in vgg.PLANES))
    torch.manual_seed(0)
    return VGG19()


def test_layers_lie_where_torchvision_has_them() -> None:
    with torch.device("meta"):
        names = [name for name in VGG19().named.state_dict() if name.endswith("weight")]
    places = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    assert names == [f"features.{place}.weight" for place in places]


def test_features_are_of_the_first_convolution_of_each_group(narrow: VGG19) -> None:
    found = narrow.features(torch.rand(2, 3, 32, 48))
    assert [tuple(each.shape) for each in found] == [
        (2, 4, 32, 48), (2, 8, 16, 24), (2, 16, 8, 12), (2, 32, 4, 6), (2, 32, 2, 3),
    ]  # fmt: skip
    assert all(float(each.detach().min()) >= 0 for each in found)
    with pytest.raises(ValueError, match="16 px"):
        narrow.features(torch.rand(1, 3, 15, 40))


def test_a_file_with_the_linear_layers_too_is_read(narrow: VGG19, tmp_path: Path) -> None:
    path = tmp_path / "vgg19.pth"
    torch.save({**narrow.named.state_dict(), "classifier.0.weight": torch.zeros(3, 2)}, path)
    loaded = load_vgg19(path)
    picture = torch.rand(1, 3, 16, 16)
    pairs = zip(loaded.features(picture), narrow.features(picture), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    assert not any(each.requires_grad for each in loaded.parameters())


def test_other_weights_are_refused(narrow: VGG19, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({**narrow.named.state_dict(), "head.weight": torch.zeros(3, 2)}, path)
    with pytest.raises(RunError, match=r"unknown tensor 'head\.weight'"):
        load_vgg19(path)
