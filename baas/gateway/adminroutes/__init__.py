"""The admin API, one file per family."""
