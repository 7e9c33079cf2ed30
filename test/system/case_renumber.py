"""A link gets another address while it runs, and with it the pool that is this address (SEEDS B1)."""
import contextlib
import json
import os
import socket

import lab as laboratory
import town
import traffic
from case_log import lines
from case_reload import reload, rewrite
from cases import case

MASQUERADE = {"workers": "2", "system": "shards: 3", "addresses": "link: ext0"}
OWN = town.EXTERNAL_ADDRESS
NEW = "198.51.100.9"
FAR, FAR_OWN = "198.51.101.1", "198.51.101.2"  # another network on the same link


def connect(world, name, source):
    made = world.lab.socket(name, source=(source, 0))
    made.connect((town.SERVER, traffic.HTTP_PORT))
    return made


def who(client):
    client.sendall(b"GET /who HTTP/1.1\r\n\r\n")
    answer = ""
    while not answer.partition("\r\n\r\n")[2]:  # head and body may come one by one
        received = client.recv(4096)
        assert received, f"the server has closed after {answer!r}"
        answer += received.decode()
    return traffic.parse_endpoint(answer.partition("\r\n\r\n")[2])


def hears_nothing(client):
    client.settimeout(1.5)
    try:
        return who(client) == ()
    except socket.timeout:
        return True


def link_address(world, name):
    return [link["addresses"] for link in world.nat.show("links")["links"] if link["name"] == name][0]


def announced(frame, address):
    return frame[12:14] == b"\x08\x06" and frame[28:32] == frame[38:42] == socket.inet_aton(address)


@case("a link's address changes: what stood at the old one has ended, what is new stands at the next", starts=False,
      **MASQUERADE)
def renumber(world):
    path = os.path.join(world.lab.folder, "bindings.json")
    world.nat.text += f"log: {{file: '{path}', events: [mappings, blocks, sessions]}}\n"
    world.nat.start()
    connection = connect(world, "sub1", "100.64.1.3")
    endpoint = who(connection)
    assert endpoint[0] == OWN, endpoint
    clients = [traffic.udp_socket(world.lab, name, address) for name, address in town.fifty_subscribers()]
    assert {traffic.ask(client)[0] for client in clients} == {OWN}
    wire = world.lab.raw("net", "eth0")
    rewrite(world, (f"addresses: [{OWN}/24]", f"addresses: [{NEW}/24]"))
    compared = json.loads(world.nat.cli("compare", "--json"))
    assert [change["setting"] for change in compared["at-once"]] == ["links.ext0.addresses"], compared
    assert reload(world)["changed"] == compared["at-once"]
    assert traffic.capture(wire, lambda frame: announced(frame, NEW)), "the new address was not announced"
    assert link_address(world, "ext0") == [f"{NEW}/24"]
    assert laboratory.wait_until(lambda: not world.nat.sessions(), 10), world.nat.sessions()
    pool = world.nat.show("pools")["pools"][0]
    assert pool["sessions-withdrawn"] == 51 and pool["addresses"] == [NEW], pool
    assert hears_nothing(connection), "a connection of the old address goes on"
    assert world.nat.dropped("no-session") > 0
    assert who(connect(world, "sub1", "100.64.1.3"))[0] == NEW
    assert {traffic.ask(client)[0] for client in clients} == {NEW}
    status, output = traffic.ping(world.lab, "net", town.SERVER, NEW)
    assert status == 0 and "3 received" in output, output
    status, output = traffic.ping(world.lab, "sub1", "100.64.1.3")
    assert status == 0 and "3 received" in output, output
    world.lab.attempt("net", ["ip", "neighbour", "flush", "dev", "eth0"])
    status, output = traffic.ping(world.lab, "net", town.ROUTER, OWN)
    assert status != 0 and "0 received" in output, output
    assert laboratory.wait_until(lambda: world.nat.show("pools")["pools"][0]["addresses-draining"] == 0, 10)
    assert laboratory.wait_until(lambda: is_told(path, endpoint), 10), [e for e in lines(path) if "cause" in e][-5:]


