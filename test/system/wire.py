"""IPv4 packets as bytes: made field by field, and taken apart again."""
import socket
import struct

ICMP, TCP, UDP = 1, 6, 17
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
MORE = 0x2000  # more fragments, in the field of the offset
ICMP_ERRORS = (3, 4, 5, 11, 12)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip(source, destination, protocol, load, ident=0, ttl=64, tos=0, fragment=0):
    """`fragment`: offset in units of eight bytes, and MORE."""
    head = struct.pack("!BBHHHBBH4s4s", 0x45, tos, 20 + len(load), ident, fragment, ttl, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(destination))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + load


def with_tos(packet, tos):
    head = packet[:1] + bytes([tos]) + packet[2:10] + b"\0\0" + packet[12:20]
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + packet[20:]


def with_checksum(source, destination, protocol, load, at):
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!BBH", 0, protocol, len(load))
    return load[:at] + struct.pack("!H", checksum(pseudo + load) or 0xffff) + load[at + 2:]


def tcp(source, destination, ports, flags, numbers=(0, 0), load=b""):
    """The segment; `numbers`: of sequence and acknowledgement."""
    head = struct.pack("!HHIIBBHHH", *ports, *numbers, 0x50, flags, 65535, 0, 0)
    return with_checksum(source, destination, TCP, head + load, 16)


def udp(source, destination, ports, load=b""):
    return with_checksum(source, destination, UDP, struct.pack("!HHHH", *ports, 8 + len(load), 0) + load, 6)


def icmp(kind, code, rest=b"\0\0\0\0", load=b""):
    data = struct.pack("!BBH", kind, code, 0) + rest + load
    return data[:2] + struct.pack("!H", checksum(data)) + data[4:]


class Packet:
    """What the bytes say; fields that are not there are None."""

    def __init__(self, data):
        self.data = data
        head = (data[0] & 15) * 4
        _, self.tos, self.length, self.ident, fragment, self.ttl, self.protocol = struct.unpack("!BBHHHBB", data[:10])
        self.source, self.destination = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
        self.offset, self.has_more = fragment & 0x1fff, bool(fragment & MORE)
        self.load = data[head:self.length]
        self.ports = self.flags = self.kind = self.echo = self.quoted = None
        if self.offset == 0 and self.protocol in (TCP, UDP) and len(self.load) >= 8:
            self.ports = struct.unpack("!HH", self.load[:4])
            self.flags = self.load[13] & 0x3f if self.protocol == TCP and len(self.load) >= 20 else None
        if self.offset == 0 and self.protocol == ICMP and len(self.load) >= 8:
            self.kind = (self.load[0], self.load[1])
            self.echo = struct.unpack("!H", self.load[4:6])[0]
            self.quoted = Packet(self.load[8:]) if self.kind[0] in ICMP_ERRORS and len(self.load) >= 28 else None

    def __repr__(self):
        name = {ICMP: "icmp", TCP: "tcp", UDP: "udp"}.get(self.protocol, str(self.protocol))
        ends = [self.source, self.destination]
        if self.ports:
            ends = [f"{end}:{port}" for end, port in zip(ends, self.ports)]
        more = "".join([f" flags {self.flags:#x}" if self.flags is not None else "",
                        f" type {self.kind[0]}/{self.kind[1]}" if self.kind else "",
                        f" fragment {self.offset}{'+' if self.has_more else ''}" if self.offset or self.has_more else ""])
        return f"{name} {ends[0]} > {ends[1]}{more} length {self.length}"
