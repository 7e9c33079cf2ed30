"""Rules in front of real clients and servers."""
import lab as laboratory
import town
import traffic
from case_reload import reload, rewrite
from cases import case

RULES = """
sets:
  - {name: closed, addresses: [100.64.1.9]}
rules:
  - name: passing
    hook: forward
    policy: accept
    rules:
      - {protocol: udp, destination-port: %d, source: "@closed", action: {reject: administratively-prohibited}}
      - {protocol: tcp, destination-port: 80, source: 100.64.1.8, action: {reject: tcp-reset}}
  - name: to-us
    hook: local-in
    policy: accept
    rules:
      - {protocol: icmp, source: 100.64.1.8, action: deny}
""" % traffic.UDP_PORT


@case("rules deny and reject what they say, to real programs, and nothing else", workers="2", system="shards: 3", more=RULES)
def deny_and_reject(world):
    assert traffic.curl(world.lab, "sub1", "100.64.1.7", "/who")
    status, output = world.lab.attempt("sub1", traffic.curl_arguments("100.64.1.8", "/who"))
    assert status == 7, (status, output)  # refused by a reset, not by a time-out
    status, output = traffic.ping(world.lab, "sub1", "100.64.1.8", "100.64.0.1")
    assert status != 0 and " 0 received" in output, output
    status, output = traffic.ping(world.lab, "sub1", "100.64.1.7", "100.64.0.1")
    assert status == 0, output
    shut = traffic.udp_socket(world.lab, "sub1", "100.64.1.9")
    shut.connect((town.SERVER, traffic.UDP_PORT))
    shut.send(b"x")
    assert laboratory.wait_until(lambda: error_of(shut) is not None, 5), "no ICMP error came"
    assert world.nat.dropped("denied-by-rule") >= 5
    assert not world.nat.sessions("subscriber", "100.64.1.9")


def error_of(sock):
    try:
        sock.send(b"x")
    except OSError as error:
        return error
    return None


@case("changed rules cut the sessions that they forbid, and leave the others alone", workers="2", system="shards: 3", more=RULES)
def change(world):
    kept = traffic.udp_socket(world.lab, "sub1", "100.64.1.6")
    cut = traffic.udp_socket(world.lab, "sub1", "100.64.1.5")
    kept_endpoint, _ = traffic.ask(kept), traffic.ask(cut)
    rewrite(world, ("addresses: [100.64.1.9]", "addresses: [100.64.1.5]"))
    done = reload(world)
    assert any("sets" in each["setting"] for each in done["changed"]), done
    assert done["rested-ns"] < 2_000_000_000, done
    assert traffic.ask(kept) == kept_endpoint
    cut.sendto(b"x", (town.SERVER, traffic.UDP_PORT))
    assert laboratory.wait_until(lambda: not world.nat.sessions("subscriber", "100.64.1.5"), 5)
    open_again = traffic.udp_socket(world.lab, "sub1", "100.64.1.9")
    assert traffic.ask(open_again)
