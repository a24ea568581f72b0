"""The address of a client behind proxies: what a client writes itself is never used."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.auth_proxy.client_address import client_address
from tests.inference.auth_proxy.conftest import PASSWORD, Gateway
from tests.inference.auth_proxy.test_password_guesses import Client

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7, 10.2.0.1"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1, 10.0.0.9"], "1.1.1.1"),
        ("10.0.0.1", ["10.0.0.9"], "10.0.0.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.1", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("fd00::1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("203.0.113.5", ["198.51.100.7"], "203.0.113.5"),
        ("unknown", ["198.51.100.7"], "unknown"),
    ],
)
def test_the_last_address_that_is_not_a_trusted_proxys_is_the_clients(
    peer: str, forwarded: list[str], address: str
) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded] + [(b"x-real-ip", b"9.9.9.9")]

    assert client_address(peer, headers, TRUSTED) == address
    assert client_address(peer, headers, []) == peer


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=30), max_size=30))
def test_nothing_that_a_client_writes_changes_its_address(written: list[str]) -> None:
    value = ",".join([*written, "198.51.100.7"]).encode("latin-1")

    assert client_address("10.0.0.1", [(b"x-forwarded-for", value)], TRUSTED) == "198.51.100.7"


@given(st.binary(max_size=100))
def test_any_header_gives_an_address(value: bytes) -> None:
    assert client_address("10.0.0.1", [(b"x-forwarded-for", value)], TRUSTED)


@pytest.mark.parametrize(
    ("own_gateway", "separate"), [({"trusted_proxies": ["127.0.0.2"]}, True), ({}, False)], indirect=["own_gateway"]
)
async def test_clients_behind_a_trusted_proxy_are_limited_separately(own_gateway: Gateway, separate: bool) -> None:
    proxy = Client(own_gateway.port, "127.0.0.2")
    for _ in range(5):
        await proxy.log_in("ursula", "wrong", forwarded="198.51.100.7")
    same = await proxy.log_in("ursula", PASSWORD, forwarded="198.51.100.7")
    other = await proxy.log_in("ursula", PASSWORD, forwarded="203.0.113.5")

    assert (same.status, other.status) == (429, 200 if separate else 429)
