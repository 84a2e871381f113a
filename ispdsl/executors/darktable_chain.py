"""What a picture needs of darktable: a chain of modules cut where a tap watches, and ends that let images in and out.

darktable has no taps, and its middle is in no file. So a tap is a run of its own: the modules up to the tap, then what
brings the numbers there out unchanged. A mosaic leaves through a demosaic that copies, camera colour and linear colour
through profiles that undo each other. Images enter the same way. Measured: 5e-5 of the value for mosaics, under 3e-4
for colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from ispdsl.errors import CompileError
from ispdsl.executors.darktable_cli import ALWAYS
from ispdsl.executors.darktable_fields import Entry, Module, fixed_entry, pack, read_module
from ispdsl.executors.model import Declared, Node
from ispdsl.ir.types import Type
from ispdsl.runtime.frame import Metadata
from ispdsl.runtime.slots import PhysicalValue

SPACES = {"linear_srgb": 3, "linear_rec2020": 4}
"""Colour spaces in which darktable can work, and its codes of them."""

CAMERA = 4
"""The code under which camera colour passes through: the round trip of linear Rec. 2020 is darktable's most exact."""

IN, OUT, DEMOSAIC, UPRIGHT = "colorin", "colorout", "demosaic", "flip"


@cache
def _colour_in(code: int) -> Entry:
    names = ("u8[512] filename = 0", "i32 intent = 0", "i32 normalize = 0", "i32 blue_mapping = 0")
    return fixed_entry(IN, 7, (f"i32 type = {code}", *names, f"i32 type_work = {code}", "u8[512] filename_work = 0"))


@cache
def _colour_out(code: int) -> Entry:
    return fixed_entry(OUT, 5, (f"i32 type = {code}", "u8[512] filename = 0", "i32 intent = 0"))


@cache
def _copying_demosaic() -> Entry:
    fields = ("i32 green_eq = 0", "f32 median_thrs = 0", "i32 color_smoothing = 0", "i32 demosaicing_method = 3")
    return fixed_entry(DEMOSAIC, 4, (*fields, "i32 lmmse_refine = 0", "f32 dual_thrs = 0"))


@cache
def _upright() -> Entry:
    """The sensor's own rows and columns: orientation is for whoever writes the picture."""
    return fixed_entry(UPRIGHT, 2, ("i32 orientation = 0",))


@dataclass(frozen=True)
class Link:
    """A node of the chain: its module, the type of what it gives, and where its settings are in the table."""

    node: Node
    module: Module
    type: Type


@dataclass(frozen=True)
class Chain:
    """The modules of a pipeline, or the one of a stage, in their order; `source` is the type of what goes in."""

    links: tuple[Link, ...]
    source: Type

    @property
    def brings_colour(self) -> bool:
        """Whether it has darktable's input profile itself, as pipelines from a mosaic have."""
        return any(link.module.operation == IN for link in self.links)


@dataclass(frozen=True)
class Recipe:
    """One picture to be made: the history, and the operations that must have run, those of the text in order."""

    entries: tuple[Entry, ...]
    wanted: tuple[str, ...]
    implied: tuple[str, ...]


# ---- what the text says -------------------------------------------------------------------------------------


def chain_of(declared: Declared) -> Chain:
    """The chain behind a declaration.

    Raises:
        CompileError: a node has no darktable module, the graph is no chain, or an image cannot get in or out.
    """
    nodes = declared.nodes or (_alone(declared),)
    if len(declared.inputs) != 1 or len(declared.inputs[0].type.args) != 2:
        raise CompileError(f"{declared.where}: darktable takes one image", "declare one input")
    chain = Chain(tuple(_link(node, declared) for node in nodes), declared.inputs[0].type)
    for link, before in zip(chain.links, (None, *chain.links[:-1]), strict=True):
        given = next(iter(link.node.inputs.values()))
        wanted = None if before is None else before.node.address
        if len(link.node.inputs) != 1 or given.node != wanted:
            hint = "darktable runs one chain: feed each stage with the one before"
            raise CompileError(f"{declared.where}: {link.node.address} is not fed by {wanted or 'the input'}", hint)
    operations = [link.module.operation for link in chain.links]
    twice = next((each for each in operations if operations.count(each) > 1), None)
    if twice:
        raise CompileError(f"{declared.where}: {twice} stands there twice", "darktable is asked for one instance each")
    _check_ends(chain, declared)
    return chain


