"""Rules that translate: what real clients and servers see of them."""

import case_static
import town
import traffic
from case_redirect import fetch
from case_reload import reload, rewrite
from cases import case

NOBODY = "192.0.2.99"  # no host has it
SHOWN = "203.0.113.5"  # of the pool main
INSIDE = "100.64.1.10"
INSIDE_PORT = 8080
OTHER_POOL = "203.0.113.6"
RULES = {"workers": "2", "addresses": "203.0.113.0/30, 203.0.113.5",
         "system": f"shards: 3\n  local-host: {town.OTHER_SERVER}",
         "pool": f"port-selection: random\n  - {{name: other, addresses: [{OTHER_POOL}]}}\n"
                 "  - {name: own, addresses: [link: ext0]}",
         "more": f"""\
rules:
  - name: arriving
    hook: ingress
    rules:
      - {{destination: {town.OTHER_SERVER}, source: 100.64.1.8, action: no-track}}
      - {{source: {town.OTHER_SERVER}, destination: 100.64.1.8, action: no-track}}
  - name: prerouting
    hook: nat-destination
    rules:
      - {{protocol: tcp, destination: {SHOWN}, destination-port: 80, action: {{dnat: "{INSIDE}:{INSIDE_PORT}"}}}}
      - {{protocol: udp, destination: {SHOWN}, destination-port: 53, action: {{dnat: "100.64.2.10:5353"}}}}
      - {{protocol: tcp, destination: {NOBODY}, destination-port: 8000, action: {{dnat: "{town.SERVER}:{traffic.HTTP_PORT}"}}}}
      - {{protocol: tcp, in-link: int0, destination-port: 8080, action: {{redirect: {traffic.HTTP_PORT}}}}}
  - name: postrouting
    hook: nat-source
    rules:
      - {{source: 100.64.1.6, action: {{snat: other}}}}
      - {{source: 100.64.1.7, out-link: ext0, action: masquerade}}
"""}


def seen_by(world, source, url=f"http://{town.SERVER}:{traffic.HTTP_PORT}/who", name="sub1"):
    return traffic.parse_endpoint(fetch(world, name, source, url))[0]


def check_proxied(world):
    """Clients on both sides reach other servers than they think, by the rules for NOBODY and for port 8080."""
    for name, source in (("sub1", "100.64.1.3"), ("sub2", "100.64.2.3")):
        assert town.in_pool(seen_by(world, source, f"http://{NOBODY}:8000/who", name))
        assert town.in_pool(seen_by(world, source, f"http://{town.SERVER}:8080/who", name))
    rows = [row for row in world.nat.sessions() if "internal-dst-address" in row]
    assert {(row["internal-dst-address"], row["internal-dst-port"], row["remote-address"]) for row in rows} >= {
        (NOBODY, 8000, town.SERVER), (town.SERVER, 8080, town.OTHER_SERVER)}, rows


@case("snat and masquerade rules say behind which address a client stands", **RULES)
def sources(world):
    assert seen_by(world, "100.64.1.6") == OTHER_POOL
    assert seen_by(world, "100.64.1.7") == town.EXTERNAL_ADDRESS
    assert seen_by(world, "100.64.1.5") not in (OTHER_POOL, town.EXTERNAL_ADDRESS)
    for source, shown in (("100.64.1.6", OTHER_POOL), ("100.64.1.7", town.EXTERNAL_ADDRESS)):
        client = traffic.udp_socket(world.lab, "sub1", source)
        assert traffic.ask(client)[0] == shown
        status, output = traffic.ping(world.lab, "sub1", source)
        assert status == 0 and "3 received" in output, output
    rows = world.nat.mappings("subscriber", "100.64.1.6")
    assert rows and {row["external-src-address"] for row in rows} == {OTHER_POOL}, rows


@case("dnat and redirect are a transparent proxy to clients that know nothing of it", **RULES)
def destinations(world):
    check_proxied(world)


@case("a server inside is reached from outside, and by its neighbours, by a dnat rule", **RULES)
def forwards(world):
    server = case_static.serve(world, INSIDE_PORT)
    for source in (town.SERVER, town.OTHER_SERVER):
        for _ in range(5):
            fetch(world, "net", source, f"http://{SHOWN}/")
    fetch(world, "sub2", "100.64.2.3", f"http://{SHOWN}/")
    came = case_static.callers(server)
    assert came.count(town.SERVER) == came.count(town.OTHER_SERVER) == 5 and town.in_pool(came[-1]), came
    inside = traffic.udp_socket(world.lab, "sub2", "100.64.2.10", 5353)
    for port in range(7001, 7006):
        outside = traffic.udp_socket(world.lab, "net", town.SERVER, port)
        outside.connect((SHOWN, 53))
        for size in (5, 1400):
            outside.send(b"x" * size)
            data, sender = inside.recvfrom(65535)
            assert (len(data), sender) == (size, (town.SERVER, port)), (len(data), sender)
            inside.sendto(data, sender)
            assert outside.recv(65535) == data  # a connected socket takes nothing from anybody else
        outside.close()
    inside.close()
    server.stop()


