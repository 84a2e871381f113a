"""Reports for people (`human`), programs (`json`) and code scanners (`sarif`); a file's tree for people and programs."""
