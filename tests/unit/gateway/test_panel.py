"""The panel's files: what is served, to whom, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from baas.settings import AdminSettings, Settings
from tests.support.app import running_app
from tests.support.gateway import write_app


def test_it_can_be_switched_off_and_the_api_stays(tmp_path: Path) -> None:
    settings = Settings(admin=AdminSettings(panel=False))
    with running_app(write_app(tmp_path, {}), settings) as app:
        assert app.get("/admin/").status == 404
        assert app.get("/v1/admin/status", app.admin_key("settings:read")).status == 200


def test_the_apps_own_folder_cannot_stand_in_for_it(tmp_path: Path) -> None:
    files = {"public/admin/index.html": "mine", "public/index.html": "home"}
    with running_app(write_app(tmp_path, files)) as app:
        assert b"mine" not in app.get("/admin/").body
        for path in ("/admin/index.html/", "/admin//", "/Admin/", "/admin/.hidden"):
            assert app.get(path).status == 404, path


@pytest.mark.parametrize(
    "path",
    [
        "/admin/../pyproject.toml",
        "/admin/..%2fpackage.json",
        "/admin/%2e%2e/package.json",
        "/admin/assets/../../package.json",
        "/admin/\\..\\package.json",
        "/admin/" + "a" * 300,
        "/admin/\0",
    ],
)
def test_nothing_else_is_served(tmp_path: Path, path: str) -> None:
    with running_app(write_app(tmp_path, {})) as app:
        assert app.get(path).status == 404
