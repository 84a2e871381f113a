"""A pipeline at its settings in the forms that other programs read, each held to the composite before it counts."""
