"""A simulated camera ISP with registers: a process of its own, in integers, which knows nothing of the compiler.

It stands where a board would: `ispdsl-device --tcp 7171`. It has no gradients, and its picture is nobody else's: it
shares no source with the library's programs. What it has in common with its clients is the format of the messages.
"""
