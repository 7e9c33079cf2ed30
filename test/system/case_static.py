"""Destinations exempt from translation: routed as they are, between real clients and servers."""
import town
import traffic
from cases import case

EXEMPT = {"policy": f"exempt: [{town.OTHER_SERVER}/32, {{destination: {town.SERVER}/32, ports: {traffic.UDP_PORT}}}]",
          "workers": "2", "system": "shards: 3"}


def route_back(world):
    """The provider's way to the subscribers, who are not translated for some destinations."""
    world.lab.ip("net", f"route replace 100.64.0.0/10 via {town.EXTERNAL_ADDRESS}")


@case("an exempt destination sees the subscribers themselves, over TCP, UDP and ICMP", tags="[rfc6888-req6]", **EXEMPT)
def exempt(world):
    route_back(world)
    for name, source in (("sub1", "100.64.1.3"), ("sub2", "100.64.2.3"), ("sub1", "100.64.1.4")):
        seen, _ = traffic.parse_endpoint(traffic.curl(world.lab, name, source, "/who", server=town.OTHER_SERVER))
        assert seen == source, f"{source} was seen as {seen}"
        client = traffic.udp_socket(world.lab, name, source)
        assert traffic.ask(client, town.OTHER_SERVER) == client.getsockname()
        assert traffic.ask(client, town.SERVER) == client.getsockname()  # this port of it is exempt
        seen, _ = traffic.parse_endpoint(traffic.curl(world.lab, name, source, "/who"))  # and this one is not
        assert town.in_pool(seen), f"{source} was seen as {seen}"
        status, output = traffic.ping(world.lab, name, source, town.OTHER_SERVER)
        assert status == 0 and "3 received" in output, output
    assert world.nat.counters()["untranslated"] > 0


@case("an exempt host outside may begin, and no other", tags="[rfc6888-req6]", **EXEMPT)
def exempt_inbound(world):
    route_back(world)
    inside = traffic.udp_socket(world.lab, "sub1", "100.64.1.5")
    target = inside.getsockname()
    outside = traffic.udp_socket(world.lab, "net", town.OTHER_SERVER, 7777)
    outside.sendto(b"knock", target)
    data, sender, ttl = traffic.receive_with_ttl(inside)
    assert (data, sender, ttl) == (b"knock", (town.OTHER_SERVER, 7777), 63), (data, sender, ttl)
    traffic.udp_socket(world.lab, "net", town.SERVER, 7777).sendto(b"knock", target)
    assert traffic.hears_nothing(inside)
    status, output = traffic.ping(world.lab, "net", town.OTHER_SERVER, "100.64.1.5")
    assert status == 0 and "3 received" in output, output
    status, _ = traffic.ping(world.lab, "net", town.SERVER, "100.64.1.5", count=1)
    assert status != 0
