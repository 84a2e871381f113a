"""What all networks have in common: sizes and batches, what they begin as, derivatives, phases of a mosaic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ispdsl.errors import CompileError, RunError
from ispdsl.proxies.bank import count, gaussians, prepared, prepared_with_power
from ispdsl.proxies.double import Double, make
from ispdsl.proxies.kernels import SCALES, smoothed
from ispdsl.proxies.mosaic import PHASE, bilinear
from ispdsl.proxies.task import Reading
from tests.proxies.cards import DISPLAY, EV, HIST, MODE, RAW, RGB, card

SMALL: dict[str, dict[str, Any]] = {
    "pointwise": {"width": 8},
    "bank": {"width": 4},
    "coring": {"width": 4},
    "areawise": {"width": 4, "depth": 2},
    "unet": {"width": 4, "levels": 3},
    "camera": {"width": 4, "levels": 2},
    "srcnn": {"width": 4},
}
KEYWORDS: dict[str, Any] = {"ev": 1.0, "mode": "soft"}


def shaken(double: Double) -> Double:
    """The same network with all its weights off zero: trained, in a way."""
    generator = torch.Generator().manual_seed(3)
    for weight in double.network.parameters():
        weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    return double


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def codes(*shape: int) -> Tensor:
    return torch.randint(0, 65536, shape, generator=torch.Generator().manual_seed(0)).float()


# ---- sizes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", SMALL)
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (3, 5), (8, 6)])
def test_colour_of_any_size(network: str, size: tuple[int, int]) -> None:
    double = make(card(network, **SMALL[network]))
    assert double(noise(3, *size), **KEYWORDS).shape == (3, *size)
    assert double(noise(2, 3, *size), **KEYWORDS).shape == (2, 3, *size)
    many = {**KEYWORDS, "ev": torch.zeros(2, 1, 1, 1)}
    assert double(noise(3, *size), **many).shape == (2, 3, *size)


@pytest.mark.parametrize("network", ["areawise", "unet", "srcnn"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (6, 8)])
@pytest.mark.parametrize("output", [RGB, DISPLAY, "raw<C, u16>", "luma<camera, f32>"])
def test_mosaics_of_any_size(network: str, size: tuple[int, int], output: str) -> None:
    double = make(card(network, [RAW], [output], **SMALL[network]))
    planes = double.card.task.outputs[0].planes
    for cfa in PHASE:
        assert double(codes(1, *size), cfa=cfa, **KEYWORDS).shape == (planes, *size)


def test_linear_raws_are_three_planes() -> None:
    double = make(card("areawise", ["raw<linear, u16>"], [RGB], **SMALL["areawise"]))
    image = codes(3, 4, 4)
    torch.testing.assert_close(double(image, **KEYWORDS), image / 65535)
    assert double.radius == 2


@pytest.mark.parametrize("network", SMALL)
def test_a_batch_is_its_images_one_by_one(network: str) -> None:
    double = shaken(make(card(network, readings=[HIST], **SMALL[network])))
    images, ev, hist = noise(2, 3, 6, 6), torch.tensor([-3.0, 2.0]), torch.rand(2, 64)
    both = double(images, ev=ev.reshape(2, 1, 1, 1), mode="hard", hist=hist)
    for index in range(2):
        alone = double(images[index], ev=ev[index].item(), mode="hard", hist=hist[index])
        torch.testing.assert_close(both[index], alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(both[0], double(images[0], ev=2.0, mode="hard", hist=hist[0]), atol=1e-5)


def test_several_images_go_in_and_come_out() -> None:
    task = (["luma<camera, f32>", "chroma<camera, f32>"], ["chroma<camera, f32>", "luma<camera, f32>"])
    double = make(card("pointwise", *task, width=4))
    luma, chroma = noise(1, 4, 4), noise(2, 4, 4)
    first, second = double(luma, chroma, **KEYWORDS)
    assert torch.equal(first, chroma)
    assert torch.equal(second, luma)


def test_the_result_has_the_dtype_of_the_image() -> None:
    double = make(card("pointwise", width=4))
    for dtype in (torch.float16, torch.float64):
        assert double(noise(3, 4, 4).to(dtype), **KEYWORDS).dtype == dtype


# ---- what they begin as ----------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["companded", "affine", "residual"])
@pytest.mark.parametrize("network", ["pointwise", "areawise", "bank", "coring"])
def test_the_start_is_the_identity_to_the_bit(network: str, head: str) -> None:
    more = {} if network in ("bank", "coring") else {"head": head}
    for readings in ([], [HIST]):
        double = make(card(network, readings=readings, **more, **SMALL[network]))
        image = 100 * noise(3, 5, 4)
        assert torch.equal(double(image, ev=-9.0, mode="hard", hist=torch.rand(64)), image)


def test_the_start_keeps_values_of_the_display_and_codes() -> None:
    image = torch.rand(3, 5, 4)
    assert torch.equal(make(card("pointwise", [DISPLAY], [DISPLAY]))(image, **KEYWORDS), image)
    levels = [Reading(name="black_level", kind="metadata", shape=(4,)), Reading(name="white_level", kind="metadata")]
    for network in ("pointwise", "areawise"):
        double = make(card(network, [RAW], [RAW], readings=levels))
        given = codes(1, 65, 65)
        found = double(given, cfa="grbg", black_level=[60.0, 61, 62, 63], white_level=4095.0, **KEYWORDS)
        assert torch.equal(found, given)


def test_a_unet_with_a_skip_starts_as_the_bilinear_demosaic() -> None:
    double = make(card("unet", [RAW], [RGB], skip="on", **SMALL["unet"]))
    flat = torch.tensor([[10.0, 20], [20, 40]]).repeat(3, 3)[None] * 1000
    expected = torch.tensor([10.0, 20, 40])[:, None, None].expand(3, 6, 6) * 1000 / 65535
    torch.testing.assert_close(double(flat, cfa="rggb", **KEYWORDS), expected)


def test_a_camera_starts_as_the_bilinear_demosaic_for_a_display() -> None:
    double = make(card("camera", [RAW], [DISPLAY], **SMALL["camera"]))
    flat = torch.tensor([[0.0, 20], [20, 60]]).repeat(3, 3)[None] * 1000
    expected = torch.tensor([0.0, 20, 60])[:, None, None].expand(3, 6, 6) * 1000 / 65535
    torch.testing.assert_close(double(flat, cfa="rggb", **KEYWORDS), expected ** (1 / 2.2), atol=0.002, rtol=0)
    with pytest.raises(CompileError, match="one colour image of one image; choose unet"):
        make(card("camera", [RAW], [RAW]))


def test_levels_of_the_metadata_scale_codes() -> None:
    levels = [Reading(name="black_level", kind="metadata", shape=(4,)), Reading(name="white_level", kind="metadata")]
    double = make(card("areawise", [RAW], ["raw<C, f32>"], readings=levels, **SMALL["areawise"]))
    black = torch.tensor([[100.0, 200], [300, 400]]).repeat(2, 2)[None]
    for cfa in PHASE:
        keywords = {**KEYWORDS, "black_level": [100.0, 200, 300, 400], "white_level": 1000.0, "cfa": cfa}
        assert double(black, **keywords).abs().max() < 1e-6
        torch.testing.assert_close(double(torch.full((1, 4, 4), 1000.0), **keywords), torch.ones(1, 4, 4))
    constant = make(card("areawise", ["raw<rggb, u12>"], [RGB], constants={"white_level": 1000.0}))
    assert constant(torch.full((1, 4, 4), 500.0), **KEYWORDS).mean() == 0.5


def test_a_grey_box_starts_as_its_program() -> None:
    for network in ("pointwise", "areawise"):
        double = make(card("residual", network=network)).bind(lambda image, *, ev, mode: image * 2**ev)
        image = noise(3, 5, 5)
        assert torch.equal(double(image, ev=1.5, mode="soft"), image * 2**1.5)
        changed = shaken(double)(image, ev=1.5, mode="soft")
        assert not torch.allclose(changed, image * 2**1.5, atol=1e-2)
    with pytest.raises(RunError, match="was given none"):
        make(card("residual"))(noise(3, 4, 4), **KEYWORDS)
    with pytest.raises(CompileError, match="only residual does"):
        make(card("pointwise")).bind(abs)


def test_kernels_start_as_their_program_and_smooth_as_they_are_told() -> None:
    """Noise is taken away by weights alone: with those of a mean of nine a place becomes the mean around it."""
    double = make(card("residual", ["raw<rggb, f32>"], [RGB], network="kernels", width=4, depth=2))
    double.bind(lambda mosaic, cfa, **_: bilinear(mosaic) + 0.1)
    mosaic = noise(1, 12, 10)
    begun = double(mosaic, cfa="rggb", **KEYWORDS)
    assert torch.equal(begun, bilinear(mosaic[None])[0] + 0.1)
    assert not torch.allclose(shaken(double)(mosaic, cfa="rggb", **KEYWORDS), begun, atol=1e-2)
    image, weights = noise(1, 3, 6, 5), torch.zeros(1, SCALES, 8, 2, 6, 5)
    weights[:, 0, :, 0] = 1 / 9
    changed = image + smoothed(image, weights)
    assert torch.allclose(changed[0, 0, 1:-1, 1:-1], F.avg_pool2d(image, 3, 1)[0, 0], atol=1e-6)
    assert torch.equal(changed[0, 1:], image[0, 1:]), "differences have weights of their own"


def test_kernels_are_for_what_makes_colour_of_a_mosaic() -> None:
    with pytest.raises(CompileError, match="what makes colour of one mosaic"):
        make(card("residual", network="kernels"))
    with pytest.raises(CompileError, match="depth is 9"):
        make(card("residual", ["raw<rggb, f32>"], [RGB], network="kernels", depth=9))


# ---- places ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["pointwise", "areawise"])
def test_every_phase_gives_the_answer_of_rggb(network: str) -> None:
    """One scene, cut at each of the four places: the answers agree where the border does not reach."""
    output = "raw<C, f32>" if network == "pointwise" else RGB
    double = shaken(make(card(network, [RAW], [output], **SMALL[network])))
    scene = codes(1, 24, 24)
    whole = double(scene, cfa="rggb", **KEYWORDS)
    edge = (double.radius or 0) + 2
    for cfa, (down, right) in {"rggb": (0, 0), "grbg": (0, 1), "gbrg": (1, 0), "bggr": (1, 1)}.items():
        rows = slice(down, None)
        part = double(scene[:, rows, right:], cfa=cfa, **KEYWORDS)
        expected = whole[:, rows, right:]
        inner = (slice(None), slice(edge, -edge), slice(edge, -edge))
        torch.testing.assert_close(part[inner], expected[inner], msg=cfa)


def test_sites_of_a_mosaic_are_told_apart_and_do_not_mix() -> None:
    double = shaken(make(card("pointwise", [RAW], ["raw<C, f32>"], **SMALL["pointwise"])))
    flat = torch.full((1, 4, 4), 30000.0)
    found = double(flat, cfa="rggb", **KEYWORDS)
    assert len(found[0, :2, :2].unique()) == 4
    one = flat.clone()
    one[0, 1, 1] = 0
    assert (double(one, cfa="rggb", **KEYWORDS) != found).nonzero().tolist() == [[0, 1, 1]]


@pytest.mark.parametrize(
    ("network", "inputs", "more"),
    [
        ("areawise", [RGB], {"depth": 3}),
        ("areawise", [RAW], {"depth": 2}),
        ("bank", [RGB], {}),
        ("coring", [RGB], {}),
        ("srcnn", [RGB], {}),
    ],
)
def test_the_radius_is_the_reach(network: str, inputs: list[str], more: dict[str, Any]) -> None:
    double = shaken(make(card(network, inputs, [RGB], width=4, **more)))
    size, radius = 49, double.radius
    assert radius is not None
    image = codes(1, size, size) if inputs == [RAW] else noise(3, size, size)
    image = image.double()
    double = double.double()
    middle = size // 2
    other = image.clone()
    other[:, middle, middle] *= 1.5
    changed = (double(other, cfa="rggb", **KEYWORDS) != double(image, cfa="rggb", **KEYWORDS)).any(0)
    reach = (changed.nonzero() - middle).abs().max().item()
    assert radius - (1 if inputs == [RAW] else 0) <= reach <= radius


def test_rows_give_what_images_give() -> None:
    for inputs, output, image in (([RGB], RGB, noise(2, 3, 4, 5)), ([RAW], "raw<C, f32>", codes(2, 1, 4, 5))):
        double = shaken(make(card("pointwise", inputs, [output], width=8)))
        condition = double.condition({"ev": torch.tensor([1.0, -2.0]), "mode": "soft"}, image)
        (whole,) = double.predict((image,), condition, "gbrg")
        pixels = double.pixels((image,), "gbrg")
        (rows,) = double.predict(pixels, condition.repeat_interleave(20, 0), "gbrg")
        (expected,) = double.pixels((whole,), "gbrg", outputs=True)
        torch.testing.assert_close(rows, expected)


def test_blocks_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    double = shaken(make(card("pointwise", [RAW], ["raw<C, f32>"], width=8)))
    image = codes(2, 1, 8, 9)
    whole = double(image, cfa="bggr", **KEYWORDS)
    monkeypatch.setattr("ispdsl.proxies.pointwise.BLOCK", 10)
    with torch.no_grad():
        torch.testing.assert_close(double(image, cfa="bggr", **KEYWORDS), whole)


# ---- derivatives -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["pointwise", "areawise", "unet", "camera"])
def test_gradients_are_exact(network: str) -> None:
    more: dict[str, Any] = {"skip": "on", "film": "on"} if network == "unet" else {}
    double = shaken(make(card(network, readings=[HIST], **{**SMALL[network], "width": 3}, **more))).double()
    given = (noise(3, 3, 2).double(), torch.tensor(0.5).double(), torch.rand(64).double() + 0.1)

    def call(image: Tensor, ev: Tensor, hist: Tensor) -> Tensor:
        return double(image, ev=ev, mode="soft", hist=hist)

    assert torch.autograd.gradcheck(call, tuple(each.clone().requires_grad_() for each in given), fast_mode=True)
    along = torch.ones((), dtype=torch.float64)
    slope = torch.func.jvp(lambda ev: call(given[0], ev, given[2]), (given[1],), (along,))[1]
    step = 1e-6
    numeric = (call(given[0], given[1] + step, given[2]) - call(given[0], given[1] - step, given[2])) / (2 * step)
    torch.testing.assert_close(slope, numeric, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("network", SMALL)
def test_vmap_over_settings(network: str) -> None:
    double = shaken(make(card(network, **SMALL[network])))
    image, evs = noise(3, 6, 5), torch.tensor([-1.0, 0.0, 3.0])
    found = torch.func.vmap(lambda ev: double(image, ev=ev, mode="soft"))(evs)
    expected = double(image, ev=evs, mode="soft")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


class Call(torch.nn.Module):
    def __init__(self, double: Double) -> None:
        super().__init__()
        self.double_ = double

    def forward(self, image: Tensor, ev: Tensor) -> Tensor:
        return self.double_(image, ev=ev, mode="hard", cfa="gbrg")


@pytest.mark.parametrize(
    ("network", "task"),
    [
        ("pointwise", ([RGB], [RGB])),
        ("areawise", ([RAW], [RGB])),
        ("unet", ([RAW], [DISPLAY])),
        ("camera", ([RAW], [DISPLAY])),
    ],
)
def test_export(network: str, task: tuple[list[str], list[str]]) -> None:
    call = Call(shaken(make(card(network, *task, **SMALL[network])))).eval()
    image = noise(3, 6, 6) if task[0] == [RGB] else codes(1, 6, 6)
    exported = torch.export.export(call, (image, torch.tensor(1.0)))
    for ev in (torch.tensor(1.0), torch.tensor(-3.0)):
        torch.testing.assert_close(exported.module()(image, ev), call(image, ev))


# ---- seeds and refusals ----------------------------------------------------------------------------------


def test_the_seed_decides_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = make(card("areawise"), seed=1).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(7)
    second, third = make(card("areawise"), seed=1).state_dict(), make(card("areawise"), seed=2).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], third[name]) for name in first)


def test_wrong_images_are_refused() -> None:
    double = make(card("pointwise"))
    with pytest.raises(RunError, match=r"given an image of shape \(1, 4, 4\); rgb<camera, f32> is \(3, H, W\)"):
        double(noise(1, 4, 4), **KEYWORDS)
    with pytest.raises(RunError, match="was given 0 images; it takes rgb"):
        double(**KEYWORDS)
    mosaic = make(card("areawise", [RAW], [RGB]))
    with pytest.raises(RunError, match="was not told the CFA"):
        mosaic(codes(1, 4, 4), **KEYWORDS)
    with pytest.raises(RunError, match="was given the CFA linear; cfa is one of rggb"):
        mosaic(codes(1, 4, 4), cfa="linear", **KEYWORDS)


@pytest.mark.parametrize(
    ("network", "arguments", "message"),
    [
        ("pointwize", {}, "there is no network pointwize; choose one of pointwise, bank, coring, areawise"),
        ("pointwise", {"widht": 3}, "takes no widht; it takes width: a whole number from 1 to 4096, default 32; depth"),
        ("pointwise", {"width": 3.5}, "width is 3.5; it is a whole number from 1"),
        ("pointwise", {"width": 0}, "width is 0; it is"),
        ("pointwise", {"0": 32.0}, "go by name"),
        ("unet", {"skip": "perhaps"}, "skip is perhaps; it is off or on"),
        ("areawise", {"head": "bald"}, "it is companded or affine or residual"),
    ],
)
def test_wrong_arguments_are_refused(network: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(CompileError, match=message):
        make(card("pointwise").model_copy(update={"network": network, "arguments": arguments}))


def test_what_a_kind_cannot_do_is_refused() -> None:
    with pytest.raises(CompileError, match="no colour of a mosaic, nor a mosaic of colour; choose areawise or unet"):
        make(card("pointwise", [RAW], [RGB]))
    for inputs, output in (([RAW], "raw<C, f32>"), (["rgb<srgb, u8>"], "rgb<srgb, u8>"), ([RGB, RGB], RGB)):
        with pytest.raises(CompileError, match="one image of one of as many planes, in floats; choose areawise"):
            make(card("bank", inputs, [output]))
    with pytest.raises(CompileError, match="vector<3> is no image"):
        make(card("pointwise", [RGB], ["vector<3>"]))


def test_arguments_as_the_language_writes_them() -> None:
    double = make(card("areawise", width=8.0, depth=2.0, knobs=[EV, MODE]))
    widths = [tuple(each.shape) for name, each in double.network.named_parameters() if name.startswith("layers.1.w")]
    assert widths == [(8, 8, 3, 3)]


@pytest.mark.parametrize(("network", "prepared"), [("bank", prepared), ("coring", prepared_with_power)])
def test_a_bank_that_was_shown_its_features_gives_what_it_gives_of_the_image(
    network: str, prepared: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    double = shaken(make(card(network, **SMALL[network])))
    image = noise(2, 3, 9, 7)
    condition = double.condition({"ev": torch.tensor([1.0, -2.0]), "mode": "soft"}, image)
    (whole,) = double.predict((image,), condition)
    (of_rows,) = double.predict((prepared(image)[0].flatten(1).T,), condition[:1])
    torch.testing.assert_close(of_rows, whole[0].flatten(1).T)
    (scattered,) = double.predict((prepared(image)[:, :, 2:5, 3:4],), condition)
    torch.testing.assert_close(scattered, whole[:, :, 2:5, 3:4])


def test_a_bank_sees_a_blur_and_its_level() -> None:
    flat = prepared(torch.full((1, 3, 5, 5), 0.5))[0, 3:, 2, 2]
    torch.testing.assert_close(flat[:21], torch.zeros(21), atol=1e-5, rtol=0)
    torch.testing.assert_close(flat[-1], torch.log2(torch.tensor(0.52)) / 4)


def test_coring_sees_how_much_there_is_round_about() -> None:
    image = torch.full((1, 1, 60, 60), 0.5)
    image[..., :30] += 0.1 * torch.randn(60, 30, generator=torch.Generator().manual_seed(0))
    finest = prepared_with_power(image)[0, 1 + count(1), 30]
    kernel = gaussians()[0]
    spread = 0.1**2 * float(1 - 2 * kernel.max() ** 2 + kernel.square().sum() ** 2)  # of x - G_1 of white noise
    assert float(finest[10]) == pytest.approx(math.log2(spread) / 8 + 1.5, abs=0.2)
    assert float(finest[-1]) == pytest.approx(math.log2(1e-7) / 8 + 1.5, abs=0.01)


def test_what_a_type_cannot_hold_does_not_come_out() -> None:
    image = torch.tensor([-1.0, 0.5, 3.0]).reshape(1, 1, 3).expand(3, 2, 3)
    assert make(card("pointwise", [DISPLAY], [DISPLAY]))(image, **KEYWORDS)[0, 0].tolist()[::2] == [0, 1]
    codes_of = "rgb<srgb, u8>"
    assert make(card("pointwise", [codes_of], [codes_of]))(200 * image, **KEYWORDS)[0, 0].tolist() == [0, 100, 255]
    assert make(card("pointwise"))(image, **KEYWORDS)[0, 0].tolist() == [-1, 0.5, 3]
