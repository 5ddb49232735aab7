"""Webhooks go to public addresses: no metadata service, no neighbour, by whatever spelling."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code, ConfigurationError, Problem
from baas.functions.outbound import Guarded, check_url
from baas.notation import parse_networks


def resolving(*addresses: str) -> Any:
    return lambda host, port, **more: [(0, 0, 0, "", (address, port)) for address in addresses]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "ff02::1",
    ],
)  # fmt: skip
def test_private_addresses_are_out_of_reach(address: str) -> None:
    with pytest.raises(Problem) as caught:
        Guarded(resolve=resolving(address)).address("hooks.example.com", 443)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(Problem):
        Guarded(resolve=resolving("93.184.216.34", "10.0.0.1")).address("h", 80)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1"])
def test_public_addresses_are_reached(address: str) -> None:
    assert Guarded(resolve=resolving(address)).address("h", 80) == address


def test_a_setting_opens_private_networks() -> None:
    guarded = Guarded(parse_networks(("10.0.0.0/8",)), resolving("10.1.2.3"))
    assert guarded.address("internal", 80) == "10.1.2.3"
    with pytest.raises(Problem):
        Guarded(parse_networks(("10.0.0.0/8",)), resolving("127.0.0.1")).address("h", 80)


@pytest.mark.parametrize(
    "url",
    ["ftp://a/", "file:///etc/passwd", "//a", "http://", "http://u:p@a/", "http://a:0/",
     "http://a:x/", "http://a/ b", "http://a/\r\nX: y", "gopher://a", "http://a/" + "x" * 3000],
)  # fmt: skip
def test_hostile_addresses_are_no_webhooks(url: str) -> None:
    with pytest.raises(ConfigurationError):
        check_url(url)
