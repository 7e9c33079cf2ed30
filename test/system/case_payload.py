"""Payload rules in front of real clients and servers."""
import socket

import lab as laboratory
import town
import traffic
from case_reload import reload, rewrite
from cases import case
from oldtools import OldTools

RULES = """
patterns:
  - {name: secret, literal: "GET /secret"}
  - {name: worm, regex: "w[o0]rm[0-9]{2}"}
rules:
  - name: passing
    hook: forward
    policy: accept
    rules:
      - {protocol: tcp, destination-port: 80, payload: secret, action: {reject: tcp-reset}}
      - {protocol: udp, destination-port: %d, payload: worm, action: deny}
""" % traffic.UDP_PORT


def connect(world, source):
    made = world.lab.socket("sub1", source=(source, 0), timeout=5)
    made.connect((town.SERVER, traffic.HTTP_PORT))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def answer_of(made):
    data = made.recv(65536)
    assert data, "the connection was closed without an answer"
    return data


@case("a payload rule cuts the connections that have the pattern, and no other", workers="2", system="shards: 3", more=RULES)
def cut_connections(world):
    assert traffic.curl(world.lab, "sub1", "100.64.1.7", "/who")
    status, output = world.lab.attempt("sub1", traffic.curl_arguments("100.64.1.7", "/secret"))
    assert status in (52, 56), (status, output)  # reset after it was connected
    beside, split = connect(world, "100.64.1.8"), connect(world, "100.64.1.8")
    split.send(b"GET /se")
    beside.send(b"GET /who HTTP/1.1\r\n\r\n")
    assert b"200" in answer_of(beside)
    split.send(b"cret HTTP/1.1\r\n\r\n")
    try:
        raise AssertionError(f"the split pattern was answered: {split.recv(100)!r}")
    except ConnectionResetError:
        pass
    beside.send(b"GET /who HTTP/1.1\r\n\r\n")
    assert b"200" in answer_of(beside)
    asked = traffic.udp_socket(world.lab, "sub1", "100.64.1.9")
    assert traffic.ask(asked, payload=b"a worm of some kind")
    asked.sendto(b"a w0rm42", (town.SERVER, traffic.UDP_PORT))
    assert traffic.hears_nothing(asked)
    assert world.nat.dropped("denied-by-rule") >= 3
    assert world.nat.dropped("scan-overload") == 0


@case("large downloads pass through searched connections unharmed", workers="2", system="shards: 3", more=RULES)
def large_download(world):
    text = "      - {protocol: tcp, source-port: 80, payload: worm, action: deny}\n"
    rewrite(world, ("    rules:\n", "    rules:\n" + text))
    reload(world)
    body = traffic.curl(world.lab, "sub1", "100.64.1.7", "/who")
    assert body
    program = traffic.download_sha256(world.lab, "sub1", "100.64.1.7", 20_000_000)
    assert laboratory.wait_until(lambda: program.process.poll() is not None, 60), "the download hangs"
    assert program.process.returncode == 0, program.output()


@case("a pattern that cannot be searched for is named with its place, and nothing changes", more=RULES)
def refused_pattern(world):
    rewrite(world, ('regex: "w[o0]rm[0-9]{2}"', 'regex: "(w)orm\\\\1"'))
    status, output = world.nat.cli_status("reload")
    assert status != 0 and "pattern worm, which cannot be searched for (Back-references are unsupported.)" in output, output
    assert traffic.curl(world.lab, "sub1", "100.64.1.7", "/who")


@case("-m string of iptables finds what is split over segments, while it runs", workers="2", system="shards: 3")
def iptables_string(world):
    with OldTools(world) as tools:
        rule = "FORWARD -p tcp --dport 80 -m string --string cmd.exe --algo bm -j REJECT --reject-with tcp-reset"
        tools.say(f"iptables -A {rule}")
        tools.say("iptables -A FORWARD -p udp -m string --hex-string |90|sled|90| --algo kmp --icase -j DROP")
        listed = tools.say("iptables -L FORWARD -n")
        assert 'STRING match  "cmd.exe" ALGO name bm' in listed and '"|90736c656490|" ALGO name kmp ICASE' in listed, listed
        assert "iptables:string-2" in world.nat.cli("show", "config")
        split = connect(world, "100.64.1.12")
        split.send(b"GET /c")
        split.send(b"md.e")
        split.send(b"xe HTTP/1.1\r\n\r\n")
        try:
            raise AssertionError(f"the split string was answered: {split.recv(100)!r}")
        except ConnectionResetError:
            pass
        assert traffic.curl(world.lab, "sub1", "100.64.1.12", "/who")
        asked = traffic.udp_socket(world.lab, "sub1", "100.64.1.13")
        assert traffic.ask(asked, payload=b"a sled of some kind")
        asked.sendto(b"a \x90SlEd\x90", (town.SERVER, traffic.UDP_PORT))
        assert traffic.hears_nothing(asked)
        # The sender may have tried again before it was told.
        counted = tools.counts("iptables -L FORWARD -v -n -x")
        assert len(counted) == 2 and counted[0] >= 1 and counted[1] == 1, counted
        # A reload leaves both, and what they have counted.
        reload(world)
        assert tools.counts("iptables -L FORWARD -v -n -x") == counted
        assert traffic.hears_nothing(asked)
        tools.say(f"iptables -D {rule}")
        status, _, errors = tools.attempt("iptables -A FORWARD -m string --string x --algo bm --to 60 -j DROP")
        assert status == 1 and "--from and --to are places in a packet" in errors, errors
        assert traffic.curl(world.lab, "sub1", "100.64.1.12", "/who?cmd.exe")
        tools.say("iptables -F")
        assert "iptables:string" not in world.nat.cli("show", "config")
