"""Files: rows in the document store that say what there is, bytes in a blob store."""