def _alone(declared: Declared) -> Node:
    """A stage as the one node of a pipeline, its parameters under their own names."""
    from ispdsl.ir.model import Signature, Value

    parameters = tuple(slot.declaration for slot in declared.slots)
    line = declared.implementation
    signature = Signature(
        name=declared.name,
        key=declared.name,
        inputs=declared.inputs,
        outputs=declared.outputs,
        parameters=parameters,
        implementations=(line,),
        location=line.location,
    )
    inputs = {port.name: Value(node=None, port=port.name) for port in declared.inputs}
    outputs = {port.name: port.type for port in declared.outputs}
    return Node(declared.name, signature, inputs, outputs, {each.name: each.name for each in parameters}, line)


def _link(node: Node, declared: Declared) -> Link:
    if node.executor is None or node.executor.target != "darktable":
        hint = 'give the stage a line such as executor darktable("exposure", version = 6, fields = [...])'
        raise CompileError(f"{declared.where}: {node.address} is no module of darktable", hint)
    if len(node.outputs) != 1:
        raise CompileError(f"{declared.where}: {node.address} has several outputs", "a module has one")
    return Link(node, read_module(node.signature, node.executor), next(iter(node.outputs.values())))


def _check_ends(chain: Chain, declared: Declared) -> None:
    """Where images go in and out, their types must be such that darktable lets them through."""
    mosaic = chain.source.name == "raw"
    if mosaic and declared.kind == "stage":
        hint = "run a pipeline that holds it, with a tap behind it"
        raise CompileError(f"{declared.where}: darktable takes a mosaic only with the file around it", hint)
    if mosaic != chain.brings_colour:
        hint = "from a mosaic the chain has rawprepare ... demosaic ... colorin; from colour it has none of them"
        raise CompileError(f"{declared.where}: its input is {chain.source} and colorin is there or not", hint)
    if not mosaic and (chain.source.name != "rgb" or not _passes(chain.source)):
        hint = f"it takes rgb of {', '.join(SPACES)} or camera"
        raise CompileError(f"{declared.where}: darktable does not take {chain.source}", hint)
    has_out = False
    for link in chain.links:
        has_out = has_out or link.module.operation == OUT
        if not has_out and not (link.type.name == "raw" or (link.type.name == "rgb" and _passes(link.type))):
            hint = f"it gives mosaics and rgb of {', '.join(SPACES)} or camera, and after colorout whatever that makes"
            raise CompileError(f"{declared.where}: {link.node.address} gives {link.type}, which cannot be tapped", hint)


def _passes(type_: Type) -> bool:
    space = str(type_.args[0])
    return space in (*SPACES, "camera") or len(space) == 1


# ---- what a picture needs -----------------------------------------------------------------------------------


def recipe(chain: Chain, last: int, settings: Mapping[str, PhysicalValue], metadata: Metadata) -> Recipe:
    """How to get the image behind the link at index `last`.

    Args:
        chain: from `chain_of`.
        last: index of the link; -1 for the image that goes in.
        settings: by address, in declared units.
        metadata: of the frame.

    Raises:
        ExecutorError: `SETTINGS` where a setting has no code, or metadata is missing.
    """
    packed = [pack(link.module, _local(link, settings), _known(link, metadata)) for link in chain.links]
    upto, beyond = packed[: last + 1], packed[last + 1 :]
    type_ = chain.links[last].type if last >= 0 else chain.source
    ends = _ends(chain, upto, type_)
    # what darktable switches on by itself stays off only where the history says so
    off = [replace(entry, enabled=False) for entry in beyond if entry.operation not in {end.operation for end in ends}]
    implied = tuple(end.operation for end in ends if end.operation != UPRIGHT)
    wanted = tuple(entry.operation for entry in upto if entry.enabled)
    return Recipe((*upto, *off, *ends), wanted, (*implied, *ALWAYS))


def _ends(chain: Chain, upto: Sequence[Entry], type_: Type) -> list[Entry]:
    """What the modules so far lack to let the image in and out."""
    present = {entry.operation for entry in upto}
    mosaic = chain.source.name == "raw"
    space = str(chain.source.args[0] if not mosaic else type_.args[0])
    code = SPACES.get(space, CAMERA)
    ends = [_upright()] if mosaic else []
    if type_.name == "raw" and DEMOSAIC not in present:
        ends.append(_copying_demosaic())
    if IN not in present:
        ends.append(_colour_in(code))
    if OUT not in present:
        ends.append(_colour_out(SPACES.get(str(type_.args[0]), code)))
    return ends


def _local(link: Link, settings: Mapping[str, PhysicalValue]) -> dict[str, PhysicalValue]:
    return {name: settings[address] for name, address in link.node.parameters.items()}


def _known(link: Link, metadata: Metadata) -> Metadata:
    """The frame's metadata, and what the stage says where the frame is silent."""
    defaults = {meta.name: meta.default for meta in link.node.signature.metas if isinstance(meta.default, float | int)}
    return {**defaults, **metadata}
