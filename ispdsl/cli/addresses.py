"""What `--only` and `--per-image` name, looked at before anything is read: what cannot be free says what it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ispdsl.cli.boundary import CommandError

if TYPE_CHECKING:
    from ispdsl.graph import Graph
    from ispdsl.runtime.values import Settings


def check_addresses(graph: Graph, settings: Settings, only: Sequence[str], *, numbers: bool = False) -> None:
    """See that every address or pattern names settings that can be free.

    Args:
        graph: as built.
        settings: of it.
        only: addresses and patterns.
        numbers: whether choices and switches cannot be free.

    Raises:
        CommandError: something in the pipeline, or the raw, gives the value of an address.
        SettingsError: an address is unknown, or cannot be free.
    """
    from ispdsl.optimise.free import why_not_free
    from ispdsl.runtime.vector import named, why_not

    known = {slot.address for slot in settings.slots}
    for address in only:
        if address not in known:
            _refuse_given(graph, address)
    named(settings, only, (lambda slot: why_not(slot, "unit")) if numbers else why_not_free)


def _refuse_given(graph: Graph, address: str) -> None:
    """Say what gives the value of an address that is no setting.

    Raises:
        CommandError: something does.
    """
    from ispdsl.passes.inline import inline

    node, _, name = address.rpartition(".")
    call = next((call for call in inline(graph).calls if call.address == node), None)
    if call is None:
        return
    given, driven = call.metas.get(name), call.parameters.get(name)
    if driven is None and given is not None:
        driven = given.slot
    if driven is not None:
        raise CommandError(f"{address}: it is not free: the parameter {driven} gives it", f"--only {driven}")
    if given is not None and given.meta is not None:
        hint = "where the stage has a parameter that corrects it, free that one"
        raise CommandError(f"{address}: it is not free: the metadata {given.meta} of each raw gives it", hint)
    if given is not None:
        hint = "declare a parameter of the pipeline and give that, to make it adjustable"
        raise CommandError(f"{address}: it is not free: metadata of the stage that is a constant here", hint)
