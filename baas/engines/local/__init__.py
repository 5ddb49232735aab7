"""Blobs as files in the data folder."""
