"""`python -m baas` is the command `baas`."""

from baas.cli import main

if __name__ == "__main__":
    main(prog_name="baas")
