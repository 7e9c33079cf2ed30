"""The sockets of far ends: who speaks there without being one, with the wrong words, or not at all."""
import array
import contextlib
import ctypes
import os
import random
import signal
import socket
import struct
import tempfile
import threading
import time

import appliance
import lab as laboratory
import traffic
from case_devices import BESIDE, Named, Testpmd, path_of, refused
from case_links import download
from cases import case

# memif's messages: 128 bytes, the type first.

HELLO, INIT, ADD_REGION, ADD_RING, CONNECT = 2, 3, 4, 5, 6


def message(kind, form="<", *values):
    return struct.pack("<H", kind).ljust(2) + struct.pack(form, *values).ljust(126, b"\0")


def region(index, size):
    return message(ADD_REGION, "<HQ", index, size)


def ring(index, to_server, place, offset=0, log2_size=10):
    return message(ADD_RING, "<HHHIBH", to_server, index, place, offset, log2_size, 0)


INITIAL = message(INIT, "<HIB", 0x200, 0, 0)


class Talker:
    """A client of the socket that says what it likes."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(path)
        self.socket.settimeout(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, data, files=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        with contextlib.suppress(OSError):
            self.socket.sendmsg([data], rights)

    def is_hung_up_on(self):
        """Whether the server closes the connection, after whatever it has to say."""
        with contextlib.suppress(ConnectionError):
            while self.socket.recv(4096):
                pass
        return True


def talks():
    """What they say, each with the file that goes with its messages after the first."""
    lots = random.Random(3)
    yield "one byte", [b"x"]
    yield "too much", [bytes(4000)]
    yield "no type", [b"\xff" * 128]
    for kind in range(10):
        yield f"type {kind} first", [message(kind) if kind != INIT else message(INIT, "<HIB", 7, 7, 7)]
        yield f"type {kind} first, at random", [struct.pack("<H", kind) + lots.randbytes(126)]
        yield f"type {kind} second, at random", [INITIAL, struct.pack("<H", kind) + lots.randbytes(126)]
    yield "a short second one", [INITIAL, b"y"]
    yield "twice the same", [INITIAL, INITIAL]
    yield "nothing to connect", [INITIAL, message(CONNECT)]
    yield "a ring nowhere", [INITIAL, ring(0, 1, 0), ring(0, 0, 0), message(CONNECT)]
    yield "a ring of another region", [INITIAL, region(0, 1 << 20), ring(0, 1, 9999), ring(0, 0, 9999), message(CONNECT)]
    yield "a ring behind its region", [INITIAL, region(0, 1 << 20), ring(0, 1, 0, 0xffff0000), message(CONNECT)]
    yield "a ring larger than its region", [INITIAL, region(0, 1 << 20), ring(0, 1, 0, 0, 40), message(CONNECT)]
    yield "a ring too many", [INITIAL, region(0, 1 << 20), ring(1, 1, 0), message(CONNECT)]
    yield "the same ring too often", [INITIAL, region(0, 1 << 20)] + [ring(0, 1, 0)] * 300 + [message(CONNECT)]
    yield "a region larger than its file", [INITIAL, region(0, 1 << 40), ring(0, 1, 0), ring(0, 0, 0), message(CONNECT)]
    yield "a region that wraps around", [INITIAL, region(0, (1 << 64) - 1), ring(0, 1, 0), message(CONNECT)]
    yield "rings without a cookie", [INITIAL, region(0, 1 << 20), ring(0, 1, 0), ring(0, 0, 0, 1 << 16), message(CONNECT)]


def talk_nonsense(path):
    with tempfile.TemporaryFile() as file:
        file.truncate(1 << 20)
        for title, messages in talks():
            with Talker(path) as talker:
                for number, data in enumerate(messages):
                    talker.say(data, [file.fileno()] if number else [])
                try:
                    talker.is_hung_up_on()
                except TimeoutError:
                    raise AssertionError(f"{title}: not hung up on") from None


def open_files(program):
    return len(os.listdir(f"/proc/{program.process.pid}/fd"))


@case("whoever talks nonsense on a memif's socket harms nobody, and a far end that comes after it is served", starts=False)
def memif_nonsense(world):
    path = path_of(world, "m.sock")
    world.nat = Named(world, "nonsense", BESIDE, device=f"memif:{path},server").start()
    files = open_files(world.nat.program)
    client = traffic.udp_socket(world.lab, "sub1", "100.64.0.11")
    with answered_all_along(client):
        for _ in range(200):
            Talker(path).socket.close()
        talk_nonsense(path)
        with tempfile.TemporaryFile() as file:
            for _ in range(50):
                with Talker(path) as talker:
                    talker.say(b"z", [file.fileno()] * 2)
                    talker.is_hung_up_on()
        crowd = [Talker(path) for _ in range(100)]  # silent, all at once
    for talker in crowd:
        talker.socket.close()
    assert laboratory.wait_until(lambda: open_files(world.nat.program) <= files, 5), "descriptors are left"
    assert world.nat.is_running(), world.nat.program.output()
    world.nat.says("has hung up on somebody who talked nonsense on its socket")
    served(world, path)


@contextlib.contextmanager
def answered_all_along(client):
    """Somebody on another link asks and is answered, again and again, until the block ends."""
    done = threading.Event()
    unanswered = []

    def ask():
        count = 0
        while not done.is_set():
            count += 1
            try:
                traffic.ask(client, tries=1)
            except Exception as error:  # pylint: disable=broad-except
                unanswered.append(f"question {count}: {error!r}")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        done.set()
        asking.join()
    assert not unanswered, unanswered


def served(world, path):
    """A proper far end joins, and what it sends is received."""
    before = world.nat.link("odd0")["received-packets"]
    far = Testpmd(world, path, world.nat.link("odd0")["mac"])
    came = laboratory.wait_until(lambda: world.nat.link("odd0")["received-packets"] > before + 1000, 20)
    assert came, f"nothing came from the far end: {far.program.output()[-1000:]}"
    far.kill()


# When a far end may come.

IN_CREATE = 0x100  # <sys/inotify.h>


class Watch:
    """The names of what is made in a folder from now on."""

    def __init__(self, folder):
        library = ctypes.CDLL(None, use_errno=True)
        self.file = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert library.inotify_add_watch(self.file, os.fsencode(folder), IN_CREATE) > 0

    def names(self):
        events, names = b"", []
        with contextlib.suppress(BlockingIOError):
            while True:
                events += os.read(self.file, 65536)
        while events:
            length, = struct.unpack_from("I", events, 12)
            names.append(events[16:16 + length].rstrip(b"\0").decode())
            events = events[16 + length:]
        return names


def start_without_room(world, text):
    """Starts it where the memory that its tables are made of is too small for them."""
    world.nat = appliance.Appliance(world.lab, world.build, text=text)
    world.nat.write_config()
    run = f"mount -t tmpfs -o size=1m none /dev/shm && exec {appliance.program_path(world.build, 'sekishod')} --config "
    world.nat.program = world.lab.spawn("nat", "sekishod", ["sh", "-c", run + world.nat.config])
    assert laboratory.wait_until(lambda: not world.nat.is_running(), 30)
    return world.nat.program.output()


@case("no far end can come before there are tables for its packets", starts=False)
def tables_first(world):
    path = path_of(world, "v.sock")
    seen = Watch(world.lab.folder)
    world.nat = Named(world, "room", BESIDE, device=f"vhost:{path}").start()
    assert world.nat.stop() == 0
    assert "v.sock" in seen.names()
    said = start_without_room(world, BESIDE.format(socket=path_of(world, "sekisho.sock"), device=f"vhost:{path}"))
    assert "has no room for" in said, said
    assert "v.sock" not in seen.names(), "its socket was made first"


# A vhost that does not answer.

@contextlib.contextmanager
def silent_vhost(path):
    """Takes connections and says nothing; the event is set when somebody has come."""
    came = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()

        def take():
            taken = []
            with contextlib.suppress(OSError):
                while True:
                    taken.append(listener.accept()[0])
                    came.set()

        taking = threading.Thread(target=take, daemon=True)
        taking.start()
        yield came
        listener.shutdown(socket.SHUT_RDWR)
        taking.join()


@case("a start before a vhost that gives no answer ends with a sentence, and at once after a signal", starts=False)
def vhost_silent(world):
    path = path_of(world, "v.sock")
    with silent_vhost(path) as came:
        text = BESIDE.format(socket=path_of(world, "sekisho.sock"), device=f"virtio_user:{path}")
        assert f"link odd0: the vhost on {path} takes the connection and gives no answer" in refused(world, text)
        came.clear()
        world.nat.launch()
        assert came.wait(20), world.nat.program.output()
        assert world.nat.stop(signal.SIGTERM) == 0, world.nat.program.output()


@case("a vhost that stands still holds up neither the other links nor the end", starts=False)
def vhost_stands_still(world):
    path = path_of(world, "v.sock")
    far = Named(world, "still", STILL, device=f"vhost:{path}").start()
    world.nat = Named(world, "beside", BESIDE, device=f"virtio_user:{path}").start()
    assert laboratory.wait_until(lambda: world.nat.link("odd0")["up"], 20), world.nat.program.output()
    client = traffic.udp_socket(world.lab, "sub1", "100.64.0.11")
    os.kill(far.program.process.pid, signal.SIGSTOP)
    with answered_all_along(client):
        for _ in range(20):
            traffic.ping(world.lab, "sub1", "100.64.0.12", "10.250.0.9", count=2)  # towards the one that stands still
    assert world.nat.stop() == 0, world.nat.program.output()
    os.kill(far.program.process.pid, signal.SIGCONT)
    assert far.stop() == 0, far.program.output()


@case("a memif far end that stands still costs the other links nothing, and is served when it goes on", starts=False)
def memif_stands_still(world):
    path = path_of(world, "m.sock")
    world.nat = Named(world, "beside", BESIDE, device=f"memif:{path},server").start()
    far = Testpmd(world, path, world.nat.link("odd0")["mac"])

    def comes():
        before = world.nat.link("odd0")["received-packets"]
        return laboratory.wait_until(lambda: world.nat.link("odd0")["received-packets"] > before + 1000, 20)

    assert comes(), far.program.output()[-1000:]
    os.killpg(far.program.process.pid, signal.SIGSTOP)
    client = traffic.udp_socket(world.lab, "sub1", "100.64.0.11")
    with answered_all_along(client):
        time.sleep(2)
    download(world)
    os.killpg(far.program.process.pid, signal.SIGCONT)
    assert comes(), far.program.output()[-1000:]
    far.kill()
    missed = {link["name"]: link["received-missed"] for link in world.nat.show("links")["links"] if link["name"] != "odd0"}
    assert not any(missed.values()), missed


# A memif server that takes its time.

@contextlib.contextmanager
def memif_listener(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen(1)
        listener.settimeout(20)
        yield listener


@case("a memif server that takes nobody holds up neither the start, nor the other links, nor the end", starts=False)
def memif_takes_nobody(world):
    path = path_of(world, "m.sock")
    waiting = []
    with memif_listener(path):
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK))
                waiting[-1].connect(path)
        world.nat = Named(world, "beside", BESIDE, device=f"memif:{path},client").start()
        with answered_all_along(traffic.udp_socket(world.lab, "sub1", "100.64.0.11")):
            time.sleep(3)  # it looks for its server meanwhile
            assert not world.nat.link("odd0")["up"]
        assert world.nat.stop() == 0, world.nat.program.output()
    for one in waiting:
        one.close()


@case("a memif client gives a slow server the time to greet it", starts=False)
def memif_slow_server(world):
    path = path_of(world, "m.sock")
    with memif_listener(path) as listener:
        world.nat = Named(world, "beside", BESIDE, device=f"memif:{path},client").start()
        for _ in range(2):  # from the start, and when it has come again
            talking, _ = listener.accept()
            talking.settimeout(2)
            try:
                assert talking.recv(1) != b"", "it has hung up within two seconds"
            except TimeoutError:
                talking.close()


# The far end of the odd link.
STILL = """\
system: {{name: still, workers: 1, huge-pages: never}}
links:
  - {{name: odd0, device: "{device}", realm: internal, addresses: [10.250.0.9/24]}}
  - {{name: ext0, device: null, realm: external, addresses: [198.18.0.2/24]}}
pools: [{{name: main, addresses: [203.0.113.0/28]}}]
policies: [{{name: all, source: [10.250.0.0/24], pool: main}}]
limits: {{sessions: 65536, mappings: 65536, subscribers: 4096}}
control: {{socket: {socket}}}
"""
