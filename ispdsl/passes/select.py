"""Bind the type variables from the frame, and choose how each node runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ispdsl.calls import Call, substitute
from ispdsl.diagnostics import nearest
from ispdsl.errors import NoProgramError, PlanError
from ispdsl.graph import Graph, rebuilt, verify
from ispdsl.ir.model import Implementation, Port
from ispdsl.ir.types import BAYER, CFAS, SPACES, Type, is_variable, storage_fits

EVERY = "*"
"""In a choice of implementations: all nodes that have it."""

PROXY = "proxy"
"""In a choice of implementations: the node's double."""


def specialise(graph: Graph, variables: Mapping[str, str | int]) -> Graph:
    """Put a CFA, space or storage for each type variable of the pipeline.

    Raises:
        PlanError: the pipeline has no such variable, or the name fits nowhere that it is used.
    """
    verify(graph)
    known = type_variables(graph)
    for name, value in variables.items():
        if name not in known:
            raise PlanError(f"{graph.name} has no type variable {name}", f"it has {', '.join(known) or 'none'}")
        _check_role(graph, name, value)
    calls = [
        replace(
            call,
            outputs={port: substitute(type_, variables) for port, type_ in call.outputs.items()},
            types={name: variables.get(str(argument), argument) for name, argument in call.types.items()},
        )
        for call in graph.calls
    ]
    return verify(
        rebuilt(graph, calls, inputs=_ports(graph.inputs, variables), outputs=_ports(graph.outputs, variables))
    )


def _ports(ports: tuple[Port, ...], variables: Mapping[str, str | int]) -> tuple[Port, ...]:
    return tuple(port.model_copy(update={"type": substitute(port.type, variables)}) for port in ports)


def type_variables(graph: Graph) -> tuple[str, ...]:
    """The type variables of a pipeline that are not bound yet, in the order of its inputs."""
    found = [str(argument) for port in graph.inputs for argument in port.type.args if is_variable(argument)]
    return tuple(dict.fromkeys(found))


def _check_role(graph: Graph, name: str, value: str | int) -> None:
    """A CFA where a CFA stands, a space where a space stands."""
    for port in graph.inputs:
        if not port.type.is_image or not port.type.args or port.type.args[0] != name:
            continue
        allowed, what = (CFAS, "CFA") if port.type.name == "raw" else (SPACES, "colour space")
        if value not in allowed:
            raise PlanError(f"{value} is no {what} for {port.name}: {port.type}", f"it is one of {', '.join(allowed)}")


def match(graph: Graph, given: Mapping[str, Type]) -> dict[str, str | int]:
    """What the type variables have to be for inputs of these types, by the name of the input.

    Raises:
        PlanError: an input has another layout, CFA or space, or a storage that does not fit.
    """
    found: dict[str, str | int] = {}
    ports = {port.name: port for port in graph.inputs}
    for name, type_ in given.items():
        if name not in ports:
            raise PlanError(f"{graph.name} has no input {name}", f"it has {', '.join(ports)}")
        wanted = ports[name].type
        fits = wanted.name == type_.name and len(wanted.args) == len(type_.args)
        for asked, offered in zip(wanted.args, type_.args, strict=False) if fits else ():
            if is_variable(asked):
                fits &= found.setdefault(str(asked), offered) == offered
            else:
                fits &= asked == offered or storage_fits(offered, asked)
        if not fits:
            hint = "demosaic or convert it in the pipeline, or choose another pipeline"
            raise PlanError(f"{graph.name} takes {name}: {wanted}, and was given {type_}", hint)
    return found


def for_cfa(graph: Graph, cfa: str) -> dict[str, str | int]:
    """The type variables for a frame of this CFA; none where the pipeline takes no mosaic or names this very CFA.

    Raises:
        PlanError: `cfa` is no CFA, or the pipeline is made for another one.
    """
    if cfa not in CFAS:
        raise PlanError(f"{cfa} is no CFA", f"it is one of {', '.join(CFAS)}; {BAYER[0]} is red at the top left")
    found: dict[str, str | int] = {}
    for port in graph.inputs:
        if port.type.name != "raw":
            continue
        wanted = port.type.args[0]
        if is_variable(wanted):
            found[str(wanted)] = cfa
        elif wanted != cfa:
            raise PlanError(f"{graph.name} takes {port.name}: {port.type}, and the frame's CFA is {cfa}")
    return found


