"""baas: a backend for mini-programs and mobile apps, from one process."""

__version__ = "0.1.0"
