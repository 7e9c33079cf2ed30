"""Datagrams in fragments, from outside: clients and servers that we did not write, and frames that no honest stack sends.

DPDK's af_packet driver may join fragments before the appliance sees them (PACKET_FANOUT_FLAG_DEFRAG), so the links are af_xdp.
"""
import json
import socket

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw

import peer
import town
import traffic
from cases import case, drops, frame_to_appliance, need_af_xdp

XDP = {"int_device": "af_xdp:int0", "ext_device": "af_xdp:ext0"}
TWO_WORKERS = {**XDP, "workers": "2", "system": "shards: 3"}
IP_MTU_DISCOVER = 10  # <linux/in.h>; the socket module has no names for these
IP_PMTUDISC_DONT = 0


def start(world):
    need_af_xdp()
    if not world.nat.is_running():
        world.nat.start()


def check_ping(world):
    for size in ("2000", "5000", "60000"):
        status, output = traffic.ping(world.lab, "sub1", "100.64.0.11", more=["-s", size])
        assert status == 0 and "3 received" in output, output


def check_udp(world):
    """Large datagrams go out, and come back in fragments."""
    for name, source in (("sub1", "100.64.1.4"), ("sub2", "100.64.2.4"), ("sub2", town.ROUTED[0])):
        client = traffic.udp_socket(world.lab, name, source)
        first = traffic.ask(client, payload=b"x")
        for size in (1473, 4000, 20000, 60000):
            assert traffic.ask(client, payload=bytes(size)) == first, f"{size} bytes from {source}"
        client.close()


def check_hairpin(world):
    """Two subscribers, 4 000 bytes each way by their external endpoints."""
    one = traffic.udp_socket(world.lab, "sub1", "100.64.1.6")
    other = traffic.udp_socket(world.lab, "sub2", "100.64.2.6")
    ends = [traffic.ask(one), traffic.ask(other)]
    for sender, receiver, to, source in ((one, other, ends[1], ends[0]), (other, one, ends[0], ends[1])):
        sender.sendto(b"h" * 4000, to)
        data, seen, ttl = traffic.receive_with_ttl(receiver)
        assert data == b"h" * 4000 and seen == source, f"{len(data)} bytes from {seen}, wanted 4000 from {source}"
        assert ttl == 63, f"TTL {ttl} behind the hairpin"
    one.close()
    other.close()


def check_throughput(world):
    """iperf3's own accounting of what has come, a datagram of 4 000 bytes in three fragments each."""
    server = world.lab.spawn("net", "iperf3", ["iperf3", "-s", "-1", "-B", town.SERVER, "--forceflush"])
    server.wait_for("listening")
    status, output = world.lab.attempt("sub1", [
        "iperf3", "-c", town.SERVER, "-B", "100.64.0.11", "-u", "-l", "4000", "-b", "8M", "-t", "3", "-J"], 40)
    assert status == 0, output[-500:]
    told = json.loads(output[output.index("{"):])["end"]["sum"]  # a warning stands before it
    # A busy machine loses some before the appliance sees them.
    assert told["packets"] > 500 and told["lost_percent"] < 50, f"{told['lost_packets']} of {told['packets']} lost"


CHECKS = [check_ping, check_udp, check_hairpin, check_throughput]


@case("pings, UDP both ways, a hairpin and iperf3 in fragments pass", starts=False,
      tags="[rfc4787-req14]", **XDP)
def pass_in_fragments(world):
    start(world)
    for check in CHECKS:
        check(world)


@case("the same over two workers and three shards", starts=False, tags="[rfc4787-req14]", **TWO_WORKERS)
def pass_over_shards(world):
    start(world)
    for check in CHECKS:
        check(world)


def send_frames(raw, lab, name, packets):
    for packet in packets:
        raw.send(frame_to_appliance(lab, name, packet))


@case("fragments in any order, and twice, reach a server as one datagram", starts=False, tags="[rfc4787-req14]", **XDP)
def disordered(world):
    start(world)
    raw = world.lab.raw("sub1", "eth0")
    source = "100.64.1.2"
    port = 4000
    for number, order in enumerate(([3, 2, 1, 0], [1, 0, 3, 2], [2, 2, 0, 1, 3], [0, 1, 2, 3])):
        client = traffic.udp_socket(world.lab, "sub1", source, port + number)
        load = bytes([number]) * 5000
        pieces = fragment(IP(src=source, dst=town.SERVER, id=99, ttl=64) /
                          UDP(sport=port + number, dport=traffic.UDP_PORT) / Raw(load), fragsize=1400)
        assert len(pieces) == 4
        send_frames(raw, world.lab, "sub1", [pieces[i] for i in order])
        answer, _ = client.recvfrom(65535)
        assert answer.partition(b" ")[2] == load, f"order {order}: {len(answer)} bytes"
        traffic.ask(client)  # the driver keeps the frames of its last burst until the next one: let that be a short one
        client.close()


