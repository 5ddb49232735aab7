"""Where a gateway listens, for the commands beside it."""

from __future__ import annotations

from pathlib import Path

from baas.cli.listener import note_address, noted_address


def test_the_address_is_noted_where_no_engine_has_made_a_folder(tmp_path: Path) -> None:
    """As with MongoDB and S3."""
    data = tmp_path / "new" / "data"
    assert noted_address(data) is None
    note_address(data, "http://127.0.0.1:9123")
    assert noted_address(data) == "http://127.0.0.1:9123"
    assert data.stat().st_mode & 0o077 == 0
