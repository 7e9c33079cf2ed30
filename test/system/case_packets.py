"""Frames that no honest stack sends, and packets at their limits: each ends as one named drop."""
import random
import re
import socket
import time

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_LSRR
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

import peer
import town
import traffic
from cases import case, drops, frame_to_appliance

INSIDE = "100.64.1.2"


def ip(**fields):
    return IP(**{"src": INSIDE, "dst": town.SERVER, "ttl": 64, **fields})


def udp():
    return UDP(sport=4444, dport=4445) / Raw(b"sixteen bytes...")


def cut(packet, length):
    return Raw(bytes(packet)[:length])


def patch(packet, offset, value):
    """The packet with one byte changed and the IPv4 checksum left as it was."""
    data = bytearray(bytes(packet))
    data[offset] = value
    return Raw(bytes(data))


def icmp_quote(**inner):
    return ICMP(type=3, code=3) / IP(**{"src": town.SERVER, "dst": INSIDE, "ttl": 60, **inner}) / UDP(sport=9, dport=9)


def malformed():
    """(drop reason, IP packet or what stands in its place)."""
    ipv4 = {"type": 0x0800}
    return [
        ("truncated-ip", cut(ip() / udp(), 19), ipv4),
        ("bad-ip-header", patch(ip() / udp(), 0, 0x65), ipv4),
        ("bad-ip-header", patch(ip() / udp(), 0, 0x44), ipv4),
        ("bad-ip-length", Raw(bytes(ip(len=1400) / udp())), ipv4),
        ("bad-ip-length", Raw(bytes(ip(len=19) / udp())), ipv4),
        ("bad-ip-checksum", Raw(bytes(ip(chksum=0x1234) / udp())), ipv4),
        ("martian-source", ip(src="127.0.0.1") / udp(), {}),
        ("martian-source", ip(src="224.0.0.5") / udp(), {}),
        ("martian-source", ip(src="0.0.0.0") / udp(), {}),
        ("martian-destination", ip(dst="127.0.0.1") / udp(), {}),
        ("martian-destination", ip(dst="255.255.255.255") / udp(), {}),
        ("multicast", ip(dst="224.0.0.5") / udp(), {}),
        ("spoofed-source", ip(src="203.0.113.3") / udp(), {}),
        ("spoofed-source", ip(src=town.INTERNAL_ADDRESS) / udp(), {}),
        ("source-routed", ip(options=[IPOption_LSRR(routers=["192.0.2.99"])]) / udp(), {}),
        ("ttl-exceeded", ip(ttl=0) / udp(), {}),
        ("unknown-protocol", ip(proto=89) / Raw(bytes(8)), {}),
        ("truncated-transport", ip(proto=17) / Raw(bytes(7)), {}),
        ("truncated-transport", ip(proto=6) / Raw(bytes(19)), {}),
        ("bad-transport-length", ip() / UDP(sport=1, dport=2, len=7) / Raw(b"abc"), {}),
        ("bad-transport-length", ip() / UDP(sport=1, dport=2, len=100) / Raw(b"abc"), {}),
        ("bad-transport-length", ip() / TCP(sport=1, dport=2, dataofs=4), {}),
        ("bad-tcp-flags", ip() / TCP(sport=1, dport=2, flags="SF"), {}),
        ("bad-tcp-flags", ip() / TCP(sport=1, dport=2, flags=0), {}),
        ("port-zero", ip() / UDP(sport=0, dport=2), {}),
        ("port-zero", ip() / TCP(sport=1, dport=0, flags="S"), {}),
        ("icmp-unsupported", ip() / ICMP(type=4), {}),
        ("bad-icmp-checksum", ip() / ICMP(type=3, code=3, chksum=0x1234) / Raw(bytes(28)), {}),
        ("bad-icmp-quote", ip() / ICMP(type=3, code=3) / Raw(bytes(12)), {}),
        ("bad-icmp-quote", ip() / icmp_quote(chksum=0x1234), {}),
        ("icmp-no-session", ip() / icmp_quote(src=town.SERVER, dst=INSIDE), {}),
        ("no-session", ip(src="100.64.1.25") / TCP(sport=1111, dport=80, flags="A"), {}),
        ("no-policy", ip(src="172.16.0.1") / udp(), {}),
        ("wrong-side", ip(dst="100.64.0.12") / udp(), {}),
        ("to-appliance", ip(dst=town.INTERNAL_ADDRESS) / TCP(sport=1, dport=22, flags="S"), {}),
        ("link-broadcast", ip() / udp(), {"dst": "ff:ff:ff:ff:ff:ff"}),
        ("not-ipv4", Raw(b"\x60" + bytes(47)), {"type": 0x86dd}),
        ("unknown-vlan", Dot1Q(vlan=77) / ip() / udp(), {}),
        ("malformed-arp", Raw(bytes(10)), {"type": 0x0806, "dst": "ff:ff:ff:ff:ff:ff"}),
        ("malformed-arp", patch(ARP(), 1, 6), {"type": 0x0806, "dst": "ff:ff:ff:ff:ff:ff"}),
    ]


