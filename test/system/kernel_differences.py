"""Packets that fare otherwise here than on Linux, under the same iptables script, and why: doc/legacy.md has the list."""
import struct

from flows import datagram, echo, segment
from wire import ACK, FIN, ICMP, MORE, RST, SYN, TCP, UDP, icmp, ip, tcp, udp

NEEDLE = "-m string --string needle --algo bm"
REFUSE = ["iptables -A FORWARD -j REJECT"]
ANSWERED = ["iptables -A FORWARD -i ext0 -j DROP", "iptables -A FORWARD -m state --state ESTABLISHED -j REJECT"]


def message(kind, side=0):
    def build(flow, view, ident):
        source, destination, _ = flow.ends(side, view)
        return ip(source, destination, ICMP, icmp(kind, 0, struct.pack("!HH", flow.port, 1), bytes(12)), ident)
    return side, build


def whole_checksum(flow, view, ident):
    """A first fragment as any host sends it."""
    ends = flow.ends(0, view)
    return ip(*ends[:2], UDP, udp(*ends, bytes(range(200)) * 4)[:408], ident, fragment=MORE)


def first_of_tcp(flow, view, ident):
    ends = flow.ends(0, view)
    return ip(*ends[:2], TCP, tcp(*ends, ACK, (1, 1), bytes(60)), ident, fragment=MORE)


def saying(payload):
    def build(flow, view, ident):
        ends = flow.ends(0, view)
        return ip(*ends[:2], UDP, udp(*ends, payload), ident)
    return 0, build


def said_in(*parts):
    """A connection that is open, and these bytes of its client, each in a segment."""
    steps = [segment(0, SYN, (1000, 0)), segment(1, SYN | ACK, (5000, 1001)), segment(0, ACK, (1001, 5001))]
    at = 1001
    for part in parts:
        def build(flow, view, ident, at=at, part=part):
            ends = flow.ends(0, view)
            return ip(*ends[:2], TCP, tcp(*ends, ACK, (at, 5001), part), ident)
        steps.append((0, build))
        at += len(part)
    return steps


def second_half(flow, view, ident):
    source, destination, _ = flow.ends(0, view)
    return ip(source, destination, UDP, bytes(80), ident, fragment=51)


def datagram_in_two():
    """Of one datagram: its first half, which shows the ports, and its second."""
    def first(flow, view, ident):
        flow.ident = ident
        return whole_checksum(flow, view, ident)

    def second(flow, view, _):
        return second_half(flow, view, flow.ident)
    return [(0, first), (0, second)]


# What it is, the script, the steps of one flow, and the fate of the last one: on Linux, and here.
TRACKED = [
    ("a bare ACK", [], [segment(0, ACK, (1, 1))], "passed", "dropped"),
    ("a lone RST", [], [segment(0, RST, (1, 0))], "passed", "dropped"),
    ("a SYN+ACK that answers nothing", [], [segment(0, SYN | ACK, (1, 1))], "passed", "dropped"),
    ("SYN+FIN", REFUSE, [segment(0, SYN | FIN, (1, 0))], "rejected with 3/3", "dropped"),
    ("an echo reply that answers nothing", [], [message(0)], "passed", "dropped"),
    ("a timestamp request", [], [message(13)], "passed", "dropped"),
    ("a TTL, at FORWARD", ["iptables -A FORWARD -m ttl --ttl-eq 64 -j REJECT"], [datagram(0, 5)], "passed", "rejected with 3/3"),
    ("a flow whose answer a rule has dropped", ANSWERED, [datagram(0, 5), datagram(1, 5), datagram(0, 5)],
     "rejected with 3/3", "passed"),
    ("an echo whose answer a rule has dropped", ANSWERED, [echo(0), echo(1), echo(0)], "rejected with 3/3", "passed"),
    ("a later fragment, by -f", ["iptables -A FORWARD -f -j DROP"], datagram_in_two(), "passed", "dropped"),
    ("a later fragment, by ports", ["iptables -P FORWARD DROP", "iptables -A FORWARD -p udp --sport 1: -j ACCEPT"],
     datagram_in_two(), "passed", "dropped"),
    ("a string that two segments share", [f"iptables -A FORWARD -p tcp {NEEDLE} -j DROP"], said_in(b"a nee", b"dle here"), "passed", "dropped"),
    ("what comes behind a string in its direction", [f"iptables -A FORWARD -p udp -m length --length :60 {NEEDLE} -j DROP"],
     [saying(b"a needle" + bytes(100)), saying(b"hay")], "passed", "dropped"),
]
UNTRACKED = [
    ("a first fragment that is rejected", REFUSE, [(0, whole_checksum)], "dropped", "rejected with 3/3"),
    ("a first fragment that is reset", ["iptables -A FORWARD -p tcp -j REJECT --reject-with tcp-reset"], [(0, first_of_tcp)],
     "reset", "dropped"),
    ("a fragment whose first one has not come", [], [(0, second_half)], "passed", "dropped"),
    ("a timestamp request", [], [message(13)], "passed", "dropped"),
]
