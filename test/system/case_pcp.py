"""Subscribers control their mappings: by PCP, spelled from RFC 6887, and by NAT-PMP with a client that others have written."""
import re
import socket
import struct

import lab as laboratory
import town
import traffic
from cases import case, need

PORT = 5351
SUCCESS, NOT_AUTHORIZED, UNSUPPORTED_OPTION, ADDRESS_MISMATCH = 0, 2, 5, 12
NONCE = bytes(range(12))


def mapped(address):
    """An IPv4 address as PCP writes it."""
    return bytes(10) + b"\xff\xff" + socket.inet_aton(address)


def map_request(client, port, lifetime=600, nonce=NONCE, protocol=socket.IPPROTO_UDP, options=b""):
    return (struct.pack(">BBHI", 2, 1, 0, lifetime) + mapped(client) + nonce + struct.pack(">B3xHH", protocol, port, 0) +
            mapped("0.0.0.0") + options)


def ask(world, name, source, request):
    client = world.lab.socket(name, kind=socket.SOCK_DGRAM, source=(source, 0), timeout=3)
    client.sendto(request, (town.INTERNAL_ADDRESS, PORT))
    answer, sender = client.recvfrom(2000)
    assert sender == (town.INTERNAL_ADDRESS, PORT), sender
    return answer


def result_of(answer):
    version, opcode, _, result, lifetime = struct.unpack(">BBBBI", answer[:8])
    assert (version, opcode) == (2, 0x81), answer
    return result, lifetime


def external_of(answer):
    return socket.inet_ntoa(answer[56:60]), struct.unpack(">H", answer[42:44])[0]


def reaches(world, client, external):
    """Whether a stranger's datagram to the external endpoint gets to the subscriber's socket."""
    server = traffic.udp_socket(world.lab, "net", town.OTHER_SERVER)
    server.sendto(b"knock", external)
    try:
        return client.recvfrom(100)[0] == b"knock"
    except socket.timeout:
        return False


@case("a subscriber asks for a mapping by PCP, is reached through it, and gives it up",
      tags="[rfc6888-req9-pcp]", workers="2", system="shards: 3")
def by_pcp(world):
    source = "100.64.1.3"
    before = world.nat.counters()["pcp-answers"]
    client = traffic.udp_socket(world.lab, "sub1", source, 4000, timeout=1)
    answer = ask(world, "sub1", source, map_request(source, 4000))
    assert result_of(answer) == (SUCCESS, 600), answer
    external = external_of(answer)
    assert town.in_pool(external[0]), external
    assert reaches(world, client, external)
    assert traffic.ask(client) == external  # what it sends comes from there as well
    other = map_request(source, 4000, nonce=bytes(12))
    assert result_of(ask(world, "sub1", source, other))[0] == NOT_AUTHORIZED
    assert result_of(ask(world, "sub1", source, map_request("100.64.1.4", 4000)))[0] == ADDRESS_MISMATCH
    third = map_request(source, 4001, options=struct.pack(">BBH", 1, 0, 16) + mapped("100.64.1.4"))
    assert result_of(ask(world, "sub1", source, third))[0] == UNSUPPORTED_OPTION
    rows = [row for row in world.nat.mappings() if row["type"] == "dynamic-explicit"]
    assert [row["internal-src-port"] for row in rows] == [4000] and 0 < rows[0]["lease"] <= 600, rows
    unused = external_of(ask(world, "sub1", source, map_request(source, 4002)))
    assert result_of(ask(world, "sub1", source, map_request(source, 4002, 0))) == (SUCCESS, 0)
    listener = traffic.udp_socket(world.lab, "sub1", source, 4002, timeout=1)
    assert not reaches(world, listener, unused)
    assert "cleared" in world.nat.cli("clear", "mappings", "subscriber", source)
    left = [row for row in world.nat.mappings() if row["internal-src-address"] == source]
    assert not left, left
    answers = world.nat.counters()["pcp-answers"]
    assert answers["granted"] - before.get("granted", 0) == 3, answers
    assert answers["address-mismatch"] - before.get("address-mismatch", 0) == 1, answers


@case("natpmpc gets an address and a mapping, and a connection from outside comes in", tags="[rfc6888-req9]")
def by_nat_pmp(world):
    need("natpmpc")
    status, output = world.lab.attempt("sub1", ["natpmpc", "-g", town.INTERNAL_ADDRESS])
    assert status == 0, output
    address = re.search(r"Public IP address : (\S+)", output).group(1)
    assert town.in_pool(address), output
    status, output = world.lab.attempt(
        "sub1", ["natpmpc", "-g", town.INTERNAL_ADDRESS, "-a", "0", "8080", "tcp", "300"])
    assert status == 0, output
    found = re.search(r"Mapped public port (\d+) protocol TCP to local port 8080 life?time (\d+)", output)
    assert found and found.group(2) == "300", output
    server = world.lab.socket("sub1", source=("100.64.0.11", 8080), timeout=5)
    server.listen()
    caller = world.lab.socket("net", timeout=5, source=(town.SERVER, 0))
    caller.connect((address, int(found.group(1))))
    accepted, peer = server.accept()
    assert peer[0] == town.SERVER, peer
    accepted.sendall(b"welcome")
    assert caller.recv(100) == b"welcome"
    assert laboratory.wait_until(lambda: world.nat.counters()["pcp-answers"]["granted"] >= 2, 5)


@case("where PCP is switched off nobody answers at its port", more="pcp: {enabled: false}")
def switched_off(world):
    client = world.lab.socket("sub1", kind=socket.SOCK_DGRAM, source=("100.64.1.3", 0), timeout=3)
    client.connect((town.INTERNAL_ADDRESS, PORT))
    client.send(map_request("100.64.1.3", 4000))
    try:
        answer = client.recv(100)
        raise AssertionError(f"an answer: {answer}")
    except ConnectionRefusedError:
        pass
