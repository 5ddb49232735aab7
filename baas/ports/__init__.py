"""What the services need of an engine: one Protocol per file, its docstring the contract."""
