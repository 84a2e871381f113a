"""What every program must survive, checked in one call.

    check_program(exposure, [image], static={"space": "linear_srgb"}, free={"ev": 0.3}, radius=0)

`images` are small float64 tensors ``(C, H, W)`` without batch dimension (say 8x9), `static` the choices, toggles and
metadata, `free` the continuous parameters (a float, or a tensor for vectors, matrices, curves, tables and grids).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Program = Callable[..., Any]
Outputs = tuple[Tensor, ...]


def check_program(
    program: Program,
    images: Sequence[Tensor],
    *,
    static: Mapping[str, Any] | None = None,
    free: Mapping[str, float | Tensor] | None = None,
    radius: int | None = None,
    sizes: Sequence[tuple[int, int]] = ((2, 2), (3, 5)),
    gradients: bool = True,
    export: bool = True,
) -> None:
    """Run every generic check. `radius` is the declared footprint: 0 pointwise, n local, None global.

    `sizes` are the (height, width) that the images are cropped to besides their own; `gradients=False` leaves out the
    numerical gradients for an input at which the program has a kink. `export=False` leaves out `torch.export` where it
    takes many seconds: test it by `check_exported` among the slow ones.
    """
    call = bind(program, static or {})
    values = {name: tensor(value) for name, value in (free or {}).items()}
    inputs = list(images)
    check_smoke(call, inputs, values, free or {})
    for size in sizes:
        check_size(call, inputs, values, size)
    check_dtype(call, inputs, values)
    check_batches(call, inputs, values)
    check_vmap(call, inputs, values)
    if export:
        check_export(call, inputs, values)
    check_jvp(call, inputs, values)
    if gradients:
        check_gradients(call, inputs, values)
    if radius is not None:
        check_footprint(call, inputs, values, radius)


def check_exported(
    program: Program,
    images: Sequence[Tensor],
    *,
    static: Mapping[str, Any] | None = None,
    free: Mapping[str, float | Tensor] | None = None,
) -> None:
    """Only that `torch.export` takes the program and changes nothing, for what `check_program` leaves out."""
    check_export(
        bind(program, static or {}), list(images), {name: tensor(value) for name, value in (free or {}).items()}
    )


def bind(program: Program, static: Mapping[str, Any]) -> Callable[[Sequence[Tensor], Mapping[str, Any]], Outputs]:
    """The program as a function of its images and its free parameters that always gives a tuple."""

    def call(images: Sequence[Tensor], free: Mapping[str, Any]) -> Outputs:
        result = program(*images, **static, **free)
        return result if isinstance(result, tuple) else (result,)

    return call


def tensor(value: float | Tensor) -> Tensor:
    """A parameter as a float64 tensor."""
    return torch.as_tensor(value, dtype=torch.float64)


def check_smoke(call: Any, images: list[Tensor], values: dict[str, Tensor], free: Mapping[str, float | Tensor]) -> None:
    """Finite, the same bits each time, no input written to, and floats give what 0-dimensional tensors give."""
    before = [image.clone() for image in images]
    first, second, plain = call(images, values), call(images, values), call(images, free)
    for one, two, three in zip(first, second, plain, strict=True):
        assert torch.isfinite(one).all(), "the result is not finite"
        assert torch.equal(one, two), "two runs differ"
        torch.testing.assert_close(one, three, rtol=1e-12, atol=1e-12, msg=lambda text: f"float and tensor: {text}")
    assert all(torch.equal(old, new) for old, new in zip(before, images, strict=True)), "an input was written to"


def check_size(call: Any, images: list[Tensor], values: dict[str, Tensor], size: tuple[int, int]) -> None:
    """Small and odd sizes give finite results of the same number of dimensions."""
    height, width = size
    small = call([image[..., :height, :width] for image in images], values)
    for output, usual in zip(small, call(images, values), strict=True):
        assert torch.isfinite(output).all(), f"not finite at {height}x{width}"
        assert output.dim() == usual.dim(), f"another shape at {height}x{width}"


def check_dtype(call: Any, images: list[Tensor], values: dict[str, Tensor]) -> None:
    """float32 stays float32 and agrees with float64."""
    single = call([image.float() for image in images], {name: value.float() for name, value in values.items()})
    for low, high in zip(single, call(images, values), strict=True):
        assert low.dtype == torch.float32, f"float32 became {low.dtype}"
        torch.testing.assert_close(low.double(), high, rtol=1e-3, atol=1e-3)


def check_batches(call: Any, images: list[Tensor], values: dict[str, Tensor]) -> None:
    """A batch gives what its images give alone, with one setting for all and with a setting for each."""
    pairs = [variants(image) for image in images]
    batch = [torch.stack(pair) for pair in pairs]
    settings = {name: torch.stack([value, value * 1.01 + 1e-3]) for name, value in values.items()}
    shared = call(batch, values)
    own = call(batch, {name: per_image(value) for name, value in settings.items()})
    nested = call([image[None] for image in batch], values)
    for index in range(2):
        alone = call([pair[index] for pair in pairs], values)
        mine = call([pair[index] for pair in pairs], {name: value[index] for name, value in settings.items()})
        for output, result in enumerate(alone):
            compare(shared[output][index], result, "one setting for a batch")
            compare(nested[output][0, index], result, "two batch dimensions")
            compare(own[output][index], mine[output], "a setting for each image of a batch")


def variants(image: Tensor) -> tuple[Tensor, Tensor]:
    """The image and another one near it."""
    return image, image.flip(-1) * 0.9 + 0.01


def per_image(value: Tensor) -> Tensor:
    """Scalars of a batch as ``(B, 1, 1, 1)``; vectors, matrices and tables as they are."""
    return value.reshape(-1, 1, 1, 1) if value.dim() == 1 else value


def compare(found: Tensor, wanted: Tensor, what: str, rtol: float = 1e-9, atol: float = 1e-9) -> None:
    """Equal up to rounding. A real statistic is ``(1, 1, 1)`` in a batch and ``()`` alone."""
    if wanted.dim() == 0:
        found = found.reshape(())
    torch.testing.assert_close(found, wanted, rtol=rtol, atol=atol, msg=lambda text: f"{what}: {text}")


def check_vmap(call: Any, images: list[Tensor], values: dict[str, Tensor]) -> None:
    """`torch.func.vmap` over images and settings gives what a loop gives."""
    pairs = [variants(image) for image in images]
    settings = {name: torch.stack([value, value * 1.01 + 1e-3]) for name, value in values.items()}
    mapped = torch.func.vmap(call)([torch.stack(pair) for pair in pairs], settings)
    for index in range(2):
        alone = call([pair[index] for pair in pairs], {name: value[index] for name, value in settings.items()})
        for output, result in enumerate(alone):
            compare(mapped[output][index], result, "vmap")


def check_export(call: Any, images: list[Tensor], values: dict[str, Tensor]) -> None:
    """`torch.export` takes the program, with a batch dimension, and what it exports gives the same."""

    class Module(torch.nn.Module):
        def forward(self, images: list[Tensor], values: dict[str, Tensor]) -> Outputs:
            return call(images, values)

    batch = [image[None] for image in images]
    exported = torch.export.export(Module(), (batch, values))
    for found, wanted in zip(exported.module()(batch, values), call(batch, values), strict=True):
        compare(found, wanted, "torch.export")


def check_jvp(call: Any, images: list[Tensor], values: dict[str, Tensor]) -> None:
    """Forward and reverse mode agree: <w, J v> = <J^T w, v>."""
    generator = torch.Generator().manual_seed(0)
    point = [*images, *values.values()]

    def flat(*arguments: Tensor) -> Outputs:
        count = len(images)
        return call(list(arguments[:count]), dict(zip(values, arguments[count:], strict=True)))

    def draw(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=like.dtype)

    directions = tuple(draw(value) for value in point)
    outputs, forward = torch.func.jvp(flat, tuple(point), directions)[:2]
    weights = tuple(draw(output) for output in outputs)
    pull = torch.func.vjp(flat, *point)[1]
    left = sum(float((w * f).sum()) for w, f in zip(weights, forward, strict=True))
    right = sum(float((g * d).sum()) for g, d in zip(pull(weights), directions, strict=True))
    assert abs(left - right) <= 1e-8 * max(1.0, abs(left)), f"forward mode {left}, reverse mode {right}"


def check_gradients(call: Any, images: list[Tensor], values: dict[str, Tensor]) -> None:
    """The whole Jacobian, by every image and every free parameter, is that of differences; of a crop of at most 5x5.

    All its rows and columns are taken at once: as many single calls, such as `torch.autograd.gradcheck` makes, take
    seconds. That gradients are the same one by one is held by `check_jvp`, and that differences are by `check_vmap`.
    """
    point = [image[..., :5, :5].clone() for image in images] + [value.clone() for value in values.values()]

    def flat(*arguments: Tensor) -> Outputs:
        count = len(images)
        return call(list(arguments[:count]), dict(zip(values, arguments[count:], strict=True)))

    leaves = [each.requires_grad_() for each in point]
    outputs = flat(*leaves)
    exact = {index: rows_of_jacobian(output, leaves) for index, output in enumerate(outputs) if output.requires_grad}
    assert exact, "no output depends on what is free"
    with torch.no_grad():
        for number, leaf in enumerate(leaves):
            measured = columns_of_jacobian(flat, leaves, number)
            for index, rows in exact.items():
                wanted = measured[index].reshape(leaf.numel(), -1).mT
                found = rows[number].expand(outputs[index].numel(), *leaf.shape).reshape(wanted.shape)
                compare(found, wanted, f"gradients by argument {number}", rtol=1e-4, atol=1e-5)


def rows_of_jacobian(output: Tensor, leaves: list[Tensor]) -> tuple[Tensor, ...]:
    """The derivatives of each sample of an output by each of the leaves, ``(samples, *leaf.shape)``.

    They are zeros of the leaf's own shape where the output does not depend on it.
    """
    each = torch.eye(output.numel(), dtype=output.dtype).reshape(-1, *output.shape)
    return torch.autograd.grad(output, leaves, each, is_grads_batched=True, retain_graph=True, materialize_grads=True)


def columns_of_jacobian(flat: Callable[..., Outputs], leaves: list[Tensor], index: int) -> list[Tensor]:
    """Central differences of each output by each number of the leaf at `index`, ``(numbers, *output.shape)``."""
    nudge, leaf = 1e-7, leaves[index]
    steps = nudge * torch.eye(leaf.numel(), dtype=leaf.dtype).reshape(-1, *leaf.shape)
    moved = torch.func.vmap(lambda value: flat(*leaves[:index], value, *leaves[index + 1 :]))(
        torch.cat([leaf + steps, leaf - steps])
    )
    return [(above - below) / (2 * nudge) for above, below in (each.chunk(2) for each in moved)]


def check_footprint(call: Any, images: list[Tensor], values: dict[str, Tensor], radius: int) -> None:
    """A change of one pixel of the first image reaches no farther than `radius`, and it reaches that pixel."""
    first = images[0]
    row, column = first.shape[-2] // 2, first.shape[-1] // 2
    touched = first.clone()
    touched[..., row, column] += 0.05
    before, after = call(images, values), call([touched, *images[1:]], values)
    rows, columns = torch.meshgrid(torch.arange(first.shape[-2]), torch.arange(first.shape[-1]), indexing="ij")
    near = ((rows - row).abs() <= radius) & ((columns - column).abs() <= radius)
    for old, new in zip(before, after, strict=True):
        assert old.shape[-2:] == first.shape[-2:], "a footprint is declared, but the result has another size"
        changed = (old != new).flatten(0, -3).any(0)
        assert changed[row, column] or radius > 0, "the result does not depend on the pixel"
        assert changed.any(), "the result does not depend on the image"
        assert not (changed & ~near).any(), f"a change reaches farther than the declared radius of {radius}"
