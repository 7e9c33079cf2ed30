"""Two realms with the same addresses: real clients that are called alike, on a link of their own each."""
import json
import os

import appliance
import town
import traffic
from cases import case, need_af_xdp

CLIENT = "10.0.0.2"
GATEWAY = "10.0.0.1"
TEXT = """\
system: {{name: realms, workers: 1, shards: 3, huge-pages: never}}
realms: [{{name: red, side: internal}}, {{name: blue, side: internal}}]
links:
  - {{name: red0, device: "{driver}:red0", realm: red, addresses: [10.0.0.1/24]}}
  - {{name: blue0, device: "{driver}:blue0", realm: blue, addresses: [10.0.0.1/24]}}
  - {{name: ext0, device: "{driver}:ext0", realm: external, addresses: [198.51.100.2/24], proxy-arp: true}}
routes:
  - {{prefix: 0.0.0.0/0, next-hop: 198.51.100.1}}
  - {{prefix: 172.16.0.0/16, next-hop: 10.0.0.9, realm: red}}
  - {{prefix: 172.16.0.0/16, next-hop: 10.0.0.9, realm: blue}}
pools: [{{name: main, addresses: [203.0.113.0/28]}}]
policies:
  - {{name: red, realm: red, source: [10.0.0.0/24, 172.16.0.0/16], pool: main}}
  - {{name: blue, realm: blue, source: [10.0.0.0/24, 172.16.0.0/16], pool: main}}
log: {{file: {folder}/bindings.log}}
limits: {{sessions: 65536, mappings: 65536, subscribers: 4096}}
control: {{socket: {folder}/sekisho.sock}}
"""


def build(world, driver="af_packet"):
    """A client in each realm, at the end of a cable to the appliance, and the appliance."""
    for realm in ("red", "blue"):
        world.lab.add(realm)
        world.lab.veth("nat", f"{realm}0", realm, "eth0")
        world.lab.ip("nat", f"link set {realm}0 arp off")
        world.lab.ip_batch(realm, [f"address add {CLIENT}/24 dev eth0", f"route add default via {GATEWAY}"])
    world.nat = appliance.Appliance(world.lab, world.build, text=TEXT.format(folder=world.lab.folder, driver=driver))
    world.nat.start()


@case("two realms with the same addresses are two worlds, and the tools tell them apart", starts=False, name="realms")
def same_addresses(world):
    build(world)
    seen = {}
    for realm in ("red", "blue", "red", "blue"):
        status, output = traffic.ping(world.lab, realm, CLIENT)
        assert status == 0 and "3 received" in output, output
        status, output = traffic.ping(world.lab, realm, CLIENT, GATEWAY)
        assert status == 0 and "3 received" in output, output
        size = 200_000
        assert traffic.download_sha256(world.lab, realm, CLIENT, size)
    clients = {realm: traffic.udp_socket(world.lab, realm, CLIENT, 4000) for realm in ("red", "blue")}
    for realm, client in clients.items():
        seen[realm] = traffic.ask(client)
    assert seen["red"] != seen["blue"], seen
    for realm, (address, port) in seen.items():
        for rows in (world.nat.show("who", "external", f"{address}:{port}")["who"],
                     world.nat.mappings("external", f"{address}:{port}", "protocol", "udp")):
            # The same port of TCP may be anybody's.
            assert [(row["realm"], row["internal-src-address"], row["internal-src-port"]) for row in rows
                    if row["transport-protocol"] == "udp"] == [(realm, CLIENT, 4000)], rows
        for what in ("sessions", "mappings", "subscribers"):
            both = world.nat.show(what, "subscriber", CLIENT)[what]
            one = world.nat.show(what, "subscriber", CLIENT, "realm", realm)[what]
            assert {row["realm"] for row in both} == {"red", "blue"}, both
            assert one and {row["realm"] for row in one} == {realm}, one
    status, output = world.nat.cli_status("show", "sessions", "realm", "green")
    assert status != 0 and "red" in output and "blue" in output, output

    hops = traffic.traceroute(world.lab, "blue", CLIENT)
    assert hops[0] == GATEWAY and hops[-1] == town.SERVER, hops
    clients["red"].sendto(b"hello", seen["blue"])  # from one realm to the other, by their outsides
    assert clients["blue"].recvfrom(100) == (b"hello", seen["red"])
    clients["blue"].sendto(b"well", seen["red"])
    assert clients["red"].recvfrom(100) == (b"well", seen["blue"])

    world.nat.cli("clear", "sessions", "subscriber", CLIENT, "realm", "red")
    left = world.nat.sessions("subscriber", CLIENT)
    assert left and {row["realm"] for row in left} == {"blue"}, left
    assert traffic.ask(clients["blue"]) == seen["blue"]
    routes = [(row["prefix"], row["link"], row["realm"]) for row in world.nat.show("routes")["routes"]]
    assert ("172.16.0.0/16", "red0", "red") in routes and ("172.16.0.0/16", "blue0", "blue") in routes, routes
    check_log(world, seen)


def check_log(world, seen):
    """Each mapping of these ports in the log, with its realm."""
    world.nat.stop()
    with open(os.path.join(world.lab.folder, "bindings.log"), encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    for realm, (address, port) in seen.items():
        made = [event["realm"] for event in events
                if event["event"] == "mapping-created" and event["transport-protocol"] == "udp"
                and (event["external-src-address"], event["external-src-port"]) == (address, port)]
        assert realm in made, (realm, made)


@case("pings in fragments of two clients with one address reach each its own", starts=False, name="realms-fragments")
def fragments(world):
    need_af_xdp()  # af_packet has the kernel put datagrams together
    build(world, "af_xdp")
    for realm in ("red", "blue", "red"):
        status, output = traffic.ping(world.lab, realm, CLIENT, more=("-s", "5000"))
        assert status == 0 and "3 received" in output, (realm, output)


@case("a realm is sealed: what forges, and what names the other's addresses, ends or goes outside",
      starts=False, name="realms-sealed")
def sealed(world):
    build(world)
    world.lab.ip("blue", "address add 10.0.0.3/32 dev lo")
    inside = traffic.udp_socket(world.lab, "blue", "10.0.0.3", 7000)
    red = traffic.udp_socket(world.lab, "red", CLIENT)
    world.lab.ip("red", f"route add 10.0.0.3/32 via {GATEWAY}")
    before = world.nat.dropped("wrong-side")
    red.sendto(b"knock", ("10.0.0.3", 7000))
    assert traffic.hears_nothing(inside)
    assert world.nat.dropped("wrong-side") > before
    world.lab.ip("red", "address add 10.0.7.7/32 dev lo")  # no policy of this realm covers it
    forger = traffic.udp_socket(world.lab, "red", "10.0.7.7")
    before = world.nat.dropped("no-policy")
    forger.sendto(b"x", (town.SERVER, traffic.UDP_PORT))
    assert traffic.hears_nothing(forger)
    assert world.nat.dropped("no-policy") > before


@case("what two realms make ambiguous is named before anything starts", starts=False, name="realms-check")
def ambiguous(world):
    text = TEXT.format(folder=world.lab.folder, driver="af_packet").replace("next-hop: 10.0.0.9, realm: red", "next-hop: 10.0.0.9")
    path = os.path.join(world.lab.folder, "ambiguous.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    program = appliance.program_path(world.build, "sekishod")
    status, output = world.lab.attempt(None, [program, "--check", path])
    assert status != 0 and ":9:39: found the next hop 10.0.0.9, which is in several realms: red, blue" in output, output
