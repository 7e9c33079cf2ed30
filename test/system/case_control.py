"""Start, stop, configuration and control: what an operator does, and what a hostile client tries."""
import json
import os
import re
import signal
import socket
import subprocess
import time

import appliance
import lab as laboratory
import town
import traffic
from cases import case, leftovers


def sekishod(world, *arguments, prefix=(), name="nat"):
    path = appliance.program_path(world.build, "sekishod")
    return world.lab.attempt(name, [*prefix, path, *arguments], 30)


def write(world, text):
    path = os.path.join(world.lab.folder, "other.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


@case("the shipped configurations are accepted by --check", starts=False)
def shipped_configurations(world):
    for name in ("example.yaml", "quickstart.yaml"):
        status, output = sekishod(world, "--check", appliance.shipped_config(name))
        assert status == 0, f"{name}: {output}"


MISTAKES = """\
system: {wrokers: 1}
links:
  - {name: int0, device: "af_packet:int0", realm: internal, addresses: [100.64.0.1/10], mtu: 70000}
  - {name: ext0, device: "af_packet:ext0", realm: external, addresses: [198.51.100.2/24]}
routes:
  - {prefix: 0.0.0.0/0, next-hop: 192.168.7.7}
pools:
  - {name: main, addresses: [203.0.113.0/28, 203.0.113.8], port-block-size: 255}
policies:
  - {name: subscribers, realm: internal, source: [100.64.0.0/10], pool: mian}
"""


@case("--check names every mistake with its place, and exits 1", starts=False)
def bad_configuration(world):
    path = write(world, MISTAKES)
    status, output = sekishod(world, "--check", path)
    assert status == 1, f"exit status {status}"
    lines = [line for line in output.splitlines() if line.startswith(path + ":")]
    for line in lines:
        assert re.match(rf"{re.escape(path)}:\d+:\d+: found .+, wanted .+", line), line
    places = {int(line[len(path) + 1:].split(":")[0]) for line in lines}
    assert {1, 3, 6, 8, 10} <= places, f"mistakes stand on lines 1, 3, 6, 8 and 10, reported were:\n{output}"
    assert "workers" in "".join(line for line in lines if line.startswith(f"{path}:1:")), "the nearest key is not named"


@case("a bad configuration starts nothing", starts=False)
def bad_configuration_starts_nothing(world):
    status, output = sekishod(world, "--config", write(world, MISTAKES))
    assert status == 1 and output.count(": found ") >= 5, output
    assert not leftovers(world.lab)


def is_one_line(output, *words):
    lines = [line for line in output.splitlines() if line.strip()]
    return len(lines) == 1 and all(word in lines[0] for word in words)


@case("a missing device is one line that names it, and exit 1", starts=False)
def missing_device(world):
    text = appliance.TEMPLATE.format(**{**appliance.DEFAULTS, "name": world.lab.prefix, "socket": world.nat.socket,
                                        "int_device": "af_packet:nosuch0"})
    status, output = sekishod(world, "--config", write(world, text))
    assert status == 1, f"exit status {status}: {output}"
    assert is_one_line(errors_of(output), "nosuch0"), output
    assert not leftovers(world.lab)


@case("a missing privilege is one line that says how to get it, and exit 1", starts=False)
def missing_privilege(world):
    world.nat.write_config()
    stripped = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    status, output = sekishod(world, "--config", world.nat.config, prefix=stripped)
    assert status == 1, f"exit status {status}: {output}"
    assert is_one_line(errors_of(output), "CAP_NET_RAW"), output
    assert not leftovers(world.lab)


def errors_of(output):
    """All that is said, save the line that says which version starts."""
    return "\n".join(line for line in output.splitlines() if not line.startswith("sekishod: version "))


@case("a configuration file that is not there is one line, and exit 1", starts=False)
def missing_file(world):
    for option in ("--config", "--check"):
        status, output = sekishod(world, option, "/nonexistent/sekisho.yaml")
        assert status == 1 and is_one_line(output, "/nonexistent/sekisho.yaml"), f"{status}: {output}"


@case("SIGTERM and SIGINT end it with status 0 and nothing is left", starts=False)
def signals(world):
    for number in (signal.SIGTERM, signal.SIGINT):
        world.nat.start()
        traffic.curl(world.lab, "sub1", "100.64.0.11", "/who")
        status = world.nat.stop(number)
        assert status == 0, f"{number.name}: {status}: {world.nat.program.output()[-2000:]}"
        assert not leftovers(world.lab), leftovers(world.lab)


# The command line.

SHOWS = ("status", "links", "workers", "neighbours", "routes", "pools", "subscribers", "mappings", "sessions",
         "counters", "drops", "config")


@case("every show answers for people and as JSON")
def shows(world):
    traffic.curl(world.lab, "sub1", "100.64.0.11", "/who")
    for what in SHOWS:
        assert world.nat.cli("show", what).strip(), f"show {what} printed nothing"
        assert world.nat.show(what), f"show {what} --json is empty"


@case("the socket is for owner and group only")
def socket_mode(world):
    assert os.stat(world.nat.socket).st_mode & 0o777 == 0o660


@case("the client finds the socket by SEKISHO_SOCKET, and says so when nobody answers")
def client(world):
    path = appliance.program_path(world.build, "sekisho")
    status, output = world.lab.attempt(None, [path, "show", "status"],
                                       env={**os.environ, "SEKISHO_SOCKET": world.nat.socket})
    assert status == 0 and output, output
    status, output = world.lab.attempt(None, [path, "--socket", "/nonexistent/socket", "show", "status"])
    assert status != 0 and is_one_line(output, "/nonexistent/socket"), f"{status}: {output}"
    status, output = world.nat.cli_status("show", "nonsense")
    assert status != 0 and output.strip(), "an unknown word is no error"


@case("without arguments the client takes commands from its input")
def interactive(world):
    path = appliance.program_path(world.build, "sekisho")
    done = subprocess.run([path, "--socket", world.nat.socket], input="show status\nshow counters\n", text=True,
                          capture_output=True, timeout=20, check=False)
    assert done.returncode == 0 and "received" in done.stdout, done


@case("clear ends sessions and mappings, and sets counters to zero")
def clear(world):
    bound = traffic.udp_socket(world.lab, "sub1", "100.64.1.20", 2020)
    first = traffic.ask(bound)
    assert world.nat.mappings("subscriber", "100.64.1.20")
    world.nat.cli("clear", "sessions", "subscriber", "100.64.1.20")
    assert not world.nat.sessions("subscriber", "100.64.1.20")
    world.nat.cli("clear", "mappings", "subscriber", "100.64.1.20")
    assert not world.nat.mappings("subscriber", "100.64.1.20")
    assert traffic.ask(bound)[0] == first[0], "the subscriber has lost its external address"
    world.nat.cli("clear", "counters")
    assert world.nat.counters()["received"] < 100


# The socket itself.

class Client:
    """A client that speaks to the socket byte by byte."""

    def __init__(self, world, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(world.nat.socket)
        self.received = b""

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else json.dumps(data).encode() + b"\n")

    def answer(self):
        """The next answer, or None if the other side has closed."""
        while b"\n" not in self.received:
            more = self.socket.recv(65536)
            if not more:
                return None
            self.received += more
        line, self.received = self.received.split(b"\n", 1)
        return json.loads(line)


def error_code(answer):
    assert answer is not None and "error" in answer and answer["error"]["message"], answer
    return answer["error"]["code"]


def still_served(world):
    assert world.nat.show("status"), "another client is not served"
    assert traffic.curl(world.lab, "sub1", "100.64.0.11", "/who"), "traffic does not pass"


@case("malformed JSON is answered with a parse error and the client may go on")
def malformed_json(world):
    hostile = Client(world)
    for garbage in (b"{\n", b"\xff\xfe\n", b'{"jsonrpc": "2.0", "id": 1\n', b"[" * 5000 + b"\n"):
        hostile.send(garbage)
        answer = hostile.answer()
        assert error_code(answer) in (-32700, -32600), f"{garbage[:20]}: {answer}"
    hostile.send({"jsonrpc": "2.0", "id": 7, "method": "no.such.method"})
    answer = hostile.answer()
    assert error_code(answer) == -32601 and answer["id"] == 7, answer
    still_served(world)


@case("requests of wrong types are answered with errors")
def wrong_types(world):
    hostile = Client(world)
    for request in (7, None, "show", [], {"jsonrpc": "1.0", "id": 1, "method": "show.status"},
                    {"jsonrpc": "2.0", "id": 1, "method": 7}, {"jsonrpc": "2.0", "id": {}, "method": "show.status"},
                    {"jsonrpc": "2.0", "id": 1, "method": "show.status", "params": 7},
                    {"jsonrpc": "2.0", "id": 1, "method": "show.status", "params": {"nonsense": 1}},
                    {"jsonrpc": "2.0", "id": 1, "method": "show.sessions", "params": {"subscriber": 7}},
                    {"jsonrpc": "2.0", "id": 1, "method": "show.sessions", "params": {"subscriber": "100.64.0"}}):
        hostile.send(request)
        assert error_code(hostile.answer()) in (-32600, -32601, -32602), request
    still_served(world)


@case("a megabyte without a newline is refused and hurts nobody")
def endless_line(world):
    hostile = Client(world)
    try:
        for _ in range(20):
            hostile.send(b"x" * (1 << 16))
        answer = hostile.answer()
        assert answer is None or "error" in answer, answer
    except (BrokenPipeError, ConnectionResetError):
        pass  # closed: as good an answer
    still_served(world)


@case("clients that hang, ask and never read, or leave in the middle hurt nobody")
def hanging_clients(world):
    idle = [Client(world) for _ in range(20)]
    idle[0].send(b'{"jsonrpc": "2.0", "id"')
    deaf = Client(world)
    deaf.socket.settimeout(0.5)
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "no.such.method"}).encode() + b"\n"
    try:
        for _ in range(2000):
            deaf.send(request * 10)
    except (socket.timeout, BrokenPipeError, ConnectionResetError):
        pass
    for number in range(50):
        leaver = Client(world)
        leaver.send(request[:number])
        leaver.socket.close()
    still_served(world)
    crowd = [Client(world) for _ in range(45)]
    assert laboratory.wait_until(world.nat.answers, 20), "clients that hang lock others out"
    for hanging in [*idle, *crowd, deaf]:
        hanging.socket.close()
    still_served(world)


@case("a listing of thousands of sessions is whole")
def long_listing(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.21")
    ports = range(20000, 23000)
    listed = []

    def complete():
        for number, port in enumerate(ports):  # slowly: a socket's queue holds a few hundred frames
            client.sendto(b"x", (town.SERVER, port))
            if number % 100 == 0:
                time.sleep(0.01)
        sessions = world.nat.sessions("subscriber", "100.64.1.21", "protocol", "udp")
        listed[:] = [session["remote-port"] for session in sessions]
        return set(listed) == set(ports)

    assert laboratory.wait_until(complete, 10), (
        f"{len(set(listed))} of {len(ports)} sessions are listed, others: {sorted(set(listed) - set(ports))}")
    assert len(listed) == len(ports), "a session is listed twice"
