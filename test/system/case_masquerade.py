"""A pool that is the link's own address: subscribers and the appliance behind one."""
import town
import traffic
from cases import case

MASQUERADE = {"workers": "2", "system": "shards: 3", "addresses": "link: ext0"}
OWN = town.EXTERNAL_ADDRESS


@case("all subscribers stand behind the link's own address, which still answers for itself", **MASQUERADE)
def masquerade(world):
    for name, source in (("sub1", "100.64.1.3"), ("sub2", "100.64.2.3"), ("sub2", town.ROUTED[0])):
        seen, _ = traffic.parse_endpoint(traffic.curl(world.lab, name, source, "/who"))
        assert seen == OWN, f"{source} was seen as {seen}"
        client = traffic.udp_socket(world.lab, name, source)
        assert traffic.ask(client)[0] == OWN
        status, output = traffic.ping(world.lab, name, source)
        assert status == 0 and "3 received" in output, output
        status, output = traffic.ping(world.lab, name, source, OWN)
        assert status == 0 and "3 received" in output, output
    status, output = traffic.ping(world.lab, "net", town.SERVER, OWN)
    assert status == 0 and "3 received" in output, output
    for more in ((), ("-I",)):
        hops = traffic.traceroute(world.lab, "net", town.SERVER, more, OWN)
        assert hops == [OWN], hops
    hops = traffic.traceroute(world.lab, "sub1", "100.64.1.3")
    assert hops[0] == town.INTERNAL_ADDRESS and hops[-1] == town.SERVER, hops


@case("neighbours behind the link's own address reach each other by it", **MASQUERADE)
def neighbours(world):
    one = traffic.udp_socket(world.lab, "sub1", "100.64.1.6")
    other = traffic.udp_socket(world.lab, "sub2", "100.64.2.6")
    ends = [traffic.ask(one), traffic.ask(other)]
    assert ends[0][0] == ends[1][0] == OWN, ends
    one.sendto(b"hello", ends[1])
    assert other.recvfrom(100) == (b"hello", ends[0])
    other.sendto(b"well", ends[0])
    assert one.recvfrom(100) == (b"well", ends[1])
