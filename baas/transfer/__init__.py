"""Everything that an app keeps, from one engine to another or to a folder of plain files."""
