"""What the NAT admits, refuses and shows: filtering, hairpinning, ICMP errors."""
import socket

import lab as laboratory
import town
import traffic
from cases import case, changes, drops


@case("an unsolicited inbound packet is dropped and nothing arrives inside", tags="[pitfall-21]")
def unsolicited(world):
    listener = world.lab.raw("sub1", "eth0")
    stranger = traffic.udp_socket(world.lab, "net", town.SERVER)
    used = {(m["external-src-address"], m["external-src-port"]) for m in world.nat.mappings()}
    targets = [(f"203.0.113.{i}", 40000 + i) for i in (1, 2, 65, 66)]
    targets = [target for target in targets if target not in used]
    with drops(world.nat, no_mapping=len(targets)):
        for target in targets:
            stranger.sendto(b"who is there?", target)
    assert traffic.capture(listener, lambda frame: b"who is there?" in frame, 0.5) is None, "it went through"


@case("endpoint-independent filtering admits another remote endpoint to a mapping", tags="[rfc6888-req7]")
def endpoint_independent_filtering(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.5")
    mapped = traffic.ask(client)
    stranger = traffic.udp_socket(world.lab, "net", town.OTHER_SERVER, 7777)
    stranger.sendto(b"knock", mapped)
    assert client.recvfrom(100) == (b"knock", (town.OTHER_SERVER, 7777))
    client.sendto(b"come in", (town.OTHER_SERVER, 7777))
    assert stranger.recvfrom(100) == (b"come in", mapped)


@case("address-dependent filtering admits only addresses that were written to", filtering="address-dependent",
      tags="[rfc4787-req8]")
def address_dependent_filtering(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.5")
    mapped = traffic.ask(client)
    stranger = traffic.udp_socket(world.lab, "net", town.OTHER_SERVER, 7777)
    with drops(world.nat, filtered=1):
        stranger.sendto(b"knock", mapped)
    known = traffic.udp_socket(world.lab, "net", town.SERVER, 7778)  # another port of the known address
    known.sendto(b"other port", mapped)
    assert client.recvfrom(100) == (b"other port", (town.SERVER, 7778))


@case("address-and-port-dependent filtering admits only the endpoint that was written to",
      filtering="address-and-port-dependent", tags="[rfc4787-req8a]")
def address_and_port_dependent_filtering(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.5")
    mapped = traffic.ask(client)
    with drops(world.nat, filtered=2):
        for source in ((town.SERVER, 7778), (town.OTHER_SERVER, 7777)):
            traffic.udp_socket(world.lab, "net", *source).sendto(b"knock", mapped)
    assert traffic.hears_nothing(client)
    client.settimeout(2)
    assert traffic.ask(client) == mapped


@case("a hairpin costs one TTL and shows the external source", tags="[rfc4787-req9a]")
def hairpin(world):
    callee = traffic.udp_socket(world.lab, "sub2", "100.64.2.7")
    caller = traffic.udp_socket(world.lab, "sub1", "100.64.1.7")
    callee_mapped = traffic.ask(callee)
    caller_mapped = traffic.ask(caller)
    caller.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)
    caller.sendto(b"hello neighbour", callee_mapped)
    data, sender, ttl = traffic.receive_with_ttl(callee)
    assert (data, sender) == (b"hello neighbour", caller_mapped), f"{data} from {sender}, not {caller_mapped}"
    assert ttl == 63, f"TTL {ttl}"
    callee.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)
    callee.sendto(b"hello back", caller_mapped)
    data, sender, ttl = traffic.receive_with_ttl(caller)
    assert (data, sender, ttl) == (b"hello back", callee_mapped, 63), (data, sender, ttl)


@case("two subscribers connect over TCP by their external endpoints", tags="[rfc5382-req8]")
def tcp_hairpin(world):
    mapped = tcp_mapping(world, "sub2", "100.64.2.8", 6100)
    outside = world.lab.socket("sub2", source=("100.64.2.8", 6100))
    outside.listen()
    caller = world.lab.socket("sub1", source=("100.64.1.8", 0))
    caller.connect(mapped)
    accepted, sender = outside.accept()
    assert town.in_pool(sender[0]), f"the callee sees {sender}"
    caller.sendall(b"over the hairpin")
    assert accepted.recv(100) == b"over the hairpin"
    for made in (caller, accepted, outside):
        made.close()


def tcp_mapping(world, name, source, port):
    """The external endpoint of a TCP endpoint, learnt by a connection that has ended by a reset (no TIME-WAIT)."""
    client = world.lab.socket(name, source=(source, port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.connect((town.SERVER, traffic.HTTP_PORT))
    client.sendall(b"GET /who HTTP/1.1\r\n\r\n")
    answer = b""
    while not answer.endswith(b"\n") or answer.endswith(b"\r\n"):  # the body is one line, the head ends with an empty one
        answer += client.recv(1000)
    client.close()
    return traffic.parse_endpoint(answer.decode().split("\r\n\r\n")[1])


def is_refused(client):
    def probe():
        try:
            client.send(b"?")
            client.recv(100)
        except ConnectionRefusedError:
            return True
        except socket.timeout:
            pass
        return False

    client.settimeout(0.3)
    return laboratory.wait_until(probe, 5)


@case("an ICMP error from outside reaches the subscriber's socket", tags="[rfc5508-req4c]")
def icmp_error_inwards(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.6")
    client.connect((town.SERVER, 9))  # nobody listens
    assert is_refused(client), "the port unreachable did not arrive"


@case("an ICMP error from inside reaches the server's socket", tags="[rfc5508-req5]")
def icmp_error_outwards(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.6", 6606)
    mapped = traffic.ask(client)
    client.close()
    caller = traffic.udp_socket(world.lab, "net", town.OTHER_SERVER, 7779)
    caller.connect(mapped)
    assert is_refused(caller), "the port unreachable did not arrive"


@case("a subscriber at its limit of ports gets no more, and keeps what it has", policy="limits: {ports: 8}",
      tags="[rfc6888-req4a]")
def port_limit(world):
    clients = [traffic.udp_socket(world.lab, "sub1", "100.64.1.3", timeout=1) for _ in range(9)]
    mapped = [traffic.ask(client) for client in clients[:8]]
    before = world.nat.counters()["dropped"]
    clients[8].sendto(b"one too many", (town.SERVER, traffic.UDP_PORT))
    assert traffic.hears_nothing(clients[8])
    assert changes(before, world.nat).get("subscriber-port-limit", 0) >= 1, changes(before, world.nat)
    assert [traffic.ask(client) for client in clients[:8]] == mapped
