"""Network namespaces, links and programs for the demonstration and the system tests; all gone when a Lab is closed.

A Lab's namespaces are called PREFIX-PID-NAME. Programs started in it die with it, also when this process is killed.
Needs root. Nothing outside the Lab's own namespaces and folder is changed.
"""
import atexit
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
OFFLOADS = "tx off rx off tso off gso off gro off"  # veth frames must carry whole checksums (doc/manual.md)


STATE_FOLDERS = ("/dev/shm", "/dev/hugepages", "/run/dpdk")
PIDS = "pids"  # in a lab's folder: the numbers of its programs


class LabError(Exception):
    """One sentence: what could not be set up."""


def command(arguments, **options):
    """Runs a program to its end; its output is in the result, or in the error if it fails."""
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise LabError(f"{' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def is_running(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def namespaces():
    return [line.split()[0] for line in command(["ip", "netns", "list"]).splitlines() if line]


def remove_leftovers(prefix):
    """What runs that were killed have left: namespaces and folders whose process is gone."""

    def is_left(name):
        parts = name.split("-")
        return len(parts) >= 3 and parts[0] == prefix and parts[1].isdigit() and not is_running(int(parts[1]))

    for name in filter(is_left, namespaces()):
        remove_namespace(name)
    for name in filter(is_left, os.listdir(tempfile.gettempdir())):
        folder = os.path.join(tempfile.gettempdir(), name)
        with contextlib.suppress(FileNotFoundError), open(os.path.join(folder, PIDS), encoding="ascii") as file:
            remove_all(traces_of(file.read().split()))
        remove_all([folder])


def traces_of(pids):
    """Files of sekishods outside a lab's folder, by their process numbers: state, DPDK's run-time data."""
    stems = [f"sekisho-{pid}" for pid in pids]
    return [os.path.join(folder, entry) for folder in STATE_FOLDERS if os.path.isdir(folder)
            for entry in os.listdir(folder)
            if any(entry == stem or entry.startswith((stem + "-", stem + ".")) for stem in stems)]


def remove_all(paths):
    for path in paths:
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)


def remove_namespace(name):
    for pid in subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)


