"""Flows as two routers see them: the same packets in turn, each from what that router has made of those before.

A step is (side, build): from which side the packet comes, 0 inside, and build(flow, view, ident), its bytes, or None where the
router has let nothing pass yet to which it would be an answer.
"""
import struct

from routers import CLIENTS, INTERNAL
from wire import ACK, FIN, ICMP, MORE, PSH, RST, SYN, TCP, UDP, URG, icmp, ip, tcp, udp

SERVERS = [f"192.0.2.{i}" for i in range(1, 7)]
SERVICES = [22, 53, 80, 443, 1000, 5060, 8080]
PROVIDER = "198.51.100.1"
GRE = 47
HEADS = {UDP: 8, ICMP: 8, GRE: 4}


class View:
    """What one router has done with one flow."""

    def __init__(self, flow, translates):
        self.flow = flow
        self.address, self.port = (None, None) if translates else (flow.client, flow.port)
        self.came = [None, None]  # by the side from which it was sent, the last packet as it came out

    def take(self, side, packet):
        """False: it is not what the flow's packet should look like there."""
        if packet.kind is None or packet.quoted is None:
            self.came[side] = packet
        number = packet.ports[0] if packet.ports else packet.echo
        if side == 0 and self.address is None and packet.quoted is None and packet.offset == 0:
            self.address, self.port = packet.source, number
        return packet.ttl == 63


class Flow:
    def __init__(self, client, server, port, service):
        self.client, self.server, self.port, self.service = client, server, port, service
        self.steps = []
        self.ident = 0  # of its datagram in fragments
        self.tos = 0
        self.is_unasked = False  # dropped before any rule here, INVALID on Linux

    def ends(self, side, view):
        """Source, destination and ports of a packet; None: the far end does not know yet whom to answer."""
        if side == 0:
            return self.client, self.server, (self.port, self.service)
        return (self.server, view.address, (self.service, view.port)) if view.address else None


def datagram(side, size):
    def build(flow, view, ident):
        ends = flow.ends(side, view)
        return ends and ip(*ends[:2], UDP, udp(*ends, bytes(size)), ident)
    return side, build


def echo(side, size=8):
    def build(flow, view, ident):
        ends = flow.ends(side, view)
        number = flow.port if side == 0 else view.port
        rest = struct.pack("!HH", number or 0, 1)
        return ends and ip(*ends[:2], ICMP, icmp(8 if side == 0 else 0, 0, rest, bytes(size)), ident)
    return side, build


def error(side, kind, code, sender=None):
    """About the last packet that came out where the error is sent."""
    def build(flow, view, ident):
        about = view.came[1 - side]
        ends = flow.ends(side, view)
        if about is None or ends is None:
            return None
        rest = struct.pack("!HH", 0, 1400 if (kind, code) == (3, 4) else 0)
        return ip(sender or ends[0], ends[1], ICMP, icmp(kind, code, rest, about.data[:28]), ident)
    return side, build


def segment(side, flags, numbers, size=0):
    def build(flow, view, ident):
        ends = flow.ends(side, view)
        return ends and ip(*ends[:2], TCP, tcp(*ends, flags, numbers, bytes(size)), ident)
    return side, build


TALKS = [
    [(0, SYN, 0), (1, SYN | ACK, 0), (0, ACK, 0), (0, PSH | ACK, 30), (1, PSH | ACK, 40), (0, ACK, 0), (0, FIN | ACK, 0),
     (1, FIN | ACK, 0), (0, ACK, 0)],
    [(0, SYN, 0), (1, RST | ACK, 0)],
    [(0, SYN, 0), (1, SYN | ACK, 0), (0, ACK, 0), (1, PSH | ACK | URG, 20), (0, ACK | URG, 7), (0, RST | ACK, 0)],
    [(0, SYN, 0), (1, SYN | ACK, 0), (0, ACK | PSH, 10), (1, ACK, 0), (1, RST | ACK, 0)],
    [(0, SYN, 0), (1, SYN | ACK, 0), (0, ACK, 0), (1, FIN | ACK, 0), (0, ACK, 0), (0, FIN | PSH | ACK, 3), (1, ACK, 0)],
]


def connection(talk, chance):
    """The segments of a talk, with the numbers that belong to them."""
    sent = [chance.randrange(1 << 32), chance.randrange(1 << 32)]
    steps = []
    for side, flags, size in talk:
        acknowledged = sent[1 - side] if flags & ACK else 0
        steps.append(segment(side, flags, (sent[side], acknowledged), size))
        sent[side] = (sent[side] + size + bool(flags & SYN) + bool(flags & FIN)) & 0xffffffff
    return steps


