"""SCTP, DCCP, UDP-Lite, GRE and ESP, of which only the address is translated: between the kernel's own sockets."""
import socket
import struct

import case_fragments
import town
import traffic
from cases import case, drops

UDP_LITE = 136
RAW = {"sctp": 132, "dccp": 33, "gre": 47, "esp": 50}
SUBSCRIBERS = (("sub1", "100.64.1.21"), ("sub2", "100.64.2.21"))
TWO_WORKERS = {"workers": "2", "system": "shards: 3"}


def raw_socket(world, name, address, protocol):
    return world.lab.socket(name, kind=socket.SOCK_RAW, protocol=protocol, source=(address, 0))


def receive_raw(sock):
    """What came behind the IPv4 header, and its source."""
    data, (source, _) = sock.recvfrom(2000)
    return data[4 * (data[0] & 15):], source


def body_of(protocol, source, target):
    """A packet with a right checksum, if it has one that covers the addresses."""
    body = bytearray(struct.pack("!HHHHII", 4000, 4001, 0x3000, 0, 7, 8) + b"what is carried")
    if protocol == RAW["dccp"]:
        body += b"\0" * (len(body) % 2)
        pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!HH", protocol, len(body))
        words = struct.unpack(f"!{(len(pseudo) + len(body)) // 2}H", pseudo + bytes(body))
        total = sum(words)
        total = (total & 0xffff) + (total >> 16)
        total = (total & 0xffff) + (total >> 16)
        struct.pack_into("!H", body, 6, total ^ 0xffff)
    return bytes(body)


@case("SCTP, DCCP, GRE and ESP pass both ways, and two subscribers have one server each", tags="[rfc5597]", **TWO_WORKERS)
def raw_protocols(world):
    for name, protocol in RAW.items():
        for (subscriber, inside), server in zip(SUBSCRIBERS, (town.SERVER, town.OTHER_SERVER)):
            client = raw_socket(world, subscriber, inside, protocol)
            far = raw_socket(world, "net", server, protocol)
            client.sendto(body_of(protocol, inside, server), (server, 0))
            seen, external = receive_raw(far)
            assert town.in_pool(external), (name, external)
            assert seen == body_of(protocol, external, server), (name, seen)
            far.sendto(body_of(protocol, server, external), (external, 0))
            seen, source = receive_raw(client)
            assert source == server and seen == body_of(protocol, server, inside), (name, source, seen)
            client.close()
            far.close()
        rows = world.nat.sessions("protocol", name)
        assert sorted(row["internal-src-address"] for row in rows) == [inside for _, inside in SUBSCRIBERS], rows
        assert all(row["external-src-port"] == 0 for row in rows), rows


@case("the kernel's UDP-Lite finds its checksums right on both sides, in fragments too", starts=False, tags="[rfc5597]",
      **case_fragments.XDP)
def udp_lite(world):
    case_fragments.start(world)
    name, inside = SUBSCRIBERS[0]
    server = world.lab.socket("net", kind=socket.SOCK_DGRAM, protocol=UDP_LITE, source=(town.SERVER, 5353))
    client = world.lab.socket(name, kind=socket.SOCK_DGRAM, protocol=UDP_LITE, source=(inside, 4000))
    for size in (1, 100, 1400, 4000):  # the last one in fragments
        client.sendto(b"q" * size, (town.SERVER, 5353))
        data, (external, port) = server.recvfrom(5000)
        assert data == b"q" * size and port == 4000 and town.in_pool(external), (size, external, port)
        server.sendto(b"a" * size, (external, port))
        data, source = client.recvfrom(5000)
        assert data == b"a" * size and source == (town.SERVER, 5353), (size, source)
    traffic.ping(world.lab, name, inside)  # af_xdp gives a sent buffer back when it sends again


@case("a stranger's packet, one of a protocol that is off and one to a taken server go nowhere",
      policy="address-only: [gre, esp]", addresses="203.0.113.0/32")
def refused(world):
    one, first = SUBSCRIBERS[0]
    gre = RAW["gre"]
    clients = [raw_socket(world, name, inside, gre) for name, inside in SUBSCRIBERS]
    server = raw_socket(world, "net", town.SERVER, gre)
    stranger = raw_socket(world, "net", town.OTHER_SERVER, gre)
    clients[0].sendto(b"\0\0\x08\0mine", (town.SERVER, 0))
    _, external = receive_raw(server)
    with drops(world.nat, no_mapping=1, remote_taken=1, unknown_protocol=1):
        stranger.sendto(b"\0\0\x08\0yours", (external, 0))
        assert traffic.hears_nothing(clients[0])
        clients[1].sendto(b"\0\0\x08\0mine too", (town.SERVER, 0))
        assert traffic.hears_nothing(server)
        raw_socket(world, one, first, RAW["sctp"]).sendto(b"x" * 20, (town.SERVER, 0))
