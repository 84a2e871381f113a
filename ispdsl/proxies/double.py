"""A double: a trained network that is called exactly like the program that it stands in for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ispdsl.errors import CompileError, RunError
from ispdsl.ir.types import Type
from ispdsl.proxies import kinds
from ispdsl.proxies.card import Card
from ispdsl.proxies.codec import Levels, code_range, is_mosaic, levels
from ispdsl.proxies.conditioning import Compression, Conditioning, Statistics, measure, positive
from ispdsl.proxies.task import Task
from ispdsl.proxies.weights import HINT, MARK, header, read_card, write_whole

__all__ = ["Double", "Statistics", "load", "make", "measure", "read_card", "save"]

CONDITIONING = "conditioning."
"""What the names of the weights of `Double.conditioning` begin with."""

Program = Callable[..., Any]


class Double(nn.Module):
    """A network with its card, its conditioning and its codec.

    Attributes:
        card: what it doubles, and how well. Training replaces it by a fuller one.
        radius: how many pixels beyond itself an output pixel depends on; None where on all.
    """

    def __init__(self, card: Card, statistics: Statistics) -> None:
        super().__init__()
        arguments = kinds.check(card.network, card.arguments)
        self.card = card
        self.codec = kinds.codec(card.network, card.task, arguments)
        self.conditioning = Conditioning(card.task, statistics)
        self.compression = Compression(self.conditioning.sizes, _levels_of(card.task))
        self.network = kinds.kind(card.network).build(self.codec.shape(self.compression.size), arguments)
        self._program: Sequence[Program] = ()  # in a tuple: a module in here is no part of this one

    @property
    def radius(self) -> int | None:
        """Of the receptive field in pixels of the image."""
        found: Any = self.network.radius
        return found

    def bind(self, program: Program) -> Double:
        """Give a grey box the program that it corrects; returns itself. It is called as the double is.

        Raises:
            CompileError: this kind of network corrects no program.
        """
        if not self.codec.program:
            raise CompileError(f"the double of {self.card.task.name} corrects no program", "only residual does")
        self._program = (program,)
        return self

    def forward(self, *images: Tensor, **keywords: Any) -> Tensor | tuple[Tensor, ...]:
        """Called like a program: images ``(C, H, W)`` or ``(B, C, H, W)``, and the declaration's keywords.

        Keywords that were the same in all samples, and ``space``, may be given and change nothing; ``cfa`` says the
        phase of mosaics whose type leaves it open. The result has the dtype of the first image, and a batch dimension
        where an image or a keyword has one. Where its type has limits (``unit``, codes) it is cut there, as the real
        thing's is; `predict` leaves it as the network made it.

        Raises:
            RunError: images or keywords are not those of the task.
        """
        self._check(images)
        like = next(self.network.parameters())
        plain = [image.to(like.dtype) for image in images]
        condition = self.condition(keywords, plain[0])
        alone = all(image.dim() == 3 for image in images) and not self._batched(keywords)
        batch = max([condition.shape[0], *(image.shape[0] for image in images if image.dim() == 4)])
        stacked = [image.expand(batch, *image.shape[-3:]) for image in plain]
        base = self.base(images, keywords) if self.codec.program else None
        made = self.predict(stacked, condition, keywords.get("cfa"), base)
        results = (legal(image, each) for image, each in zip(made, self.card.task.outputs, strict=True))
        given = tuple((each[0] if alone else each).to(images[0].dtype) for each in results)
        return given[0] if len(given) == 1 else given

    def condition(self, keywords: Mapping[str, Any], like: Tensor) -> Tensor:
        """What `predict` is conditioned on: ``(B or 1, K)`` in the dtype of `like`."""
        return self.conditioning(keywords, like)

    def base(self, images: Sequence[Tensor], keywords: Mapping[str, Any]) -> tuple[Tensor, ...]:
        """What the program of a grey box makes of a call, ``(B, C, H, W)`` in the dtype of the weights.

        Raises:
            RunError: no program was bound.
        """
        if not self._program:
            name = self.card.task.name
            raise RunError(f"the double of {name} corrects a program and was given none", "bind one with .bind")
        found = self._program[0](*images, **keywords)
        results = found if isinstance(found, tuple) else (found,)
        like = next(self.network.parameters())
        return tuple(each.reshape(-1, *each.shape[-3:]).to(like.dtype) for each in results)

    def predict(
        self,
        images: Sequence[Tensor],
        condition: Tensor,
        cfa: str | None = None,
        base: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, ...]:
        """The network itself: images ``(B, C, H, W)`` and a condition ``(B or 1, K)`` to the output images.

        Kinds in layout ``sites`` take rows ``(N, n)`` as `pixels` makes them as well, with a condition
        ``(N or 1, K)``, and give rows ``(N, C)``. `base` is what the program gave, for a grey box.
        """
        shown = [*images, *(base or ())]
        if len(shown) != len(self.codec.inputs):
            raise RunError(f"the double of {self.card.task.name} works on {len(self.codec.inputs)} images")
        phase = self.codec.cfa(cfa)
        scales = [self._levels(index, condition) for index in range(len(shown))]
        shown = [
            image.expand(condition.shape[0], *image.shape[1:]) if image.shape[0] == 1 else image for image in shown
        ]
        seen = self.codec.encode(shown, scales, phase)
        given = self.network(seen, self.compression(condition)).to(condition.dtype)
        outputs = [
            levels(each, lambda name: self._level(name, condition), condition) for each in self.card.task.outputs
        ]
        size = (int(images[0].shape[-2]), int(images[0].shape[-1]))
        return self.codec.decode(given, seen, outputs, phase, size)

    def pixels(self, images: Sequence[Tensor], cfa: str | None = None, *, outputs: bool = False) -> tuple[Tensor, ...]:
        """Images ``(B, C, H, W)`` of the inputs (a grey box: and of its program), or of the outputs, as rows.

        The rows of a mosaic that goes in carry their place in the 2x2 pattern: ``(N, 5)``.
        """
        return self.codec.pixels(images, self.codec.cfa(cfa), outputs=outputs)

    def _levels(self, index: int, condition: Tensor) -> Levels | None:
        return levels(self.codec.inputs[index], lambda name: self._level(name, condition), condition)

    def _level(self, name: str, condition: Tensor) -> Tensor | None:
        """A level from the condition, or from the constants of the card; None where the double knows none."""
        found = self.conditioning.reading(condition, name)
        if found is not None:
            return found
        for key, value in self.card.constants.items():
            if key.endswith(name):
                return torch.as_tensor(value, dtype=condition.dtype, device=condition.device).reshape(1, -1)
        return None

    def _batched(self, keywords: Mapping[str, Any]) -> bool:
        """Whether a keyword that is read has a batch dimension."""
        ranks = {each.name: len(each.shape) for each in (*self.card.task.knobs, *self.card.task.readings)}
        given = [(value, ranks[name]) for name, value in keywords.items() if name in ranks]
        return any(
            value.dim() > rank if isinstance(value, Tensor) else isinstance(value, list | tuple) and rank == 0
            for value, rank in given
        )

    def _check(self, images: Sequence[Tensor]) -> None:
        task = self.card.task
        wanted = ", ".join(map(str, task.inputs))
        if len(images) != len(task.inputs):
            raise RunError(f"the double of {task.name} was given {len(images)} images", f"it takes {wanted}")
        for image, each in zip(images, task.inputs, strict=True):
            planes = 1 if is_mosaic(each) else each.planes
            if image.dim() not in (3, 4) or image.shape[-3] != planes:
                shape = tuple(image.shape)
                hint = f"{each} is ({planes}, H, W), or (B, {planes}, H, W)"
                raise RunError(f"the double of {task.name} was given an image of shape {shape}", hint)


def _levels_of(task: Task) -> list[int]:
    """Which items of a condition are levels of codes that come or go."""
    if not any(each.name == "raw" and code_range(each) for each in (*task.inputs, *task.outputs)):
        return []
    names = [each.name for each in (*task.knobs, *task.readings)]
    return [index for index, name in enumerate(names) if name.endswith(("black_level", "white_level"))]


def legal(image: Tensor, each: Type) -> Tensor:
    """An image within what its type can hold: 0..1 of ``unit``, 0 to the largest code of codes; floats as they are."""
    top = code_range(each) or (1 if "unit" in each.args else None)
    return image if top is None else image.clamp(0, top)


def make(card: Card, statistics: Statistics | None = None, seed: int = 0) -> Double:
    """A new double, its weights drawn from `seed` alone. `statistics` of the training data: `conditioning.measure`.

    Raises:
        CompileError: there is no such network, it takes other arguments, or cannot do the task.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Double(card, statistics or Statistics())