@case("what no-track lets pass has no session, and both see each other", **RULES)
def untracked(world):
    case_static.route_back(world)
    seen = traffic.parse_endpoint(traffic.curl(world.lab, "sub1", "100.64.1.8", "/who", server=town.OTHER_SERVER))[0]
    assert seen == "100.64.1.8", seen
    status, output = traffic.ping(world.lab, "net", town.OTHER_SERVER, "100.64.1.8")
    assert status == 0 and "3 received" in output, output
    assert not world.nat.sessions("subscriber", "100.64.1.8")
    assert world.nat.counters()["untranslated"] > 0


@case("a changed nat rule holds for what is new, and leaves sessions alone", **RULES)
def changed(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.6")
    endpoint = traffic.ask(client)
    assert endpoint[0] == OTHER_POOL
    rewrite(world, ("{source: 100.64.1.6, action: {snat: other}}", "{source: 100.64.1.9, action: {snat: other}}"))
    reload(world)
    assert traffic.ask(client) == endpoint
    assert seen_by(world, "100.64.1.6") != OTHER_POOL
    assert seen_by(world, "100.64.1.9") == OTHER_POOL


PROXY = "198.51.100.9"  # a namespace of its own, as a proxy on the appliance's machine behind a link has it
PROXY_PORT = 3128
FARM = ("100.64.1.10", "100.64.2.10")
PROXIED = {"workers": "2", "addresses": "203.0.113.0/30", "system": f"shards: 3\n  local-host: {PROXY}", "more": f"""\
rules:
  - name: prerouting
    hook: nat-destination
    rules:
      - {{protocol: tcp, in-link: int0, source: 100.64.1.20, destination-port: 80, action: accept, comment: "not proxied"}}
      - {{protocol: tcp, in-link: int0, destination-port: 80, action: {{redirect: {PROXY_PORT}}}}}
      - {{protocol: tcp, destination: 203.0.113.1, destination-port: 443,
         action: {{dnat: ["{FARM[0]}:{INSIDE_PORT}", "{FARM[1]}:{INSIDE_PORT}"]}}}}
      - {{protocol: tcp, destination: 203.0.113.1, destination-port: 444,
         action: {{dnat: {{targets: ["{FARM[0]}:{INSIDE_PORT}", "{FARM[1]}:{INSIDE_PORT}"], affinity: source}}}}}}
"""}


@case("a proxy in a namespace of its own gets every web request, and clients believe that it is the server", **PROXIED)
def redirected(world):
    lab = world.lab
    lab.add("proxy")
    lab.veth("proxy", "eth0", "transit", "p-proxy")
    lab.ip("transit", "link set p-proxy master br0")
    lab.ip_batch("proxy", [f"address add {PROXY}/24 dev eth0", f"route add {town.POOL[0]} dev eth0"])
    proxy = case_static.serve(world, PROXY_PORT, "proxy", PROXY)
    for server in (NOBODY, town.SERVER, town.INTERNAL_ADDRESS):
        for name, source in (("sub1", "100.64.1.3"), ("sub2", "100.64.2.3")):
            fetch(world, name, source, f"http://{server}/")
    came = case_static.callers(proxy)
    assert len(came) == 6 and all(town.in_pool(address) for address in came), came
    assert town.in_pool(seen_by(world, "100.64.1.20"))  # /who is the server's own
    rows = [row for row in world.nat.sessions() if "internal-dst-address" in row]
    assert {(row["internal-dst-address"], row["remote-address"], row["remote-port"]) for row in rows} == {
        (server, PROXY, PROXY_PORT) for server in (NOBODY, town.SERVER, town.INTERNAL_ADDRESS)}, rows
    proxy.stop()
    # Nobody listens there any more: that, too, the server seems to say.
    status, output = lab.attempt("sub1", ["curl", "-sS", "--interface", "100.64.1.3", "--max-time", "3",
                                          f"http://{NOBODY}/"], 6)
    assert status == 7, (status, output)  # refused at once, not unheard


@case("two servers share the connections to one external endpoint, by flow or by who calls", **PROXIED)
def balanced(world):
    servers = [case_static.serve(world, INSIDE_PORT, f"sub{n + 1}", address) for n, address in enumerate(FARM)]
    for _ in range(20):
        fetch(world, "net", town.SERVER, "http://203.0.113.1:443/")
        fetch(world, "sub2", "100.64.2.3", "http://203.0.113.1:443/")
    came = [case_static.callers(server) for server in servers]
    assert sum(map(len, came)) == 40 and min(map(len, came)) > 4, [len(each) for each in came]
    assert all(town.SERVER in each for each in came), came
    for _ in range(8):
        fetch(world, "net", town.OTHER_SERVER, "http://203.0.113.1:444/")
    one = [case_static.callers(server).count(town.OTHER_SERVER) for server in servers]
    assert sorted(one) == [0, 8], one
    for server in servers:
        server.stop()
