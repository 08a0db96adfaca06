"""Ports: free ones are found and kept, each node learns the others', and waiting for them ends."""

import http.server
import signal
import socket
import threading
from contextlib import ExitStack

import pytest

from launchers import ports
from launchers.node.agent import run_node
from launchers.placement import NodePlacement
from launchers.ports import NodePorts, exchanged_ports, held_ports
from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, write_frozen
from sgg.errors import SggError
from sgg.runs.exit_status import ExitStatus, State

HOSTS = ("host0", "host1")


def place(node=0, attempt="7_2-0-0"):
    return NodePlacement(node, HOSTS, attempt, "7_2")


def first_choice():
    with held_ports(place(), servers=2) as found:
        return found


def listener(port):
    """A foreign process's, as most servers listen."""
    foreign = socket.socket()
    foreign.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    foreign.bind(("127.0.0.1", port))
    foreign.listen()
    return foreign


def test_a_port_that_is_taken_is_passed_over():
    first = first_choice()
    taken = [first.main, *first.servers]
    with ExitStack() as foreign:
        for port in taken:
            foreign.enter_context(listener(port))
        with held_ports(place(), servers=2) as found:
            assert {found.main, *found.servers}.isdisjoint(taken)
            assert len(found.servers) == 2
    assert first_choice() == first


def test_what_is_held_is_for_our_processes_and_not_for_another_job():
    """The same name of a start on one host would choose the same ports; so may two others by chance."""
    with held_ports(place(), servers=1) as ours:
        with held_ports(place(), servers=1) as others:
            assert {ours.main, *ours.servers}.isdisjoint({others.main, *others.servers})
        server = http.server.HTTPServer(
            ("127.0.0.1", ours.servers[0]), http.server.SimpleHTTPRequestHandler
        )
        server.server_close()
        with listener(ours.main):
            pass
        listener(ours.main).close()  # a server that is started again


def test_no_port_is_left(monkeypatch):
    monkeypatch.setattr(ports, "MAIN", range(20000, 20001))
    with (
        held_ports(place(), 0),
        pytest.raises(SggError, match=r"No free port .* 20000 and 20000"),
        held_ports(place(), 0),
    ):
        pass


def test_nodes_tell_each_other_their_ports(tmp_path):
    """Whoever is first; what an earlier start left there does not count."""
    old = place(attempt="7_2-0-0")
    exchanged_ports(tmp_path, old, NodePorts(1), [0], lambda: None)
    found = {}

    def ask(node, own, wanted):
        found[node] = exchanged_ports(tmp_path, place(node, "7_2-1-0"), own, wanted, lambda: None)

    other = threading.Thread(target=ask, args=(1, NodePorts(None, (22001,)), {0, 1}))
    other.start()
    ask(0, NodePorts(20001), {0, 1})
    other.join()
    assert found[0] == found[1] == {0: NodePorts(20001), 1: NodePorts(None, (22001,))}


def test_waiting_for_a_node_ends_with_a_signal_or_the_runs_end(tmp_path):
    config = compose_config(["hardware.nodes=2", f"paths.run_dir={tmp_path}"])
    write_frozen(config, tmp_path / FROZEN_NAME)
    ending = run_node(tmp_path / FROZEN_NAME, place(1), [signal.SIGTERM], accepted=True)
    assert (ending.state, ending.code, ending.attempt) == (State.stopped, 143, "7_2-0-0")
    assert "before it began" in ending.reason
    fell = ExitStatus(State.failed, 1, "node 0 fell", "7_2-1-0")
    fell.write(tmp_path)
    assert run_node(tmp_path / FROZEN_NAME, place(1, "7_2-1-0"), [], accepted=True) == fell


def test_a_node_that_tells_nothing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(ports, "_LIMIT_S", 0.5)
    monkeypatch.setattr(ports, "_REFRESH_S", 0.1)
    with pytest.raises(SggError, match=r"host0 did not tell host1 its ports within 0\.5 s"):
        exchanged_ports(tmp_path, place(1), NodePorts(None), {0}, lambda: None)
    assert [p.name for p in (tmp_path / "ports").iterdir()] == ["7_2-0-0.1.json"]
