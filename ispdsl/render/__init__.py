"""Reports for people (`human`), programs (`json`) and code scanners (`sarif`); trees for people and programs."""
