"""A server knows the addresses that lead to it, and looks names up without stopping the event loop."""

import asyncio
import socket
import threading
import time

import pytest

from sgg.chat_api import own_address
from sgg.chat_api.own_address import LookupFailed, OwnAddresses


def is_own(address, ip="127.0.0.1", port=8000, announced=()):
    return asyncio.run(OwnAddresses(announced).has(address, ip, port))


def test_a_request_is_served_at_its_address():
    assert is_own("localhost:8000")
    assert is_own("127.0.0.1:8000", "::ffff:127.0.0.1")
    assert is_own("::1:8000", "::1")
    assert is_own("10.0.0.7:8000", "10.0.0.7")
    assert not is_own("127.0.0.1:8001")
    assert not is_own("127.0.0.1:8000", "10.0.0.7")  # loopback of another machine
    assert not is_own("10.0.0.6:8000", "10.0.0.7")
    assert not is_own("no-such-host.invalid:8000", "10.0.0.7")
    assert not is_own("127.0.0.1")


def test_an_announced_address_leads_here_from_wherever_it_arrives():
    announced = ("Node7.example:80", "::1:9")
    assert is_own("node7.example:80", "172.17.0.2", announced=announced)
    assert is_own("::1:9", "172.17.0.2", announced=announced)
    assert not is_own("node7.example:8000", "172.17.0.2", announced=announced)
    assert not is_own("other.example:80", "172.17.0.2", 80, announced=announced)


@pytest.fixture
def machine(monkeypatch):
    """Makes this machine one of another name and /etc/hosts; gives the names that are looked up."""

    def named(hostname, **hosts):
        def found(host, *_, **__):
            asked.append(host)
            if host not in hosts:
                raise socket.gaierror(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (hosts[host], 0))]

        asked = []
        monkeypatch.setattr(own_address.socket, "gethostname", lambda: hostname)
        monkeypatch.setattr(own_address.socket, "getaddrinfo", found)
        return asked

    return named


def served(host, ip="10.0.0.7"):
    return is_own(f"{host}:8000", ip)


@pytest.mark.parametrize("hostname", ["node7", "node7.a.example", "NODE7"])
def test_a_machines_own_name_may_lead_to_loopback_on_it(machine, hostname):
    machine(hostname, **dict.fromkeys(("node7", "Node7.a.example", "node7."), "127.0.1.1"))
    assert all(served(host) for host in ("node7", "Node7.a.example", "node7."))


def test_localhost_is_the_own_name_of_no_machine(machine):
    machine("localhost", **{"localhost": "127.0.0.1", "localhost.localdomain": "127.0.0.1"})
    assert not served("localhost")
    assert not served("localhost.localdomain")
    assert served("localhost", "127.0.0.1")


def test_machines_that_share_the_first_label_are_two(machine):
    machine("gpu1.b", **{"gpu1.a": "127.0.1.1", "gpu1.b": "127.0.1.1"})
    assert not served("gpu1.a")
    assert served("gpu1.b")
    machine("gpu1", **{"gpu1.a": "10.0.0.6"})
    assert not served("gpu1.a")  # this machine's name, but of another's address
    assert not served("gpu1.c")  # and a name that nobody knows here


def test_a_name_is_looked_up_once_and_one_without_an_address_again_after_a_while(
    machine, monkeypatch
):
    asked = machine("node7", node7="10.0.0.7")
    addresses, now = OwnAddresses(), time.monotonic()

    def has(host):
        return asyncio.run(addresses.has(f"{host}:8000", "10.0.0.7", 8000))

    monkeypatch.setattr(own_address.time, "monotonic", lambda: now)
    assert has("node7")
    assert not has("unknown")
    now += own_address.RETRY_S - 1
    assert has("node7")
    assert not has("unknown")
    assert asked == ["node7", "unknown"]
    now += 1
    assert not has("unknown")
    assert has("node7")
    assert asked == ["node7", "unknown", "unknown"]


def test_a_name_service_that_fails_once_is_asked_again_at_once(monkeypatch):
    """A run's nodes ask it all at once when they start; the failure says nothing about the name."""

    def failing_once(host, *_, **__):
        asked.append(host)
        if len(asked) == 1:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", 0))]

    asked, addresses = [], OwnAddresses()
    monkeypatch.setattr(own_address.socket, "getaddrinfo", failing_once)
    with pytest.raises(LookupFailed, match="node7 cannot be looked up now: Temporary failure"):
        asyncio.run(addresses.has("node7:8000", "10.0.0.7", 8000))
    assert asyncio.run(addresses.has("node7:8000", "10.0.0.7", 8000))
    assert asyncio.run(addresses.has("node7:8000", "10.0.0.7", 8000))
    assert asked == ["node7", "node7"]


def test_a_slow_lookup_keeps_nobody_else_waiting_and_is_shared(monkeypatch):
    responds, asked = threading.Event(), []

    def slow(host, *_, **__):
        asked.append(host)
        if host == "slow":
            assert responds.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", 0))]

    async def requests():
        addresses = OwnAddresses()

        async def has(host):
            return await addresses.has(f"{host}:8000", "10.0.0.7", 8000)

        waiting = [asyncio.create_task(has("slow")) for _ in range(3)]
        assert await has("quick")
        assert not any(task.done() for task in waiting)
        waiting[0].cancel()  # a client that has gone
        responds.set()
        assert await asyncio.gather(*waiting[1:]) == [True, True]

    monkeypatch.setattr(own_address.socket, "getaddrinfo", slow)
    asyncio.run(requests())
    assert asked.count("slow") == 1
