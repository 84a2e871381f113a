"""How near doubles come to the real things: what `make reproduce-approximation` samples, trains and measures."""