def hostile():
    """(drop reason, packet)."""
    def ip(**fields):
        return IP(**{"src": "100.64.1.2", "dst": town.SERVER, "ttl": 64, **fields})

    return [
        ("tiny-fragment", ip(flags="MF", proto=6) / Raw(bytes(TCP(sport=9, dport=80, flags="S"))[:8])),
        ("tiny-fragment", ip(frag=1, proto=6) / Raw(bytes(16))),
        ("bad-fragment", ip(flags="MF", frag=4, proto=17) / Raw(bytes(13))),
        ("bad-fragment", ip(frag=4, proto=17)),
        ("oversized-datagram", ip(frag=8189, proto=1) / Raw(bytes(1400))),
        ("unknown-protocol", ip(frag=4, proto=89) / Raw(bytes(8))),
        ("fragment", ip(flags="MF") / ICMP(type=3, code=3) / Raw(bytes(28 + 4))),
        ("fragment", ip(dst=town.INTERNAL_ADDRESS, flags="MF") / ICMP() / Raw(bytes(8))),
        ("fragment", ip(dst=town.INTERNAL_ADDRESS, frag=2, proto=1) / Raw(bytes(8))),
        ("fragment-timeout", ip(frag=10, proto=17, id=5) / Raw(bytes(8))),
    ]


@case("fragments that cannot be, or never get a first one, end as their own named drop", starts=False,
      tags="[rfc4787-req14a]", **XDP)
def hostile_fragments(world):
    start(world)
    raw = world.lab.raw("sub1", "eth0")
    for reason, packet in hostile():
        with drops(world.nat, seconds=5, **{reason.replace("-", "_"): 1}):
            raw.send(frame_to_appliance(world.lab, "sub1", packet))


@case("a flood of fragments without their first leaves downloads and fragments of others alone", starts=False,
      tags="[rfc4787-req14a]", **XDP)
def flood(world):
    start(world)
    raw = world.lab.raw("net", "eth0")
    header = frame_to_appliance(world.lab, "net", Raw(b""), type=0x0800)
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.4")
    for round_number in range(20):
        for number in range(400):
            stray = IP(src=f"192.0.2.{20 + number % 200}", dst="203.0.113.3", id=number + 400 * round_number, frag=9,
                       flags="MF", proto=17) / Raw(bytes(16))
            raw.send(header + bytes(stray))
        traffic.ask(client, payload=bytes(4000))
    download = traffic.download_sha256(world.lab, "sub1", "100.64.0.11", 1_000_000, seconds=30)
    download.process.wait(35)
    assert download.output().split()[0] == peer.blob_sha256(1_000_000), download.output()
    assert world.nat.dropped("fragment-overflow", "fragment-timeout") > 1000


@case("what may be cut is cut for a hop of a smaller MTU", starts=False, ext_mtu="1400", tags="[rfc4787-req13a]", **XDP)
def small_hop(world):
    start(world)
    before = world.nat.counters()
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.4")
    client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    for size in (1400, 1472, 4000):
        traffic.ask(client, payload=bytes(size))
    client.close()
    status, output = traffic.ping(world.lab, "sub1", "100.64.0.11", more=["-M", "dont", "-s", "1472"])
    assert status == 0 and "3 received" in output, output
    after = world.nat.counters()
    made = after["generated"] - before["generated"]
    assert made >= 12, f"{made} pieces were made"


@case("the pieces of a cut packet leave in order, with an identification of the appliance's", starts=False,
      ext_mtu="1400", tags="[rfc4787-req13a][rfc6864]", **XDP)
def pieces(world):
    start(world)
    inside = world.lab.raw("sub1", "eth0")
    outside = world.lab.raw("net", "eth0")
    packet = IP(src="100.64.1.2", dst=town.SERVER, id=7, ttl=64) / UDP(sport=7000, dport=9) / Raw(bytes(1472))
    inside.send(frame_to_appliance(world.lab, "sub1", packet))

    def is_piece(frame):
        return frame[12:14] == b"\x08\x00" and Ether(frame)[IP].dst == town.SERVER and frame[23] == 17

    seen = [Ether(traffic.capture(outside, is_piece))[IP] for _ in range(2)]
    assert [(piece.frag, int(piece.flags), piece.len) for piece in seen] == [(0, 1, 1396), (172, 0, 124)], seen
    assert seen[0].id == seen[1].id
    assert all(piece.ttl == 63 for piece in seen)
