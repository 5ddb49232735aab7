"""Files from Node, with what it has by itself: `fetch`, `FormData`, `Blob`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from scripts.node import program
from tests.support.gateway import Gateway, running, write_app
from tests.support.s3 import Server, server_names

MIB: Final = 1024 * 1024
APP: Final = {
    "baas.yaml": "app: {name: files}\n",
    "rules/_storage.yaml": (
        "- path: own/{uid}/{file...}\n"
        "  read: auth.uid == params.uid\n"
        "  write: auth.uid == params.uid\n"
    ),
}
SCRIPT: Final = """
import { readFile } from 'node:fs/promises'
import { createHash } from 'node:crypto'
const [base, source] = process.argv.slice(2)
const signed = await (await fetch(base + '/v1/auth/sign-in/anonymous', {
  method: 'POST', headers: {'content-type': 'application/json'}, body: '{}'})).json()
const authorization = 'Bearer ' + signed.accessToken, own = `own/${signed.user.uid}/`
async function call(path, body) {
  const headers = {authorization, 'content-type': 'application/json'}
  const url = `${base}/v1/storage/${path}`
  return (await fetch(url, {method: 'POST', headers, body: JSON.stringify(body)})).json()
}
async function digest(answer) {
  const hash = createHash('sha256')
  for await (const piece of answer.body) hash.update(piece)
  return hash.digest('hex')
}
async function form(url, fields, headers) {
  const body = new FormData()
  for (const name in fields) body.append(name, fields[name])
  body.append('file', new Blob([await readFile(source)], {type: 'video/mp4'}))
  return fetch(url, {method: 'POST', headers, body})
}
const found = {}
const sent = await form(base + '/v1/storage/upload', {path: own + '猫.mp4'}, {authorization})
found.uploaded = await sent.json()
const url = `${base}/v1/storage/files/${encodeURI(own + '猫.mp4')}`
found.downloaded = await digest(await fetch(url, {headers: {authorization}}))
const part = await fetch(url, {headers: {authorization, range: 'bytes=1000-1999'}})
found.part = [part.status, (await part.arrayBuffer()).byteLength]
found.stranger = (await fetch(url)).status

const size = found.uploaded.size, path = own + 'signed.mp4'
const wanted = {path, operation: 'upload', size, contentType: 'video/mp4'}
const [link] = (await call('sign', {files: [wanted]})).files
found.posted = (await form(link.url, link.fields)).status
found.signed = await call(`uploads/${link.uploadId}/complete`, {})
const [read] = (await call('sign', {files: [{path}]})).files
found.linked = await digest(await fetch(read.url))

const parts = await call('uploads', {path: own + 'parts.mp4', size})
const data = await readFile(source)
for (let n = 1; (n - 1) * parts.partSize < size; n++) {
  const body = data.subarray((n - 1) * parts.partSize, n * parts.partSize)
  const headers = {authorization, 'content-type': 'application/octet-stream'}
  const to = `${base}/v1/storage/uploads/${parts.uploadId}/parts/${n}`
  await fetch(to, {method: 'POST', headers, body})
}
found.parts = await call(`uploads/${parts.uploadId}/complete`, {})
console.log(JSON.stringify(found))
"""


@pytest.fixture(params=["local", *server_names()])
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    environment: dict[str, str] = {}
    if request.param != "local":
        server: Server = request.getfixturevalue("s3_servers")(request.param)
        environment = server.environment()
    with running(write_app(tmp_path_factory.mktemp("app"), APP), **environment) as started:
        yield started


def test_up_and_down_in_every_way(gateway: Gateway, tmp_path: Path) -> None:
    data = os.urandom(20 * MIB + 3)
    source = tmp_path / "film.mp4"
    source.write_bytes(data)
    script = tmp_path / "files.mjs"
    script.write_text(SCRIPT)
    ran = subprocess.run(
        [program(), "--no-warnings", str(script), gateway.url, str(source)],
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    digest = hashlib.sha256(data).hexdigest()
    for name in ("uploaded", "signed", "parts"):
        assert found[name]["hash"] == digest, found[name]
        assert found[name]["contentType"] == "video/mp4"
    assert found["downloaded"] == found["linked"] == digest
    assert found["part"] == [206, 1000]
    assert found["stranger"] == 404
    assert found["posted"] in (200, 201, 204)
