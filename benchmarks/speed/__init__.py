"""How fast pipelines are, beside what a user would take instead; see docs/speed.md."""