@case("each malformed packet ends as its own named drop and goes nowhere")
def malformed_packets(world):
    check_each(world, malformed())


def check_each(world, table, name="sub1"):
    sender = world.lab.raw(name, "eth0")
    wrong = []
    for reason, packet, more in table:
        frame = frame_to_appliance(world.lab, name, packet, **more)
        try:
            with drops(world.nat, seconds=1, **{reason: 1}):
                sender.send(frame)
        except AssertionError as error:
            wrong.append(f"{Raw(bytes(frame)).load[14:54].hex()}: {error}")
    assert not wrong, "\n".join(wrong)


@case("frames for a foreign MAC address are dropped")
def foreign_mac(world):
    sender = world.lab.raw("sub1", "eth0")
    frame = frame_to_appliance(world.lab, "sub1", ip() / udp(), dst="02:de:ad:be:ef:01")
    with drops(world.nat, foreign_mac=5):
        for _ in range(5):
            sender.send(frame)


@case("what comes from outside for an address that is nobody's is not forwarded")
def not_forwarded(world):
    sender = world.lab.raw("net", "eth0")
    packet = IP(src=town.SERVER, dst="172.31.9.9", ttl=64) / udp()
    with drops(world.nat, not_forwarded=1):
        sender.send(frame_to_appliance(world.lab, "net", packet))


@case("inside addresses from outside, source routes and multicast are stopped from either side")
def hygiene(world):
    client = traffic.udp_socket(world.lab, "sub1", INSIDE, 2727)
    pool, port = traffic.ask(client)
    inside = {"sub1": ip(), "net": IP(src=town.SERVER, dst=pool, ttl=64)}
    group = "01:00:5e:01:02:03"
    table = {
        "net": [
            ("spoofed-source", IP(src="100.64.1.3", dst=pool) / UDP(sport=7, dport=port) / Raw(b"x"), {}),
            ("spoofed-source", IP(src=town.ROUTED[0], dst=pool) / UDP(sport=7, dport=port) / Raw(b"x"), {}),
            ("spoofed-source", IP(src=pool, dst=pool) / UDP(sport=port, dport=port) / Raw(b"x"), {}),
        ],
        "sub1": [("no-policy", ip(src=town.OTHER_SERVER) / udp(), {})],
    }
    for name, header in inside.items():
        routed = header.copy()
        routed.options = [IPOption_LSRR(routers=["192.0.2.99"])]
        to_group = header.copy()
        to_group.dst = "239.1.2.3"
        table[name] += [("source-routed", routed / udp(), {}), ("multicast", to_group / udp(), {"dst": group})]
    before = world.nat.show("status")["sessions"]["used"]
    for name, rows in table.items():
        check_each(world, rows, name)
    assert world.nat.show("status")["sessions"]["used"] == before
    assert traffic.hears_nothing(client), "a forged datagram has arrived"


@case("groups that the configuration names reach the subscribers who have joined, and no others do",
      more="multicast: [{groups: 239.1.0.0/16, from: ext0, to: int0}]")
