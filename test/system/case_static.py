"""Destinations exempt from translation, and static mappings: between real clients and servers."""
import os
import re
import sys

import town
import traffic
from cases import case

EXEMPT = {"policy": f"exempt: [{town.OTHER_SERVER}/32, {{destination: {town.SERVER}/32, ports: {traffic.UDP_PORT}}}]",
          "workers": "2", "system": "shards: 3"}


def route_back(world):
    """The provider's way to the subscribers, who are not translated for some destinations."""
    world.lab.ip("net", f"route replace 100.64.0.0/10 via {town.EXTERNAL_ADDRESS}")


@case("an exempt destination sees the subscribers themselves, over TCP, UDP and ICMP", tags="[rfc6888-req6]", **EXEMPT)
def exempt(world):
    route_back(world)
    for name, source in (("sub1", "100.64.1.3"), ("sub2", "100.64.2.3"), ("sub1", "100.64.1.4")):
        seen, _ = traffic.parse_endpoint(traffic.curl(world.lab, name, source, "/who", server=town.OTHER_SERVER))
        assert seen == source, f"{source} was seen as {seen}"
        client = traffic.udp_socket(world.lab, name, source)
        assert traffic.ask(client, town.OTHER_SERVER) == client.getsockname()
        assert traffic.ask(client, town.SERVER) == client.getsockname()  # this port of it is exempt
        seen, _ = traffic.parse_endpoint(traffic.curl(world.lab, name, source, "/who"))  # and this one is not
        assert town.in_pool(seen), f"{source} was seen as {seen}"
        status, output = traffic.ping(world.lab, name, source, town.OTHER_SERVER)
        assert status == 0 and "3 received" in output, output
    assert world.nat.counters()["untranslated"] > 0


@case("an exempt host outside may begin, and no other", tags="[rfc6888-req6]", **EXEMPT)
def exempt_inbound(world):
    route_back(world)
    inside = traffic.udp_socket(world.lab, "sub1", "100.64.1.5")
    target = inside.getsockname()
    outside = traffic.udp_socket(world.lab, "net", town.OTHER_SERVER, 7777)
    outside.sendto(b"knock", target)
    data, sender, ttl = traffic.receive_with_ttl(inside)
    assert (data, sender, ttl) == (b"knock", (town.OTHER_SERVER, 7777), 63), (data, sender, ttl)
    traffic.udp_socket(world.lab, "net", town.SERVER, 7777).sendto(b"knock", target)
    assert traffic.hears_nothing(inside)
    status, output = traffic.ping(world.lab, "net", town.OTHER_SERVER, "100.64.1.5")
    assert status == 0 and "3 received" in output, output
    status, _ = traffic.ping(world.lab, "net", town.SERVER, "100.64.1.5", count=1)
    assert status != 0


# Static mappings: a port for everybody, one for a few, a run of ports, and a whole address.
PORTS = "203.0.113.5"
WHOLE = "203.0.113.6"
WEB_PORT = 8080
STATIC = {"workers": "2", "system": "shards: 3", "more": f"""\
static-mappings:
  - {{internal-src-address: 100.64.1.10, external-src-address: {PORTS}, transport-protocol: tcp,
     internal-src-port: {traffic.HTTP_PORT}, external-src-port: {WEB_PORT}}}
  - {{internal-src-address: 100.64.1.10, external-src-address: {PORTS}, transport-protocol: tcp,
     internal-src-port: {traffic.HTTP_PORT + 1}, external-src-port: {WEB_PORT + 1}, access: [{town.OTHER_SERVER}/32]}}
  - {{internal-src-address: 100.64.2.10, external-src-address: {PORTS}, internal-src-port: 5000-5009}}
  - {{internal-src-address: 100.64.2.11, external-src-address: {WHOLE}}}
"""}


# Python's own web server, without the look-up of a name that it begins with.
SERVER = """\
import functools, http.server, socketserver, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[3])
socketserver.TCPServer.allow_reuse_address = True
server = socketserver.TCPServer((sys.argv[1], int(sys.argv[2])), handler)
print("serving", flush=True)
server.serve_forever()
"""


def serve(world, port, name="sub1", address="100.64.1.10"):
    """A web server; its output names who came (callers)."""
    folder = os.path.join(world.lab.folder, "www")
    os.makedirs(folder, exist_ok=True)
    program = world.lab.spawn(name, f"server{port}", [sys.executable, "-B", "-c", SERVER, address, str(port), folder])
    program.wait_for("serving")
    return program


def fetch(world, name, source, port):
    status, _ = world.lab.attempt(name, ["curl", "-sS", "--interface", source, "--max-time", "2",
                                         f"http://{PORTS}:{port}/"], 5)
    return status == 0


def callers(server):
    return re.findall(r"^(\S+) - - .*GET", server.output(), re.MULTILINE)


@case("a web server behind a static port is reached from outside and by its neighbours", **STATIC)
def static_port(world):
    server = serve(world, traffic.HTTP_PORT)
    assert fetch(world, "net", town.SERVER, WEB_PORT)
    assert fetch(world, "sub2", "100.64.2.3", WEB_PORT)
    first, second = callers(server)
    assert first == town.SERVER and town.in_pool(second), f"{first} and {second} came"
    rows = world.nat.mappings("external", f"{PORTS}:{WEB_PORT}")
    assert [(row["type"], row["internal-src-address"]) for row in rows] == [("static", "100.64.1.10")], rows
    world.nat.cli("clear", "mappings", "all")
    assert fetch(world, "net", town.SERVER, WEB_PORT)
    server.stop()


@case("an access list admits only whom it names", **STATIC)
def static_access(world):
    server = serve(world, traffic.HTTP_PORT + 1)
    assert fetch(world, "net", town.OTHER_SERVER, WEB_PORT + 1)
    before = world.nat.dropped("filtered")
    assert not fetch(world, "net", town.SERVER, WEB_PORT + 1)
    assert world.nat.dropped("filtered") > before
    assert callers(server) == [town.OTHER_SERVER], callers(server)
    server.stop()


@case("a run of static ports and a whole address work both ways, ping and fragments too", tags="[rfc5508-req7-query]",
      **STATIC)
def static_run(world):
    for port in (5000, 5004, 5009):
        inside = traffic.udp_socket(world.lab, "sub2", "100.64.2.10", port)
        assert traffic.ask(inside) == (PORTS, port)
        outside = traffic.udp_socket(world.lab, "net", town.OTHER_SERVER, 7777)
        outside.sendto(b"knock", (PORTS, port))
        assert inside.recvfrom(100) == (b"knock", (town.OTHER_SERVER, 7777))
        inside.close()
        outside.close()
    whole = traffic.udp_socket(world.lab, "sub2", "100.64.2.11", 999)
    assert traffic.ask(whole) == (WHOLE, 999)
    for name, source, more in (("net", town.SERVER, ()), ("sub1", "100.64.1.3", ()), ("net", town.SERVER, ("-s", "1400"))):
        status, output = traffic.ping(world.lab, name, source, WHOLE, more=more)
        assert status == 0 and "3 received" in output, output
    status, output = traffic.ping(world.lab, "sub2", "100.64.2.11")
    assert status == 0 and "3 received" in output, output