class Program:
    """A program running in a namespace; its output goes to a file of the lab."""

    def __init__(self, name, process, log):
        self.name = name
        self.process = process
        self.log = log

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_for(self, text, seconds=10):
        """Waits until its output contains the text."""
        if not wait_until(lambda: text in self.output() or self.process.poll() is not None, seconds) or (
                text not in self.output()):
            raise LabError(f"{self.name} did not say '{text}': {self.output().strip()[-2000:]}")

    def stop(self, number=signal.SIGTERM, seconds=10):
        """Sends the signal and returns the exit status; kills it when the time is up (then None)."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def wait_until(predicate, seconds, pause=0.05):
    end = time.monotonic() + seconds
    while True:
        if predicate():
            return True
        if time.monotonic() > end:
            return False
        time.sleep(pause)


class Lab:
    def __init__(self, prefix):
        if os.geteuid() != 0:
            raise LabError("network namespaces need root: run this with sudo")
        remove_leftovers(prefix)
        self.prefix = f"{prefix}-{os.getpid()}"
        self.folder = tempfile.mkdtemp(prefix=f"{self.prefix}-")
        self.programs = []
        self.names = []
        atexit.register(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for program in reversed(self.programs):
            program.kill()
        for name in list(self.names):
            self.remove(name)
        remove_all(self.traces())  # of a sekishod that was killed
        self.programs = []
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.close)

    def traces(self):
        return traces_of([program.process.pid for program in self.programs])

    # Namespaces and links.

    def full(self, name):
        return f"{self.prefix}-{name}"

    def add(self, name):
        """A new namespace: loopback up, no IPv6, no reverse path filter."""
        full = self.full(name)
        command(["ip", "netns", "add", full])
        self.names.append(name)
        command(["ip", "-n", full, "link", "set", "lo", "up"])
        for setting in ("ipv6/conf/all/disable_ipv6=1", "ipv6/conf/default/disable_ipv6=1",
                        "ipv4/conf/all/rp_filter=0", "ipv4/conf/default/rp_filter=0"):
            self.sysctl(name, *setting.split("="))

    def remove(self, name):
        remove_namespace(self.full(name))
        self.names.remove(name)

    def sysctl(self, name, key, value):
        with self.inside(name), contextlib.suppress(FileNotFoundError):
            with open(f"/proc/sys/net/{key}", "w", encoding="ascii") as file:
                file.write(value)

    def ip(self, name, text):
        return command(["ip", "-n", self.full(name), *text.split()])

    def ip_batch(self, name, lines):
        done = subprocess.run(["ip", "-n", self.full(name), "-batch", "-"], input="\n".join(lines) + "\n",
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"ip -batch in {name}: {done.stderr.strip()}")

    def veth(self, name, link, peer_name, peer_link, mtu=1500):
        """A cable between two namespaces, its ends up, with whole checksums in every frame."""
        command(["ip", "link", "add", link, "netns", self.full(name), "mtu", str(mtu), "type", "veth", "peer", "name",
                 peer_link, "netns", self.full(peer_name), "mtu", str(mtu)])
        for space, interface in ((name, link), (peer_name, peer_link)):
            self.run(space, ["ethtool", "-K", interface, *OFFLOADS.split()])
            self.ip(space, f"link set {interface} up")

    def bridge(self, name, link):
        """A plain bridge: the kernel's packet filter would check, drop and reassemble what passes it."""
        for family in ("ip", "ip6", "arp"):
            self.sysctl(name, f"bridge/bridge-nf-call-{family}tables", "0")
        self.ip(name, f"link add {link} type bridge")
        self.ip(name, f"link set {link} up")

    # Programs and sockets.

    def arguments(self, name, arguments):
        return ["ip", "netns", "exec", self.full(name), *arguments] if name else list(arguments)

    def run(self, name, arguments, seconds=60):
        return command(self.arguments(name, arguments), timeout=seconds, preexec_fn=die_with_parent)

    def attempt(self, name, arguments, seconds=60, **options):
        """Like run, but a failure is a result too: returns (status, output and errors together)."""
        done = subprocess.run(self.arguments(name, arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=seconds, preexec_fn=die_with_parent,
                              check=False, **options)
        return done.returncode, done.stdout

    def spawn(self, name, title, arguments, **options):
        log = os.path.join(self.folder, f"{title}-{len(self.programs)}.log")
        with open(log, "wb") as file:
            process = subprocess.Popen(self.arguments(name, arguments), stdin=subprocess.DEVNULL, stdout=file,
                                       stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=die_with_parent,
                                       **options)
        with open(os.path.join(self.folder, PIDS), "a", encoding="ascii") as file:
            print(process.pid, file=file)
        program = Program(title, process, log)
        self.programs.append(program)
        return program

    @contextlib.contextmanager
    def inside(self, name):
        """This thread is in the namespace; sockets made meanwhile stay there."""
        with open("/proc/thread-self/ns/net", "rb") as back, open(f"/run/netns/{self.full(name)}", "rb") as there:
            set_namespace(there)
            try:
                yield
            finally:
                set_namespace(back)

    def socket(self, name, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0, source=None, timeout=5):
        with self.inside(name):
            made = socket.socket(family, kind, protocol)
        made.settimeout(timeout)
        if source is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(source)
        return made

    def raw(self, name, link, timeout=2):
        """A socket that sends and receives whole frames on a link."""
        made = self.socket(name, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3), timeout=timeout)
        made.bind((link, 3))  # 3: every protocol
        return made

    def mac(self, name, link):
        return self.ip(name, f"-o link show {link}").split("link/ether ")[1].split()[0]


def set_namespace(file):
    if LIBC.setns(file.fileno(), CLONE_NEWNET) != 0:
        raise LabError(f"setns: {os.strerror(ctypes.get_errno())}")
