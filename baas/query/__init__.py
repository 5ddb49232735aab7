"""The query language: one AST, one meaning. Pure: no I/O, no clock, no settings."""