def is_told(path, endpoint):
    """The log knows why the connection has ended, and that nothing is left at its address."""
    events = lines(path)
    ended = [e for e in events if e["event"] == "session-ended" and e["external-src-port"] == endpoint[1]
             and e["transport-protocol"] == "tcp" and e["external-src-address"] == OWN]
    blocks = [sum(1 for e in events if e["event"] == kind and e.get("external-src-address") == OWN)
              for kind in ("block-granted", "block-released")]
    return [e["cause"] for e in ended] == ["address-withdrawn"] and blocks[0] == blocks[1] > 0


@case("a link moves to another network with its route, and back, while subscribers talk", **MASQUERADE)
def another_network(world):
    world.lab.ip("net", f"address add {FAR}/24 dev eth0")
    clients = [traffic.udp_socket(world.lab, name, address) for name, address in town.fifty_subscribers()[:10]]
    inside = traffic.udp_socket(world.lab, "sub2", town.ROUTED[0])  # by a route that stays
    changes = ((f"addresses: [{OWN}/24]", f"addresses: [{FAR_OWN}/24]"), ("next-hop: 198.51.100.1", f"next-hop: {FAR}"))
    for number in range(4):
        own = FAR_OWN if number % 2 else OWN
        assert {traffic.ask(client)[0] for client in [*clients, inside]} == {own}, number
        neighbours = {n["address"]: n for n in world.nat.show("neighbours")["neighbours"]}
        gateway = FAR if number % 2 else town.ROUTER
        assert neighbours[gateway]["gateway"] and neighbours[gateway]["state"] == "reachable", neighbours
        rewrite(world, *(changes if number % 2 == 0 else tuple((b, a) for a, b in changes)))
        reload(world)
    assert world.nat.dropped("internal-error") == 0


def hear_out(client):
    """Until nothing comes any more: what was sent on the old way is answered, too."""
    patience = client.gettimeout()
    client.settimeout(0.3)
    with contextlib.suppress(socket.timeout):
        while True:
            client.recvfrom(65535)
    client.settimeout(patience)


@case("a new way out is taken by what stands, too", workers="2", system="shards: 3")
def another_gateway(world):
    world.lab.add("other")
    world.lab.veth("other", "eth0", "transit", "p-other")
    world.lab.ip("transit", "link set p-other master br0")
    world.lab.ip("other", "address add 198.51.100.77/24 dev eth0")
    mac = bytes.fromhex(world.lab.mac("other", "eth0").replace(":", ""))
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.3")
    endpoint = traffic.ask(client)
    assert traffic.ask(client) == endpoint
    wire = world.lab.raw("other", "eth0")
    rewrite(world, ("next-hop: 198.51.100.1}", "next-hop: 198.51.100.77}"))
    done = reload(world)
    assert [change["setting"] for change in done["changed"]] == ["routes.1.next-hop"], done

    def leaves_by_it():
        client.sendto(b"x", (town.SERVER, traffic.UDP_PORT))
        return traffic.capture(wire, lambda frame: frame[:6] == mac and frame[23:24] == b"\x11", 1)

    assert laboratory.wait_until(leaves_by_it, 10), world.nat.show("neighbours")
    sessions = world.nat.sessions("subscriber", "100.64.1.3")
    assert endpoint[1] in [s["external-src-port"] for s in sessions], (endpoint, sessions)
    rewrite(world, ("next-hop: 198.51.100.77}", "next-hop: 198.51.100.1}"))
    reload(world)
    hear_out(client)
    assert traffic.ask(client) == endpoint


@case("a link's address with what cannot follow it wants a restart", workers="1",
      addresses="link: ext0", pool="port-selection: preserve")
def refused(world):
    rewrite(world, (f"addresses: [{OWN}/24]", f"addresses: [{NEW}/24]"))
    status, output = world.nat.cli_status("reload")
    assert status == 1 and "links.ext0.addresses" in output and "restart" in output, output
    rewrite(world, (f"addresses: [{NEW}/24]", "addresses: [100.64.1.201/30]"))  # as if it were learned
    status, output = world.nat.cli_status("reload")
    assert status == 1 and "which overlaps" in output and "RFC 4787 REQ-7" in output, output
    assert traffic.parse_endpoint(traffic.curl(world.lab, "sub1", "100.64.1.3", "/who"))[0] == OWN
