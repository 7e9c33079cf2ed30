"""How external ports are chosen: what the far end sees."""
import appliance
import town
import traffic
from cases import case

PRESERVE = {"workers": "2", "system": "shards: 3"}


def seen_from(world, source, port):
    """As whom the far end sees a socket of a subscriber."""
    name = "sub1" if source.startswith("100.64.1.") else "sub2"
    client = traffic.udp_socket(world.lab, name, source, port)
    seen = traffic.ask(client)
    client.close()
    return seen


@case("with port-selection: preserve the far end sees the subscriber's own port", ports="1024-65535",
      pool="port-selection: preserve", **PRESERVE)
def preserve(world):
    for last in range(3, 23):
        for subscriber, port in ((f"100.64.1.{last}", 20000 + last), (f"100.64.2.{last}", 5060)):
            address, seen = seen_from(world, subscriber, port)
            assert town.in_pool(address) and seen == port, f"{subscriber}:{port} was seen as {address}:{seen}"
    endpoint = traffic.curl(world.lab, "sub1", "100.64.1.9", "/who")
    rows = world.nat.mappings("subscriber", "100.64.1.9")
    assert all(row["internal-src-port"] == row["external-src-port"] for row in rows), (endpoint, rows)
    pool = world.nat.show("pools")["pools"][0]
    assert pool["port-selection"] == "preserve" and pool["blocks"] == {"free": 0, "granted": 0}, pool
    assert pool["ports-in-use"] >= 40, pool


@case("with port-ranges: preserve well-known ports stay well-known ones", ports="1-65535",
      pool="port-ranges: preserve", tags="[rfc4787-req3a]", **PRESERVE)
def ranges(world):
    for last in range(3, 13):
        for port in (53, 123, 1023):
            address, seen = seen_from(world, f"100.64.1.{last}", port)
            assert town.in_pool(address) and 0 < seen < 1024, f"{port} was seen as {address}:{seen}"
        for port in (1024, 40000):
            _, seen = seen_from(world, f"100.64.1.{last}", port)
            assert seen >= 1024, f"{port} was seen as {seen}"


@case("without pairing a subscriber's connections leave from several addresses", pool="pairing: none",
      policy="limits: {ports: 2048}", **PRESERVE)
def unpaired(world):
    clients = [traffic.udp_socket(world.lab, "sub1", "100.64.1.3", 20000 + number) for number in range(600)]
    addresses = {traffic.ask(client)[0] for client in clients}
    for client in clients:
        client.close()
    assert len(addresses) >= 3, f"600 mappings, blocks of 256 ports, but only {addresses}"
    assert world.nat.show("pools")["pools"][0]["pairing"] == "none"


RESERVED = """\
reserved-addresses: [203.0.113.0-203.0.113.14, 203.0.113.64-203.0.113.79]
    reserved-ports: [1024-20000, 21280-65535]
    port-quarantine-ports: 100
    block-max-age: 1h
    keep-first-block: true"""


@case("reserved addresses and ports are nobody's", pool=RESERVED, **PRESERVE)
def reserved(world):
    seen = {seen_from(world, f"100.64.{n}.{last}", 30000) for n in (1, 2) for last in range(3, 6)}
    assert {address for address, _ in seen} == {"203.0.113.15"}, seen
    assert all(20001 <= port <= 21279 for _, port in seen), seen
    assert world.nat.show("pools")["pools"][0]["addresses"] == ["203.0.113.15"]


DETERMINISTIC = """\
port-selection: deterministic
    overflow-pool: more
  - name: more
    addresses: [203.0.113.64/30]"""


@case("with port-selection: deterministic the file alone says who had a port", pool=DETERMINISTIC, addresses="203.0.113.0/28",
      sources="100.64.1.0/24, 100.64.2.0/24",
      tags="[rfc7422]", **PRESERVE)
def deterministic(world):
    for subscriber in ("100.64.1.3", "100.64.1.9", "100.64.2.3", "100.64.2.12"):
        address, port = seen_from(world, subscriber, 30000)
        for whom in (f"{address}:{port}", subscriber):
            status, answer = world.lab.attempt("nat", [appliance.program_path(world.nat.build, "sekishod"), "--config",
                                                       world.nat.config, "--who", whom], 10)
            assert status == 0, answer
            words = answer.split()
            assert words[1] == subscriber and words[5] == address, answer
            first, last = words[7].split("-")
            assert int(first) <= port <= int(last) and int(last) - int(first) == 255, answer
        rows = world.nat.show("who", "external", f"{address}:{port}")["who"]
        assert [(row["by"], row["internal-src-address"]) for row in rows] == [("formula", subscriber)], rows
        assert subscriber in world.nat.cli("who", address, str(port))


@case("what is beyond a subscriber's own block is shown as the overflow pool's", pool=DETERMINISTIC, addresses="203.0.113.0/28",
      sources="100.64.1.0/24, 100.64.2.0/24", tags="[rfc7422]", **PRESERVE)
def overflow(world):
    clients = [traffic.udp_socket(world.lab, "sub1", "100.64.1.21", 20000 + number) for number in range(300)]
    for client in clients:
        traffic.ask(client)
    found = {(row["pool"], row["external-src-address"]) for row in world.nat.mappings("subscriber", "100.64.1.21")}
    for client in clients:
        client.close()
    assert {pool for pool, _ in found} == {"main", "more"} and len(found) == 2, found
    assert dict(found)["more"].startswith("203.0.113.6"), found
    own, more = world.nat.show("pools")["pools"]
    assert own["overflow-pool"] == "more" and own["port-selection"] == "deterministic", own
    assert more["overflow-pool"] is None and more["ports-in-use"] >= 44 and more["blocks"]["granted"] >= 1, more
    shown = world.nat.cli("show", "pools").splitlines()
    assert "OVERFLOW" in shown[0] and "deterministic" in shown[1] and "more" in shown[1], shown
    status, answer = world.lab.attempt("nat", [appliance.program_path(world.nat.build, "sekishod"), "--config",
                                               world.nat.config, "--who", "100.64.1.21"], 10)
    assert status == 0 and "beyond these ports of pool more" in answer, answer


@case("who has an external port is told by the mapping that has it", **PRESERVE)
def who_by_mapping(world):
    address, port = seen_from(world, "100.64.1.7", 30001)
    rows = world.nat.show("who", "external", f"{address}:{port}")["who"]
    assert [(row["by"], row["internal-src-address"], row["internal-src-port"]) for row in rows] == [
        ("mapping", "100.64.1.7", 30001)], rows
    assert "100.64.1.7" in world.nat.cli("who", address, str(port))
    status, output = world.nat.cli_status("show", "who")
    assert status != 0 and "wanted an external address and port" in output, output