def exchange_steps(chance):
    """Of a flow whose packets both sides take for such."""
    kind = chance.choice(["tcp"] * 5 + ["udp", "udp", "echo", "udp-error", "error-out", "tcp-error", "router"])
    size = chance.choice([1, 30, 200])
    if kind == "udp":
        return [datagram(side, size + side) for side in (0, 0, 1, 0, 1)]
    if kind == "echo":
        return [echo(side, size) for side in (0, 1, 0, 1)]
    if kind == "udp-error":
        return [datagram(0, size), error(1, *chance.choice([(3, 3), (3, 1), (3, 10), (11, 0), (3, 4)]), PROVIDER)]
    if kind == "error-out":
        return [datagram(0, size), datagram(1, size), error(0, 3, chance.choice([1, 3, 13]))]
    if kind == "tcp-error":
        return [*connection(TALKS[1][:1], chance), error(1, 3, chance.choice([0, 1, 3]), PROVIDER)]
    return [to_router(size)] if kind == "router" else connection(chance.choice(TALKS), chance)


def to_router(size):
    def build(flow, _, ident):
        return ip(flow.client, INTERNAL, ICMP, icmp(8, 0, struct.pack("!HH", flow.port, 1), bytes(size)), ident)
    return 0, build


def stray_step(chance):
    """A packet from inside that belongs to no flow and opens none: INVALID."""
    if chance.random() < 0.7:
        return segment(0, chance.choice([RST, RST | ACK, SYN | ACK, FIN | ACK]), (chance.randrange(1 << 32), 1))

    def build(flow, view, ident):
        source, destination, _ = flow.ends(0, view)
        return ip(source, destination, ICMP, icmp(0, 0, struct.pack("!HH", flow.port, 1), bytes(12)), ident)
    return 0, build


def contradictory_step(chance):
    """The same, but the appliance drops it before any rule."""
    if chance.random() < 0.7:
        return segment(0, chance.choice([0, SYN | FIN]), (chance.randrange(1 << 32), 0))

    def build(flow, _, ident):
        quoted = ip(flow.server, flow.client, UDP, udp(flow.server, flow.client, (flow.service, flow.port)), ident)
        return ip(flow.client, flow.server, ICMP, icmp(3, 3, b"\0\0\0\0", quoted), ident)
    return 0, build


def lone_packet(side, chance):
    """A packet by itself, of any kind that the appliance does not refuse before any rule."""
    flags = chance.choice([SYN, ACK, SYN | ACK, PSH | ACK, FIN | ACK, RST, RST | ACK, URG | ACK, SYN | URG, FIN | PSH | URG | ACK])
    load = bytes(chance.choice([0, 8, 100]))
    kind = chance.choice([TCP] * 4 + [UDP] * 3 + [ICMP] * 2 + [GRE])

    def build(flow, view, ident):
        ends = flow.ends(side, view)
        return ip(*ends[:2], kind, transport(kind, flow, ends, flags, load), ident)
    return side, build


def transport(kind, flow, ends, flags, load):
    if kind == TCP:
        return tcp(*ends, flags, (1, 1), load)
    if kind == UDP:
        return udp(*ends, load)
    return icmp(8, 0, struct.pack("!HH", flow.port, 1), load) if kind == ICMP else b"\0\0\x08\0" + load


def lone_steps(chance):
    """Packets without a context, from either side, or a datagram in fragments."""
    side = chance.randrange(2)
    return fragments(side, chance) if chance.random() < 0.3 else [lone_packet(side, chance) for _ in range(3)]


def fragments(side, chance):
    """The first one's checksum is that of its own bytes: the kernel answers nothing whose checksum is wrong."""
    kind = chance.choice([UDP, ICMP, GRE])

    def first(flow, view, ident):
        flow.ident = ident
        ends = flow.ends(side, view)
        load = transport(kind, flow, ends, 0, bytes(400 - HEADS[kind]))
        return ip(*ends[:2], kind, load, ident, fragment=MORE)

    def later(start, more):
        def build(flow, view, _):
            return ip(*flow.ends(side, view)[:2], kind, bytes(80), flow.ident, fragment=start // 8 | more)
        return side, build
    return [(side, first), later(400, MORE), later(480, 0)]


class Numbers:
    """Endpoints that no flow has had yet."""

    def __init__(self, chance):
        self.chance = chance
        self.used = set()

    def flow(self):
        chance = self.chance
        while True:
            client = chance.choice(CLIENTS)
            port = chance.choice([chance.randrange(1024, 4000), chance.randrange(1024, 65536)])
            if (client, port) not in self.used:
                self.used.add((client, port))
                flow = Flow(client, chance.choice(SERVERS), port, chance.choice(SERVICES))
                flow.tos = chance.choice([0, 0, 0x08, 0x10, 0xb8])
                return flow
