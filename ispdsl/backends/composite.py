"""The differentiable composite: a pipeline as one `torch.nn.Module` from image, settings and metadata to images.

composite = compile(graph, cfa="rggb")
rendering = composite(mosaic, {"exposure.ev": torch.tensor(0.7)}, metadata)
rendering.image, rendering.taps["toned"], rendering.statistics["hist"]
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ispdsl.backends import programs, values
from ispdsl.backends.given import checked_images, in_one_batch, metadata_of, start_of
from ispdsl.backends.rendering import Inputs, Rendering, flat_grey
from ispdsl.backends.steps import Step, check_finite, run, step_of
from ispdsl.calls import Call
from ispdsl.errors import RunError
from ispdsl.graph import Graph
from ispdsl.ir.model import Value
from ispdsl.plan import Plan, plan
from ispdsl.proxies.card import Card
from ispdsl.runtime.slots import Slot, is_table
from ispdsl.runtime.values import Settings, SettingsError

if TYPE_CHECKING:
    from ispdsl.backends.doubles import Doubles

Progress = Callable[[int, int, str], None]
"""Called before each step with its number from 0, the number of steps, and the node."""


def compile(  # the name that a compiler's user expects
    graph: Graph,
    *,
    types: Mapping[str, str | int] | None = None,
    cfa: str | None = None,
    impl: Mapping[str, str] | None = None,
    taps: Iterable[str] | None = None,
    trust: Collection[str] = (),
    checked: bool = False,
    allow_exec: bool = False,
    doubles: Doubles | None = None,
) -> Composite:
    """Make a graph executable.

    Args:
        graph: as built, or after any passes.
        types: CFA, space or storage for type variables.
        cfa: CFA of the frame: binds the type variable of the mosaic.
        impl: implementation by node address.
        taps: names of the taps, or of other named values, to give; None means all taps.
        trust: top-level packages besides `ispdsl.programs` whose programs may run.
        checked: hold settings that are tensors to their hard ranges too, which looks at their numbers: not for `vmap`.
        allow_exec: run the programs and devices that executor lines of chosen nodes name, whoever wrote the text.
        doubles: trained networks in the places of calls: a run or folder of doubles, or by address a file or a
            `ispdsl.proxies.double.Double`. All of them run, unless `impl` says ``proxy`` of some or something else of
            others. They are submodules; those that are read from files are frozen.

    Raises:
        PlanError: the frame does not fit, a name does not exist, a node has no program, or a double does not fit.
        CompileError: a program is not trusted, not there, or disagrees with its stage's declaration; `trust` names
            what is no package of a program here.
    """
    if not doubles:
        return Composite(plan(graph, types, impl, taps, cfa), trust, checked, allow_exec)
    from ispdsl.backends.doubles import cards, opened

    made = plan(graph, types, impl, taps, cfa, cards(doubles))
    return Composite(made, trust, checked, allow_exec, opened(doubles, made.graph, trust))


class Composite(nn.Module):
    """A pipeline that runs. Tables that the text gives are buffers; everything else comes with each call."""

    def __init__(
        self,
        made: Plan,
        trust: Collection[str] = (),
        checked: bool = False,
        allow_exec: bool = False,
        doubles: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        super().__init__()
        self.plan = made
        self._checked = checked
        graph = made.graph
        self._slots = {slot.address: slot for slot in graph.slots if slot.drives}
        self._metas = {meta.name: meta for meta in graph.metas}
        self._before = frozenset(call.address for call in graph.calls if call.previous)
        frees = {step.node: step.frees for step in made.steps}
        programs.check_trust(trust, graph.module)
        networks = {address: each for address, each in (doubles or {}).items() if isinstance(each, nn.Module)}
        self.doubles = nn.ModuleDict({_attribute(address): network for address, network in networks.items()})
        self._steps = tuple(
            step_of(call, graph, trust, frees[call.address], allow_exec, doubles) for call in graph.calls
        )
        self._statistics = {
            _statistic_name(call, port): str(Value(node=call.address, port=port))
            for call in graph.calls
            if call.statistic
            for port in call.outputs
        }
        self._progress: Progress | None = None
        self._inspects = False
        for slot in self._slots.values():
            if is_table(slot) and slot.start is not None:
                self.register_buffer(_attribute(slot.address), values.table_tensor(slot))

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return self.plan.graph.name

    @property
    def sha256(self) -> str:
        """Hash of the texts that define it."""
        return self.plan.graph.sha256

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The address table."""
        return self.plan.graph.slots

    @property
    def cards(self) -> dict[str, Card]:
        """The cards of the doubles in it, by address."""
        found = {call.address: _attribute(call.address) for call in self.plan.graph.calls}
        doubles = {address: self.doubles[name] for address, name in found.items() if name in self.doubles}
        return {address: double.card for address, double in doubles.items() if isinstance(double.card, Card)}

    @property
    def steps(self) -> tuple[Step, ...]:
        """What runs, in order."""
        return self._steps

    def replaced(self, steps: Iterable[Step]) -> Composite:
        """The same composite with other steps in the places of its own; settings, tables and doubles are shared."""
        other = copy(self)
        other._steps = tuple(steps)
        return other

    @property
    def statistics(self) -> dict[str, str]:
        """Values of the graph that are statistics, by the names that a rendering has them under."""
        return dict(self._statistics)

    @property
    def fed_back(self) -> frozenset[str]:
        """Nodes whose statistics are read in the frame after."""
        return self._before

    @property
    def feeds_back(self) -> bool:
        """Whether it reads a statistic of the frame before."""
        return bool(self._before)

    @property
    def progress(self) -> Progress | None:
        """What is called before each step."""
        return self._progress

    def on_step(self, callback: Progress | None) -> None:
        """Call `callback` before each step; None stops that. Not called while the module is traced."""
        self._progress = callback

    def forward(
        self,
        image: Tensor | Mapping[str, Tensor],
        settings: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        previous: Mapping[str, Tensor] | None = None,
    ) -> Rendering:
        """Run the pipeline.

        Args:
            image: ``(C, H, W)`` or ``(B, C, H, W)``, of a floating dtype; a mapping by name where there are several.
            settings: values by address; those left out are at their start. Numbers are canonical (``%`` as a
                fraction), ``()`` or ``(B,)``, tables ``(*shape)`` or ``(B, *shape)``, choices str, switches bool; text
                is read with its unit, as ``"50%"``. All but tensors are held to the hard range; tensors, which may be
                traced, only where compiled with `checked`. Any dtype and device becomes that of the image.
            metadata: canonical values by name; what the frame leaves out takes its default.
            previous: the `statistics` of the frame before; without them, those of a flat grey of 18 %.

        Raises:
            RunError: wrong or missing images, settings or metadata; as StageError, a program failed.
        """
        frame, made_up = self.inputs(image, settings, metadata, previous)
        for index, step in enumerate(self._steps):
            if self._progress is not None and not torch.compiler.is_compiling():
                self._progress(index, len(self._steps), step.node)
            results = self._run(step, [self._read(name, frame) for name in step.images], frame)
            if self._inspects:
                check_finite(step, results)
            frame.found.update({name: result for (name, _), result in zip(step.outputs, results, strict=True)})
            for name in step.frees:
                frame.found.pop(name, None)
        return self.rendering({name: found[0] for name, found in frame.found.items()} if made_up else frame.found)

    def inspect(
        self,
        image: Tensor | Mapping[str, Tensor],
        settings: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        previous: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Run as `forward` does, and stop at the first node that gives a number that is not finite.

        Raises:
            StageError: that node, its stage, and how many of its numbers.
            RunError: an image has such numbers already; and as `forward`.
        """
        for name, given in checked_images(self.plan.graph, image).items():
            wrong = given.numel() - int(given.isfinite().sum())
            if wrong:
                raise RunError(f"input {name}: {wrong} of {given.numel()} values are not finite")
        self._inspects = True
        try:
            self.forward(image, settings, metadata, previous)
        finally:
            self._inspects = False

    def grey_before(
        self,
        image: Tensor | Mapping[str, Tensor],
        settings: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> dict[str, Tensor]:
        """Statistics of a flat grey of 18 % of the frame's size, by name: what `forward` takes where none are given.

        Raises:
            RunError: as `forward`.
        """
        frame, made_up = self.inputs(image, settings, metadata)
        found = self.before(frame)
        return {name: value[0] for name, value in found.items()} if made_up else found

    def start(
        self,
        metadata: Mapping[str, Any] | None = None,
        dtype: torch.dtype = torch.float64,
        besides: Collection[str] = (),
    ) -> dict[str, Tensor | str | bool]:
        """Canonical starting values of everything that settings may hold `besides` some, as `forward` takes them.

        Raises:
            RunError: metadata that a value starts at is missing.
        """
        like = torch.empty((), dtype=dtype)
        given = {} if metadata is None else metadata
        slots = [slot for slot in self._slots.values() if not slot.fixed and not slot.structural]
        return {slot.address: self._start(slot, given, like) for slot in slots if slot.address not in besides}

    def check_addresses(self, addresses: Iterable[str]) -> None:
        """Make sure that these can be set.

        Raises:
            RunError: there is no such parameter, or it is fixed.
        """
        for address in addresses:
            slot = self._slots.get(address) or self._named(address)
            if slot.fixed:
                raise RunError(f"{address} is fixed in the pipeline", "remove `fixed` there to make it adjustable")

    # ---- for whoever runs the steps in another way ---------------------------------------------------------

    def inputs(
        self,
        image: Tensor | Mapping[str, Tensor],
        settings: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        previous: Mapping[str, Tensor] | None = None,
    ) -> tuple[Inputs, bool]:
        """What `forward` makes of its arguments before the first step, and whether a batch of one was made up.

        Raises:
            RunError: wrong or missing images or settings.
        """
        images = checked_images(self.plan.graph, image)
        given = {} if metadata is None else metadata
        resolved = self._settings({} if settings is None else settings, given, next(iter(images.values())))
        images, resolved, made_up = in_one_batch(images, resolved, given, self._slots, self._metas)
        like = next(iter(images.values()))
        return Inputs(like, resolved, given, {} if previous is None else previous, dict(images)), made_up

    def before(self, frame: Inputs) -> dict[str, Tensor]:
        """The statistics of the frame before that are read: those given, or those of a flat grey frame."""
        read = ((key, value) for key, value in self._statistics.items() if value.rpartition(".")[0] in self._before)
        return {key: self._read(value, frame) for key, value in read}

    def keywords(self, step: Step, frame: Inputs) -> dict[str, Any]:
        """What the program of a step is given besides images, once the statistics that it needs are in `found`.

        Raises:
            RunError: metadata is missing.
        """
        return self._keywords(step, frame, self._read)

    def rendering(self, found: Mapping[str, Tensor]) -> Rendering:
        """Outputs, taps and statistics out of the values of the graph."""
        graph = self.plan.graph
        return Rendering(
            outputs={port.name: found[str(graph.results[port.name])] for port in graph.outputs},
            taps={name: found[str(value)] for name, value in graph.taps.items()},
            statistics={name: found[value] for name, value in self._statistics.items()},
        )

    def _settings(self, given: Mapping[str, Any], metadata: Mapping[str, Any], like: Tensor) -> dict[str, Any]:
        """The value of every parameter that drives something."""
        if isinstance(given, Settings):
            hint = "ispdsl.backends.vector.tensors(settings)"
            raise RunError("the settings are `Settings`, not values by address", hint)
        self.check_addresses(given)
        checked = self._checked and not torch.compiler.is_compiling()
        return {
            address: values.setting(slot, given[address], like, checked)
            if address in given
            else self._start(slot, metadata, like)
            for address, slot in self._slots.items()
        }

    def _start(self, slot: Slot, metadata: Mapping[str, Any], like: Tensor) -> Any:
        kept = self.get_buffer(_attribute(slot.address)) if is_table(slot) and slot.start is not None else None
        return start_of(slot, metadata, like, kept)

    def _named(self, address: str) -> Slot:
        try:
            return Settings.of(self.plan.graph).slot(address)
        except SettingsError as error:
            raise RunError(error.message, error.hint) from error

    # ---- running -------------------------------------------------------------------------------------------

    def _read(self, name: str, frame: Inputs) -> Tensor:
        """A value of this frame, or of the one before where the node says so."""
        node = name.rpartition(".")[0]
        if node not in self._before:
            return frame.found[name]
        statistic = next(key for key, value in self._statistics.items() if value == name)
        if statistic in frame.previous:
            return values.tensor(statistic, frame.previous[statistic], frame.like)
        return self._of_grey(name, frame)

    def _of_grey(self, name: str, frame: Inputs) -> Tensor:
        """A statistic of a flat grey image of the frame's size and dtype."""
        step = next(step for step in self._steps if any(output == name for output, _ in step.outputs))
        images = [flat_grey(type_, frame.like) for type_ in step.image_types]
        results = self._run(step, images, frame, self._of_grey)
        return next(result for (output, _), result in zip(step.outputs, results, strict=True) if output == name)

    def _run(
        self, step: Step, images: list[Tensor], frame: Inputs, read: Callable[[str, Inputs], Tensor] | None = None
    ) -> tuple[Tensor, ...]:
        """Call one program."""
        return run(step, images, self._keywords(step, frame, read or self._read))

    def _keywords(self, step: Step, frame: Inputs, look: Callable[[str, Inputs], Tensor]) -> dict[str, Any]:
        keywords: dict[str, Any] = {name: frame.settings[address] for name, address in step.parameters}
        keywords.update(
            {meta.name: metadata_of(meta, given, frame, self._metas, self.name) for meta, given in step.metas}
        )
        keywords.update({name: look(value, frame) for name, value in step.needs})
        keywords.update(step.program.layout)
        return keywords


def _statistic_name(call: Call, port: str) -> str:
    return call.address if len(call.outputs) == 1 else f"{call.address}.{port}"


def _attribute(address: str) -> str:
    """An address with a stroke for the dot, which names of buffers and modules must not have."""
    return address.replace(".", "/")
