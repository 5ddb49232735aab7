"""Blobs as objects of any store that speaks S3."""
