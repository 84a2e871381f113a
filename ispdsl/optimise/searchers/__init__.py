"""Who decides where to look: a file each, all of them an `ispdsl.optimise.engine.Searcher`."""
