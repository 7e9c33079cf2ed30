"""The register of system cases, and what they share.

A case is a function of a World: a lab with the town built, one running sekishod (world.nat), and the server of the
Internet. Cases with the same settings share a World, one after the other; after each one the laws are checked.
"""
import contextlib
import os
import shutil
import socket

import appliance
import lab as laboratory
import town
import traffic


AF_XDP = 44  # <linux/socket.h>; the socket module has no name for it


class Skip(Exception):
    """This machine cannot show the case; the reason is printed."""


class Case:
    def __init__(self, title, body, settings, starts, tags):  # pylint: disable=too-many-arguments
        self.title = title
        self.body = body
        self.settings = settings
        self.starts = starts  # the World's sekishod is started before the case
        self.tags = tags  # what it shows, for tools/conformance: "[rfc4787-req9]"

    def key(self):
        return repr(sorted(self.settings.items())), self.starts


REGISTER = []


def case(title, starts=True, tags="", **settings):
    """Registers a case. The settings fill appliance.TEMPLATE."""

    def register(body):
        REGISTER.append(Case(title, body, settings, starts, tags))
        return body

    return register


class World:
    def __init__(self, build, settings, starts):
        self.build = build
        self.lab = laboratory.Lab("skt")
        try:
            town.build(self.lab, int(settings.get("int_mtu", 1500)), int(settings.get("ext_mtu", 1500)))
            self.server = traffic.start_server(self.lab)
            self.nat = appliance.Appliance(self.lab, build, **settings)
            if starts:
                self.nat.start()
        except BaseException:
            self.lab.close()
            raise

    def close(self):
        """Ends it; what is wrong with the end is a list of sentences."""
        complaints = []
        if self.nat.is_running():
            status = self.nat.stop()
            if status != 0:
                complaints.append(f"sekishod ended with {status} after SIGTERM: {self.nat.program.output()[-2000:]}")
            complaints += leftovers(self.lab)
        self.lab.close()
        return complaints


def leftovers(lab):
    """Files of an appliance of this lab that should be gone when it has ended."""
    own = os.path.join(lab.folder, "sekisho.sock")
    return [f"{path} was left behind" for path in lab.traces() + ([own] if os.path.exists(own) else [])]


# What cases ask.

def need(*programs):
    """Others' programs that the tests are meant to run with: one that is missing leaves something unseen, which is a failure."""
    missing = [name for name in programs if shutil.which(name) is None]
    assert not missing, f"not installed: {', '.join(missing)} (tools/build --with-tests installs them)"


def need_af_xdp():
    try:
        socket.socket(AF_XDP, socket.SOCK_RAW).close()
    except OSError as error:
        raise Skip(f"this kernel has no AF_XDP sockets: {error}") from None


@contextlib.contextmanager
def drops(nat, seconds=5, **expected):
    """The drops counted meanwhile: reason (with _ for -) and how many, exactly."""
    wanted = {reason.replace("_", "-"): number for reason, number in expected.items()}
    before = nat.counters()["dropped"]
    yield

    def counted():
        after = nat.counters()["dropped"]
        return {reason: after.get(reason, 0) - before.get(reason, 0) for reason in wanted}

    laboratory.wait_until(lambda: counted() == wanted, seconds, 0.1)
    assert counted() == wanted, f"wanted drops {wanted}, counted {counted()}; all: {changes(before, nat)}"


def changes(before, nat):
    after = nat.counters()["dropped"]
    return {reason: number - before.get(reason, 0) for reason, number in after.items()
            if number != before.get(reason, 0)}


def frame_to_appliance(lab, name, packet, **more):
    """The bytes of an IP packet in a frame from a namespace's eth0 to the appliance's nearest link."""
    from scapy.layers.l2 import Ether

    link = "ext0" if name == "net" else "int0"
    fields = {"src": lab.mac(name, "eth0"), "dst": lab.mac("nat", link), **more}
    return bytes(Ether(**fields) / packet)
