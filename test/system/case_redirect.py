"""Destinations that are translated: what clients see of a proxy that they did not ask for, outside and among them."""
import errno

import case_fragments
import case_static
import town
import traffic
from cases import case

NOBODY = "192.0.2.99"  # no host has it
ASKED_PORT = 8000
CLOSED_PORT = 9
INSIDE = "100.64.1.10"
INSIDE_PORT = 3128
SHOWN = "203.0.113.5"
RULES = {"workers": "2", "system": "shards: 3", "more": f"""\
static-mappings:
  - {{internal-src-address: {INSIDE}, external-src-address: {SHOWN}, transport-protocol: tcp, internal-src-port: {INSIDE_PORT}}}
destination-nat:
  - {{name: outside, destination: [{NOBODY}/32], transport-protocol: tcp, ports: {ASKED_PORT},
     targets: [{{address: {town.OTHER_SERVER}, ports: {traffic.HTTP_PORT}}}]}}
  - {{name: echo, destination: [{NOBODY}/32, {town.INTERNAL_ADDRESS}/32], transport-protocol: udp, ports: {traffic.UDP_PORT}-{CLOSED_PORT},
     targets: [{town.SERVER}]}}
  - {{name: inside, destination: [0.0.0.0/0], transport-protocol: tcp, ports: 8080,
     targets: [{{address: {INSIDE}, ports: {INSIDE_PORT}}}]}}
"""}


def fetch(world, name, source, url):
    status, output = world.lab.attempt(name, ["curl", "-sS", "--interface", source, "--max-time", "5", url], 8)
    assert status == 0, output
    return output


@case("a web client reaches the proxy and believes that it has the server", **RULES)
def proxy_outside(world):
    for name, source in (("sub1", "100.64.1.3"), ("sub2", "100.64.2.3")):
        seen, _ = traffic.parse_endpoint(fetch(world, name, source, f"http://{NOBODY}:{ASKED_PORT}/who"))
        assert town.in_pool(seen), f"{source} was seen as {seen}"
    rows = [row for row in world.nat.sessions() if "internal-dst-address" in row]
    assert len(rows) == 2, rows
    assert {(row["internal-dst-address"], row["internal-dst-port"], row["remote-address"], row["remote-port"])
            for row in rows} == {(NOBODY, ASKED_PORT, town.OTHER_SERVER, traffic.HTTP_PORT)}, rows
    assert f"{NOBODY}:{ASKED_PORT}" in world.nat.cli("show", "sessions")


@case("UDP answers, whole and in fragments, and ICMP errors come from whom the client has asked",
      starts=False, **RULES, **case_fragments.XDP)
def echo(world):
    case_fragments.start(world)
    for server in (NOBODY, town.INTERNAL_ADDRESS):
        client = traffic.udp_socket(world.lab, "sub1", "100.64.1.4")
        client.connect((server, traffic.UDP_PORT))
        for size in (5, 5000):
            client.send(b"x" * size)
            answer = client.recv(65535)  # a connected socket takes nothing from anybody else
            assert answer.endswith(b" " + b"x" * size), answer[:40]
        closed = traffic.udp_socket(world.lab, "sub1", "100.64.1.4")
        closed.connect((server, CLOSED_PORT))
        closed.send(b"anybody there?")
        try:
            closed.recv(100)
            raise AssertionError("an answer from a closed port")
        except OSError as error:
            assert error.errno == errno.ECONNREFUSED, error
    status, output = traffic.ping(world.lab, "sub1", "100.64.1.4", town.INTERNAL_ADDRESS)
    assert status == 0 and "3 received" in output, output


@case("a proxy among the subscribers serves its neighbours", **RULES)
def proxy_inside(world):
    program = case_static.serve(world, INSIDE_PORT)
    for name, source in (("sub2", "100.64.2.3"), ("sub1", "100.64.1.3")):
        fetch(world, name, source, f"http://{town.SERVER}:8080/")
    came = case_static.callers(program)
    assert len(came) == 2 and all(town.in_pool(address) for address in came), came
    program.stop()


SERVICE = "203.0.113.6"
SERVICES = {"workers": "2", "system": "shards: 3", "more": f"""\
destination-nat:
  - {{name: web, realm: external, destination: [{SERVICE}/32], transport-protocol: tcp, ports: 8080, affinity: none,
     targets: [{{address: {INSIDE}, ports: {INSIDE_PORT}}}, {{address: 100.64.2.10, ports: {INSIDE_PORT}}}]}}
"""}


@case("connections to a service are shared by its servers, from outside and from among them", **SERVICES)
def service(world):
    servers = [case_static.serve(world, INSIDE_PORT, name, address)
               for name, address in (("sub1", INSIDE), ("sub2", "100.64.2.10"))]
    for _ in range(20):
        fetch(world, "net", town.SERVER, f"http://{SERVICE}:8080/")
        fetch(world, "sub2", "100.64.2.3", f"http://{SERVICE}:8080/")
    came = [case_static.callers(server) for server in servers]
    assert sum(map(len, came)) == 40 and min(map(len, came)) > 4, [len(each) for each in came]
    assert all(town.SERVER in each for each in came), came
    rows = world.nat.mappings("external", f"{SERVICE}:8080")
    assert sorted(row["internal-src-address"] for row in rows if row["type"] == "static") == [INSIDE, "100.64.2.10"], rows
    for server in servers:
        server.stop()


CALLED_BACK = {"workers": "2", "system": "shards: 3", "more": f"""\
trigger-forwards:
  - {{name: video, external-src-address: 203.0.113.7, ports: 7648-7649, transport-protocol: udp, trigger-port: {traffic.UDP_PORT},
     access: anyone}}
"""}


@case("who has called the control port last is called back", **CALLED_BACK)
def called_back(world):
    caller = traffic.udp_socket(world.lab, "net", town.OTHER_SERVER, 7777)
    hosts = {"100.64.1.3": "sub1", "100.64.2.3": "sub2"}
    ears = {source: traffic.udp_socket(world.lab, name, source, 7649) for source, name in hosts.items()}
    for source in (*hosts, *hosts):
        control = traffic.udp_socket(world.lab, hosts[source], source)
        traffic.ask(control)
        caller.sendto(b"ring", ("203.0.113.7", 7649))
        assert ears[source].recvfrom(100) == (b"ring", (town.OTHER_SERVER, 7777))
        rows = world.nat.mappings("external", "203.0.113.7:7649")
        assert [row["internal-src-address"] for row in rows if row["type"] == "static"] == [source], rows
    ears["100.64.2.3"].sendto(b"hello", (town.OTHER_SERVER, 7777))
    assert caller.recvfrom(100) == (b"hello", ("203.0.113.7", 7649))
