"""ipportfw, ipautofw, ipmasqadm and redir on a running appliance: real connections to servers inside."""
import contextlib
import json
import os
import socket

import town
import traffic
from case_legacy import NAMED
from case_reload import reload, rewrite
from cases import case
from oldtools import OldTools

OUTSIDE, INSIDE, OTHER = town.EXTERNAL_ADDRESS, "100.64.1.10", "100.64.2.10"
SETTINGS = {"workers": "2", "system": "shards: 3"}
HEADER = "prot localaddr            rediraddr               lport    rport  pcnt  pref\n"


@contextlib.contextmanager
def router(world):
    """The appliance that masquerades behind its own address, with room for rules that translate."""
    world.nat.text = NAMED.replace("link: %s", "link: eth1") % ("eth1", world.nat.socket) \
        + "rules: [{name: room, hook: nat-destination}]\n"
    world.nat.start()
    with OldTools(world) as tools:
        yield tools
    world.nat.stop()


def listen(world, name, address, port):
    made = world.lab.socket(name, kind=socket.SOCK_STREAM, source=(address, port), timeout=3)
    made.listen(64)
    return made


def call(world, port, source=town.SERVER):
    """A connection from outside, or nothing."""
    made = world.lab.socket("net", kind=socket.SOCK_STREAM, source=(source, 0), timeout=2)
    try:
        made.connect((OUTSIDE, port))
    except OSError:
        made.close()
        return None
    return made


class Connection:
    """From outside to a server inside, both ends."""

    def __init__(self, world, port, server):
        self.outside = call(world, port)
        assert self.outside is not None, f"nobody answers at {port}"
        self.inside, (self.caller, _) = server.accept()
        self.inside.settimeout(3)

    def is_alive(self):
        self.outside.sendall(b"in")
        self.inside.sendall(b"out")
        return self.inside.recv(10) == b"in" and self.outside.recv(10) == b"out"

    def close(self):
        self.outside.close()
        self.inside.close()


def knock(world, port):
    """Whether a datagram from outside comes to the subscriber's port of the same number."""
    with world.lab.socket("sub1", kind=socket.SOCK_DGRAM, source=(INSIDE, port), timeout=1) as inside, \
            traffic.udp_socket(world.lab, "net", town.OTHER_SERVER) as outside:
        outside.sendto(b"knock", (OUTSIDE, port))
        try:
            return inside.recvfrom(100)[0] == b"knock"
        except socket.timeout:
            return False


@case("ipmasqadm portfw forwards a port at once, and no more when it is taken back", starts=False, **SETTINGS)
def portfw(world):
    with router(world) as tools:
        server = listen(world, "sub1", INSIDE, 8000)
        assert call(world, 8080) is None
        tools.say(f"ipmasqadm portfw -a -P tcp -L {OUTSIDE} 8080 -R {INSIDE} 8000")
        first = Connection(world, 8080, server)
        assert first.caller == town.SERVER and first.is_alive()
        assert tools.say("ipmasqadm portfw -l") == HEADER + \
            f"TCP  {OUTSIDE:<20} {INSIDE:<20}     8080     8000    10    10\n"
        rows = world.nat.mappings("external", f"{OUTSIDE}:8080")
        assert [(row["type"], row["internal-src-address"]) for row in rows] == [("static", INSIDE)], rows
        assert tools.attempt(f"ipmasqadm portfw -a -P tcp -L {OUTSIDE} 8080 -R {INSIDE} 8000")[0] == 255
        tools.say(f"ipmasqadm portfw -d -P tcp -L {OUTSIDE} 8080")
        assert tools.say("ipmasqadm portfw -l") == HEADER
        assert call(world, 8080) is None and first.is_alive()
        # It comes back while a connection of it stands, and goes to another host.
        tools.say(f"ipportfw -A -t{OUTSIDE}/8080 -R {INSIDE}/8000")
        second = Connection(world, 8080, server)
        assert first.is_alive() and second.is_alive()
        tools.say("ipportfw -C")
        other = listen(world, "sub2", OTHER, 8000)
        tools.say(f"ipportfw -A -t{OUTSIDE}/8080 -R {OTHER}/8000")
        third = Connection(world, 8080, other)
        assert third.is_alive()
        for made in (first, second, third, server, other):
            made.close()