def multicast(world):
    heard = {}
    for group in ("239.1.2.3", "239.2.2.3"):
        heard[group] = world.lab.socket("sub1", kind=socket.SOCK_DGRAM, source=(group, 5004))
        joins = socket.inet_aton(group) + socket.inet_aton("100.64.0.11")
        heard[group].setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joins)
    sender = traffic.udp_socket(world.lab, "net", town.ROUTER, 5005)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(town.ROUTER))
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 5)
    time.sleep(3)  # until the kernel has told of its groups, twice: that is multicast, too
    told = world.nat.counters()["multicast"]
    with drops(world.nat, multicast=3):
        for group in heard:
            for number in range(3):
                sender.sendto(f"{group} {number}".encode(), (group, 5004))
    for number in range(3):
        assert heard["239.1.2.3"].recvfrom(100) == (f"239.1.2.3 {number}".encode(), (town.ROUTER, 5005))
    assert traffic.hears_nothing(heard["239.2.2.3"])
    assert world.nat.counters()["multicast"] == told + 3
    assert world.nat.show("status")["sessions"]["used"] == 0


@case("a flood of noise leaves the appliance whole")
def noise(world):
    chance = random.Random(4787)
    sender = world.lab.raw("sub1", "eth0")
    header = frame_to_appliance(world.lab, "sub1", Raw(b""), type=0x0800)
    good = bytes(ip() / udp())
    for number in range(20000):
        data = bytearray(good if number % 2 else chance.randbytes(chance.randint(0, 200)))
        for _ in range(chance.randint(1, 4) if data else 0):
            data[chance.randrange(len(data))] = chance.randrange(256)
        sender.send(header + bytes(data))
    assert traffic.curl(world.lab, "sub1", "100.64.0.11", "/who")


@case("a packet whose TTL ends here is answered with time exceeded, quoting it as it was sent")
def ttl_exceeded(world):
    raw = world.lab.raw("sub1", "eth0")
    packet = ip(src="100.64.0.11", ttl=1, id=4321) / UDP(sport=5353, dport=33434) / Raw(b"expiring")
    with drops(world.nat, ttl_exceeded=1):
        raw.send(frame_to_appliance(world.lab, "sub1", packet))
    answer = traffic.capture(raw, lambda frame: Ether(frame).haslayer(ICMP) and Ether(frame)[ICMP].type == 11)
    assert answer is not None, "no time exceeded came"
    assert Ether(answer)[IP].src == town.INTERNAL_ADDRESS
    quote = bytes(Ether(answer)[ICMP].payload)
    assert quote[12:20] == bytes(packet)[12:20] and quote[20:28] == bytes(packet)[20:28], quote.hex()


@case("UDP to the appliance is answered with port unreachable, so that a traceroute to it ends")
def traceroute_to_appliance(world):
    assert traffic.traceroute(world.lab, "sub1", "100.64.0.11", target=town.INTERNAL_ADDRESS) == [town.INTERNAL_ADDRESS]


@case("a packet too big for the external link is answered with fragmentation needed", ext_mtu="1400",
      tags="[rfc4787-req13]")
def path_mtu_outwards(world):
    status, output = traffic.ping(world.lab, "sub1", "100.64.0.11", more=["-M", "do", "-s", "1472"], count=1)
    assert status != 0 and re.search(r"mtu ?= ?1400", output), output
    status, output = traffic.ping(world.lab, "sub1", "100.64.0.11", more=["-M", "do", "-s", "1372"], count=1)
    assert status == 0, output


@case("downloads pass an internal link of smaller MTU by path MTU discovery", int_mtu="1400")
def path_mtu_inwards(world):
    world.lab.ip("sub1", "link set eth0 mtu 1500")  # so that the server sends full segments at first
    download = traffic.download_sha256(world.lab, "sub1", "100.64.0.11", 1_000_000, seconds=30)
    download.process.wait(35)
    assert download.output().split()[0] == peer.blob_sha256(1_000_000), download.output()
    assert world.nat.dropped("too-big") >= 1, "nothing was too big: the test shows nothing"