def save(double: Double, path: Path) -> None:
    """Write weights and card as one safetensors file: whole, or not at all.

    Raises:
        CompileError: the file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in double.state_dict().items()}
    metadata = {"what": MARK, "card": double.card.model_dump_json(), "sha256": digest(tensors)}
    write_whole(Path(path), safetensors.torch.save(tensors, metadata))


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names and bytes of tensors, in the order of their names."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode() + b"\0")
        found.update(tensors[name].contiguous().view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def load(path: Path, device: str | torch.device = "cpu") -> Double:
    """The double of a file. Nothing in the file is executed.

    Raises:
        CompileError: the file is no double's or damaged, its weights are not those of its card, not those that were
            written, or not finite.
    """
    path = Path(path)
    card = read_card(path)
    try:
        found = safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise CompileError(f"{path} is damaged: {error}", HINT) from None
    own = {name.removeprefix(CONDITIONING): each for name, each in found.items() if name.startswith(CONDITIONING)}
    double = make(card, Statistics(positive=positive(card.task, own)))
    wanted = double.state_dict()
    if found.keys() != wanted.keys():
        names = ", ".join(sorted(found.keys() ^ wanted.keys())[:3])
        raise CompileError(f"{path}: its weights are not those of {card.network} ({names})", HINT)
    for name, tensor in found.items():
        if tensor.shape != wanted[name].shape:
            shapes = f"{tuple(tensor.shape)} instead of {tuple(wanted[name].shape)}"
            raise CompileError(f"{path}: {name} has shape {shapes}", HINT)
        if tensor.is_floating_point() != wanted[name].is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise CompileError(f"{path}: {name} holds values that are no finite numbers", HINT)
    if digest(found) != header(path)["__metadata__"].get("sha256"):
        raise CompileError(f"{path} is damaged: its weights are not those that were written", HINT)
    double.load_state_dict(found)
    return double.to(device)
