"""Registers over I2C, as image sensors have them: 16-bit addresses and 32-bit words, high byte first (MIPI CCI).

I2C is far too slow for pictures. It carries registers alone; frames go another way, by TCP or a mapped file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.transport import broken, left


class I2cBus:
    """A device on a bus."""

    def __init__(self, where: str, bus: Any, message: Any, device: int) -> None:
        self.where = where
        self._bus = bus
        self._message = message
        self._device = device
        self._stopped = False

    def read(self, addresses: Sequence[int], until: float) -> tuple[int, ...]:
        """See `Words`."""
        return tuple(self._read(address, until) for address in addresses)

    def _read(self, address: int, until: float) -> int:
        ask = self._message.write(self._device, list(address.to_bytes(2, "big")))
        answer = self._message.read(self._device, 4)
        self._transfer(until, ask, answer)
        return int.from_bytes(bytes(list(answer)), "big")

    def write(self, pairs: Iterable[tuple[int, int]], until: float) -> None:
        """See `Words`."""
        for address, word in pairs:
            data = [*address.to_bytes(2, "big"), *word.to_bytes(4, "big")]
            self._transfer(until, self._message.write(self._device, data))

    def _transfer(self, until: float, *messages: Any) -> None:
        left(until, self.where)
        if self._stopped:
            raise broken(self.where, "stopped")
        try:
            self._bus.i2c_rdwr(*messages)
        except OSError as error:
            raise broken(self.where, error.strerror or error) from error

    def stop(self) -> None:
        """See `Words`."""
        self._stopped = True

    def close(self) -> None:
        """See `Words`."""
        self._bus.close()


def open_i2c(path: str, device: int) -> I2cBus:
    """Open a bus such as ``/dev/i2c-1``.

    Raises:
        ExecutorError: ABSENT, smbus2 is not installed or there is no such bus.
    """
    where = f"i2c {path} device {device:#x}"
    try:
        import smbus2  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        hint = "install it: pip install smbus2"
        raise ExecutorError(Fault.ABSENT, f"{where}: the package smbus2 is not here", hint, command=(where,)) from error
    library: Any = smbus2
    try:
        bus = library.SMBus(path)
    except OSError as error:
        hint = "load the driver (modprobe i2c-dev), name an existing bus, and see that you may use it"
        raise ExecutorError(Fault.ABSENT, f"{where}: {error.strerror or error}", hint, command=(where,)) from error
    return I2cBus(where, bus, library.i2c_msg, device)
