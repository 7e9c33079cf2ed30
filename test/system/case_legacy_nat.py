"""iptables -t nat, as scripts use it: what real clients and servers see of it."""
import re

import case_static
import town
import traffic
from case_redirect import fetch
from case_rules_nat import INSIDE, NOBODY, check_proxied, seen_by
from cases import case
from oldtools import OldTools

SHOWN = "203.0.113.2"  # of the pool main
OTHER, PORTED = "203.0.113.6", "203.0.113.7"
INSIDE_PORTS = (8080, 8081)
SETTINGS = {"workers": "2", "addresses": "203.0.113.0/30",
            "system": f"shards: 3\n  local-host: {town.OTHER_SERVER}",
            "pool": f"port-selection: random\n  - {{name: other, addresses: [{OTHER}]}}\n"
                    f"  - {{name: ported, addresses: [{PORTED}], ports: 5120-6143, port-block-size: 256}}\n"
                    "  - {name: own, addresses: [link: ext0]}",
            "more": "rules: [{name: room, hook: nat-destination}]"}
SOURCES = f"""\
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 100.64.1.5/32 -j ACCEPT
-A POSTROUTING -m iprange --src-range 100.64.1.5-100.64.1.6 -j SNAT --to-source {OTHER}
-A POSTROUTING -s 100.64.1.7/32 -o ext0 -j MASQUERADE
-A POSTROUTING -s 100.64.1.9/32 -p udp -j SNAT --to-source {PORTED}:5120-6143
COMMIT
"""


def without_counts(saved):
    return re.sub(r"\[\d+:\d+\]", "[0:0]", saved)


def check_sources(world):
    assert seen_by(world, "100.64.1.6") == OTHER
    assert seen_by(world, "100.64.1.7") == town.EXTERNAL_ADDRESS
    for source in ("100.64.1.5", "100.64.1.9"):
        assert seen_by(world, source) not in (OTHER, PORTED, town.EXTERNAL_ADDRESS)
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.9")
    for _ in range(3):
        address, port = traffic.ask(client)
        assert address == PORTED and 5120 <= port <= 6143, (address, port)


@case("iptables -t nat says behind which address and ports a client stands, and counts flows", **SETTINGS)
def sources(world):
    with OldTools(world) as tools:
        for line in SOURCES.splitlines():
            if line.startswith("-A"):
                tools.say(f"iptables -t nat {line}")
        assert tools.say("iptables-save -t nat") == SOURCES
        check_sources(world)
        listed = tools.say("iptables -t nat -L POSTROUTING -v -n -x")
        assert f"to:{PORTED}:5120-6143" in listed and "source IP range 100.64.1.5-100.64.1.6" in listed, listed
        # LEGACY I5: the first packet of each flow.
        assert tools.counts("iptables -t nat -L POSTROUTING -v -n -x") == [1, 1, 1, 1], listed
        tools.say("sekisho-legacy clear")
        assert seen_by(world, "100.64.1.6") not in (OTHER, PORTED, town.EXTERNAL_ADDRESS)
        tools.say("iptables-restore", SOURCES)
        assert tools.say("iptables-save -t nat") == SOURCES
        check_sources(world)
        for wanted in (f"{OTHER}-{PORTED}", f"{PORTED}:5120-6000"):
            status, _, errors = tools.attempt(f"iptables -t nat -A POSTROUTING -p tcp -j SNAT --to-source {wanted}")
            assert status == 1 and "none has just the addresses" in errors, errors
        assert without_counts(tools.say("iptables-save -t nat")) == SOURCES
    assert seen_by(world, "100.64.1.6") not in (OTHER, PORTED, town.EXTERNAL_ADDRESS)


@case("iptables -t nat leads clients to a proxy, and outsiders to the ports of a server inside", **SETTINGS)
def destinations(world):
    servers = [case_static.serve(world, port) for port in INSIDE_PORTS]
    with OldTools(world) as tools:
        for line in (f"-A PREROUTING -p tcp -d {NOBODY} --dport 8000 -j DNAT --to-destination {town.SERVER}:{traffic.HTTP_PORT}",
                     f"-A PREROUTING -p tcp -i int0 --dport 8080 -j REDIRECT --to-ports {traffic.HTTP_PORT}",
                     f"-A PREROUTING -p tcp -d {SHOWN} --dport 80 -j DNAT --to-destination {INSIDE}:{INSIDE_PORTS[0]}-{INSIDE_PORTS[1]}"):
            tools.say(f"iptables -t nat {line}")
        check_proxied(world)
        # FORWARD sees the endpoint inside, INPUT nothing of all this.
        tools.say(f"iptables -A FORWARD -p tcp -d {INSIDE} -m multiport --dports {INSIDE_PORTS[0]},{INSIDE_PORTS[1]} -m state --state NEW")
        tools.say("iptables -A INPUT -p tcp -j DROP")
        for _ in range(24):
            fetch(world, "net", town.SERVER, f"http://{SHOWN}/")
        came = [case_static.callers(server).count(town.SERVER) for server in servers]
        assert sum(came) == 24 and min(came) > 1, came
        assert tools.counts("iptables -t nat -L PREROUTING -v -n -x") == [2, 2, 24]
        assert tools.counts("iptables -L FORWARD -v -n -x") == [24]
        assert tools.counts("iptables -L INPUT -v -n -x") == [0]
        saved = tools.say("iptables-save")
        tools.say("iptables-restore", saved)
        assert tools.say("iptables-save") == without_counts(saved)
        tools.say("iptables -t nat -D PREROUTING 3")
        status, _ = world.lab.attempt("net", ["curl", "-sS", "--interface", town.SERVER, "--max-time", "2", f"http://{SHOWN}/"], 5)
        assert status in (7, 28), status
        assert town.in_pool(seen_by(world, "100.64.1.3", f"http://{NOBODY}:8000/who"))
    for server in servers:
        server.stop()
