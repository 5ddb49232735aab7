"""Variants of a photo: what the first request costs, with its worker, beside Pillow in one process.

    python -m bench.variants [--rounds 5]

Each round asks for a variant that nobody has asked for before (another quality), then again for the
one that is kept. CPU of workers is what the gateway's ended children used, user and system.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

import httpx
from PIL import Image

from tests.support.gateway import Gateway, running, write_app

RULES: Final = "- {path: '{name}', read: true, write: true}\n"
SIDES: Final = (4000, 3000)
KEPT_REQUESTS: Final = 300
_TICKS: Final = os.sysconf("SC_CLK_TCK")

#: What is asked for, and the same with Pillow alone: longest side and format.
VARIANTS: Final = (
    ("w=96&h=96&fit=cover&format=webp", 96, "WEBP"),
    ("w=400&h=400", 400, "JPEG"),
    ("w=400&format=webp", 400, "WEBP"),
    ("w=1600&format=webp", 1600, "WEBP"),
    ("w=1600&format=avif", 1600, "AVIF"),
)


def photo() -> bytes:
    """12 million pixels of soft colours with some grain."""
    soft = Image.radial_gradient("L").resize(SIDES)
    grain = Image.effect_noise(SIDES, 12)
    image = Image.merge("RGB", (soft, Image.blend(soft, grain, 0.3), grain))
    made = io.BytesIO()
    image.save(made, "JPEG", quality=88)
    return made.getvalue()


def alone(data: bytes, side: int, name: str, quality: int) -> float:
    """Seconds that Pillow needs in a process that has it already."""
    begun = time.perf_counter()
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (side, side))
    image.thumbnail((side, side))
    image.save(io.BytesIO(), name, quality=quality)
    return time.perf_counter() - begun


def workers_cpu(gateway: Gateway) -> float:
    """Seconds of the gateway's children that have ended."""
    fields = Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / _TICKS


def measured(gateway: Gateway, address: str) -> tuple[float, float, int]:
    """Seconds until it was there, CPU of its worker, bytes."""
    before, begun = workers_cpu(gateway), time.perf_counter()
    answer = gateway.client.get(address)
    answer.raise_for_status()
    took = time.perf_counter() - begun
    return took, workers_cpu(gateway) - before, len(answer.content)


def row(gateway: Gateway, data: bytes, variant: tuple[str, int, str], rounds: int) -> str:
    query, side, name = variant
    address = f"/v1/storage/files/photo.jpg?{query}"
    found = [measured(gateway, f"{address}&q={50 + number}") for number in range(rounds)]
    plain = median(alone(data, side, name, 50 + number) for number in range(rounds))
    took, cpu = median(one[0] for one in found), median(one[1] for one in found)
    cells = (f"`{query}`", f"{1000 * took:.0f}", f"{1000 * cpu:.0f}", f"{1000 * plain:.0f}")
    return f"| {' | '.join(cells)} | {found[0][2] / 1024:.0f} |"


def kept(gateway: Gateway) -> tuple[float, float]:
    """Median ms of a variant that is kept, and requests per second on one connection."""
    address = "/v1/storage/files/photo.jpg?w=400&h=400&q=50"
    times = []
    begun = time.perf_counter()
    for _ in range(KEPT_REQUESTS):
        started = time.perf_counter()
        gateway.client.get(address).raise_for_status()
        times.append(time.perf_counter() - started)
    return 1000 * median(times), KEPT_REQUESTS / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds
    data = photo()
    with tempfile.TemporaryDirectory() as folder:
        app = {"baas.yaml": "app: {name: v}\n", "rules/_storage.yaml": RULES}
        unlimited = {"BAAS_LIMITS__RATE_READ": "off", "BAAS_OBSERVE__ACCESS_SAMPLE": "0"}
        with running(write_app(Path(folder), app), **unlimited) as gateway:
            gateway.client.timeout = httpx.Timeout(60)
            form = {"file": ("p", data, "image/jpeg")}
            sent = gateway.client.post("/v1/storage/upload", data={"path": "photo.jpg"}, files=form)
            sent.raise_for_status()
            print(
                f"| {len(data) / 1024**2:.1f} MiB, 12 megapixels | first ms | worker CPU ms |",
                end="",
            )
            print(" Pillow alone ms | KiB |\n|---|---|---|---|---|")
            for variant in VARIANTS:
                print(row(gateway, data, variant, rounds), flush=True)
            milliseconds, rate = kept(gateway)
            print(f"\nkept: {milliseconds:.2f} ms, {rate:,.0f} requests/s on one connection")


if __name__ == "__main__":
    main()