def select(graph: Graph, choice: Mapping[str, str] | None = None, doubles: Mapping[str, str] | None = None) -> Graph:
    """Choose each node's implementation: its double, else its program, or what `choice` says by the node's address.

    A choice is the kind (``program``, ``proxy``, ``executor``), or the target (``package.module:function``,
    ``command``). The real thing is run only where it is asked for: it has no gradient. Under ``*`` stands what every
    node shall be that can.

    Args:
        graph: any graph.
        choice: by address.
        doubles: the kind of network of each node that has a double.

    Raises:
        PlanError: a node has no program, or a choice names no node or nothing that the node has.
    """
    verify(graph)
    choice, doubles = choice or {}, doubles or {}
    for address in choice:
        if address != EVERY and address not in graph.nodes:
            near = nearest(address, graph.nodes)
            hint = f"did you mean {near}?" if near else f"its nodes are {', '.join(graph.nodes)}"
            raise PlanError(f"{graph.name} has no node {address}", hint)

    def chosen(call: Call) -> Implementation:
        offered = _offered(call, doubles)
        return _chosen(graph, call, offered, _wanted(call, offered, choice))

    return verify(rebuilt(graph, [replace(call, implementation=chosen(call)) for call in graph.calls]))


def _offered(call: Call, doubles: Mapping[str, str]) -> tuple[Implementation, ...]:
    """How a node can run: as a double only where there is one, whatever network its stage suggests."""
    declared = tuple(item for item in call.signature.implementations if item.kind != PROXY)
    if call.address not in doubles:
        return declared
    return (Implementation(kind=PROXY, target=doubles[call.address], location=call.location), *declared)


def _wanted(call: Call, offered: tuple[Implementation, ...], choice: Mapping[str, str]) -> str | None:
    """What a node shall be: what is said of itself, else of every node, where it can be that."""
    every = choice.get(EVERY)
    can = any(every in (item.kind, item.target) for item in offered)
    return choice.get(call.address, every if can else None)


def _chosen(graph: Graph, call: Call, offered: tuple[Implementation, ...], wanted: str | None) -> Implementation:
    """What is to run: what the composite is made of is differentiable, unless the choice is another."""
    kinds = (PROXY, "program") if wanted is None else (PROXY, "program", "executor")
    found = [item for item in offered if wanted in (None, item.kind, item.target) and item.kind in kinds]
    if found:
        return found[0]
    has = (
        ", ".join(f"{item.kind} {item.target}" for item in call.signature.implementations) or "no implementation at all"
    )
    where = f"node {call.address} calls stage {call.signature.name} ({call.signature.location})"
    if wanted == PROXY:
        hint = f"give --doubles RUN, as `ispdsl train` makes it, or choose --impl {call.address}=program"
        raise PlanError(f"{where}, which cannot run as proxy: there is no double of it", hint)
    if wanted is not None and any(item.kind == "program" for item in offered):
        what = f"{where}, which cannot run as {wanted}: it has {has}"
        raise PlanError(what, f"choose --impl {call.address}=program")
    whole = next((item.target for item in graph.implementations if item.kind == "executor"), None)
    if whole is not None:
        hint = f"{graph.name} as a whole is run by its executor {whole}: choose that by --backend"
        raise NoProgramError(f"{where}, which has no program: it has {has}", hint)
    if any(item.kind == "executor" for item in offered):
        hint = f"choose --impl {call.address}=executor, or '*=executor' for all that have one"
        raise NoProgramError(f"{where}, which has no program: it has {has}", hint)
    example = f'program "ispdsl.programs.NAME:{call.signature.name}"'
    raise NoProgramError(f"{where}, which has no program: it has {has}", f"give the stage a line such as {example}")
