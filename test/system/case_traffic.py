"""Ordinary clients: downloads, many connections, UDP, ping, traceroute."""
import collections
import threading

import peer
import town
import traffic
from cases import case

DOWNLOAD = 200_000_000


class Listing:
    """Lists all sessions again and again, in a thread."""

    def __init__(self, nat):
        self.nat = nat
        self.most = 0
        self.times = 0
        self.error = None
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()

    def run(self):
        try:
            while not self.end.wait(0.05):
                self.most = max(self.most, len(self.nat.sessions()))
                self.times += 1
        except Exception as error:  # pylint: disable=broad-except
            self.error = error


@case("200 MB over HTTP arrive whole while the sessions are listed")
def transfer(world):
    with Listing(world.nat) as listing:
        download = traffic.download_sha256(world.lab, "sub1", "100.64.0.11", DOWNLOAD)
        download.process.wait(320)
    assert download.process.returncode == 0, f"the download failed: {download.output().strip()}"
    assert download.output().split()[0] == peer.blob_sha256(DOWNLOAD), "the bytes have changed on the way"
    assert listing.error is None, f"listing failed: {listing.error}"
    assert listing.times >= 3 and listing.most >= 1, f"{listing.times} listings saw {listing.most} sessions"


@case("2 000 connections of 50 subscribers are open at once")
def many_connections(world):
    sources = town.fifty_subscribers()
    seen = traffic.parallel_connections(world.lab, sources, 40)
    external = [endpoint for _, endpoint in seen]
    assert len(set(external)) == 2000, "two connections share an external endpoint"
    assert all(town.in_pool(address) for address, _ in external), "an external address is not of the pool"
    assert all(1024 <= port <= 65535 for _, port in external), "an external port is outside the pool's ports"
    pairs = collections.defaultdict(set)
    for internal, (address, _) in seen:
        pairs[internal].add(address)
    assert all(len(addresses) == 1 for addresses in pairs.values()), "a subscriber has two external addresses"


@case("the listings name the session of a connection, and filters find it")
def listings(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.9", 5555)
    address, port = traffic.ask(client)
    mapping, = world.nat.mappings("external", f"{address}:{port}", "protocol", "udp")
    assert mapping["transport-protocol"] == "udp", mapping
    assert (mapping["internal-src-address"], mapping["internal-src-port"]) == ("100.64.1.9", 5555), mapping
    assert (mapping["external-src-address"], mapping["external-src-port"]) == (address, port), mapping
    assert mapping["pool"] == "main" and mapping["sessions"] == 1, mapping
    assert 0 < mapping["lifetime"] <= 300, mapping
    session, = world.nat.sessions("subscriber", "100.64.1.9", "protocol", "udp")
    assert (session["remote-address"], session["remote-port"]) == (town.SERVER, traffic.UDP_PORT), session
    assert session["packets-outbound"] >= 1 and session["packets-inbound"] >= 1, session
    assert world.nat.sessions("remote", f"{town.SERVER}:9999") == []
    client.close()


@case("UDP passes both ways, small and large")
def udp(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.4")
    first = traffic.ask(client, payload=b"x")
    assert traffic.ask(client, payload=b"y" * 1400) == first
    assert traffic.ask(client, server=town.OTHER_SERVER) == first, "endpoint-independent mapping (RFC 4787 REQ-1)"
    assert town.in_pool(first[0])


@case("a subscriber behind a router of the subscribers is reached over the route")
def routed_subscriber(world):
    for address in town.ROUTED:
        seen = traffic.parse_endpoint(traffic.curl(world.lab, "sub2", address, "/who"))
        assert town.in_pool(seen[0]), seen


@case("ping is answered by a server and by the appliance's own addresses",
      tags="[rfc5508-req10a-echo]")
def ping(world):
    for target in (town.SERVER, town.INTERNAL_ADDRESS):
        status, output = traffic.ping(world.lab, "sub1", "100.64.0.11", target)
        assert status == 0 and "3 received" in output, output
    status, output = traffic.ping(world.lab, "net", town.ROUTER, town.EXTERNAL_ADDRESS)
    assert status == 0 and "3 received" in output, output


@case("traceroute shows the appliance as the first hop, with UDP and with ICMP",
      tags="[rfc5508-req10a-time-exceeded]")
def traceroute(world):
    for more in ([], ["-I"]):
        hops = traffic.traceroute(world.lab, "sub1", "100.64.0.11", more)
        assert hops == [town.INTERNAL_ADDRESS, town.SERVER], f"traceroute {more}: {hops}"