@case("several hosts share a port by their preference", starts=False, **SETTINGS)
def shared(world):
    with router(world) as tools:
        servers = [listen(world, "sub1", INSIDE, 8000), listen(world, "sub2", OTHER, 8000)]
        tools.say(f"ipmasqadm portfw -a -P tcp -L {OUTSIDE} 8080 -R {INSIDE} 8000 -p 30")
        tools.say(f"ipmasqadm portfw -a -P tcp -L {OUTSIDE} 8080 -R {OTHER} 8000 -p 10")
        calls = [call(world, 8080) for _ in range(40)]
        assert None not in calls
        came = []
        for server in servers:
            server.settimeout(0.5)
            came.append(0)
            with contextlib.suppress(socket.timeout):
                while True:
                    server.accept()[0].close()
                    came[-1] += 1
        assert sum(came) == 40 and came[0] > came[1] > 1, came
        tools.say(f"ipmasqadm portfw -d -P tcp -L {OUTSIDE} 8080 -R {INSIDE} 8000")
        servers[1].settimeout(3)
        alone = Connection(world, 8080, servers[1])
        assert alone.is_alive()
        tools.say("ipmasqadm portfw -f")
        assert call(world, 8080) is None and alone.is_alive()
        for made in (*calls, alone, *servers):
            made.close()


@case("a script with portfw, autofw, mfw and redir runs unchanged, and what it forwards arrives", starts=False, **SETTINGS)
def script(world):
    with router(world) as tools:
        server = listen(world, "sub1", INSIDE, 8000)
        path = os.path.join(town.root_folder(), "test/system/legacy/rc.forwards")
        status, output, errors = tools.attempt(f"sekisho-legacy run {path}")
        assert status == 0 and errors == "", (status, output, errors)
        # Those of portfw itself, not what ipautofw and redir have.
        assert output.startswith(HEADER) and len(output.splitlines()) == 3, output
        ports = (8080, 25, 82, 2525)
        standing = [Connection(world, port, server) for port in ports]
        ranged = listen(world, "sub1", INSIDE, 5001)
        standing.append(Connection(world, 5001, ranged))
        # The ports are nobody's until somebody inside calls.
        assert not knock(world, 7649)
        caller = traffic.udp_socket(world.lab, "sub1", INSIDE)
        traffic.ask(caller)
        assert knock(world, 7649)
        assert "5 " in tools.say("ipmasqadm mfw -L").splitlines()[1]
        # A reload of the file leaves all of it.
        rewrite(world, ("limits: {sessions: 65536", "limits: {sessions: 65000"))
        changed = reload(world)["changed"]
        assert [each["setting"] for each in changed] == ["limits.sessions"], changed
        assert json.loads(world.nat.cli("compare", "--json"))["after-restart"] == []
        for port in ports:
            made = Connection(world, port, server)
            assert made.is_alive()
            made.close()
        assert knock(world, 7649) and all(made.is_alive() for made in standing)
        for line in ("ipmasqadm portfw -f", "ipautofw -F", "ipmasqadm mfw -F"):
            tools.say(line)
        # The tables of others are left alone: what redir has goes by name.
        made = Connection(world, 2525, server)
        assert made.is_alive()
        made.close()
        tools.say(f"ipportfw -D -t{OUTSIDE}/2525")
        assert tools.say("ipportfw -L") == HEADER
        for port in (*ports, 5001):
            assert call(world, port) is None, port
        assert not knock(world, 7649) and all(made.is_alive() for made in standing)
        traffic.ask(caller)
        assert not knock(world, 7649)
        for made in (*standing, server, ranged, caller):
            made.close()


@case("what cannot be forwarded is refused with the reason, and what the file has goes before", starts=False, **SETTINGS)
def refused(world):
    with router(world) as tools:
        for line, reason in (
                (f"ipmasqadm portfw -a -P tcp -L 203.0.113.99 80 -R {INSIDE} 80", "203.0.113.99, which no pool has"),
                (f"ipmasqadm portfw -a -P tcp -L {OUTSIDE} 80 -R 10.9.9.9 80", "whom no policy covers"),
                (f"ipportfw -A -t{OUTSIDE}/80 -R 100.64.0.1/80", "own address")):
            status, _, errors = tools.attempt(line)
            assert status == 255 and reason in errors, (line, status, errors)
        assert tools.say("ipportfw -L") == HEADER
        tools.say(f"redir --lport=80 --caddr={INSIDE} --cport=8000")
        static = f"static-mappings:\n  - {{internal-src-address: {OTHER}, external-src-address: {OUTSIDE}, " \
            "transport-protocol: tcp, internal-src-port: 8000, external-src-port: 80}\n"
        rewrite(world, ("limits:", static + "limits:"))
        status, said = world.nat.cli_status("reload")
        assert status != 0 and f"{OUTSIDE}:80" in said, said
        tools.say("sekisho-legacy clear")
        changed = [each["setting"] for each in reload(world)["changed"]]
        assert changed and all(each.startswith("static-mappings") for each in changed), changed
        server = listen(world, "sub2", OTHER, 8000)
        made = Connection(world, 80, server)
        status, _, errors = tools.attempt(f"ipportfw -A -t{OUTSIDE}/80 -R {INSIDE}/80")
        assert status == 255 and "static mapping has a part" in errors, errors
        rewrite(world, (static, ""))
        reload(world)
        assert call(world, 80) is None and made.is_alive()
        for each in (made, server):
            each.close()
