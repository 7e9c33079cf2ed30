"""An emulated machine with two PCI NICs, whose other ends are taps in the namespaces of a lab.

It runs commands over a serial line (see `init`). A machine that does not answer in time is an error that tells the last
lines of its console. It ends with the lab, and its taps with it.
"""
import contextlib
import fcntl
import json
import os
import socket
import struct
import time

import lab as laboratory

QEMU = "qemu-system-x86_64"
BOOT_SECONDS = 120
CPUS = 2
MEMORY_MB = 1024
HUGE_PAGES = 160  # of 2 MiB, for whoever wants some: enough for two sekishods

TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_MULTI_QUEUE = 0x0100
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000

class Model:
    def __init__(self, driver, device, queues, ring):
        self.driver = driver  # DPDK's
        self.device = device  # for qemu
        self.queues = queues
        self.ring = ring  # frames that its driver may keep in a transmit queue after they were sent


# The emulator chooses the receive queue itself. When that queue has no buffer left, the tap's queue that the frame came
# from waits until its own namesake gets buffers, which may be never. So the rings hold more than the peers' windows.
VIRTIO_RING = 1024
VIRTIO = f"virtio-net-pci,disable-legacy=on,iommu_platform=on,mq=on,rss=on,vectors=6,rx_queue_size={VIRTIO_RING}"
MODELS = {
    "virtio": Model("net_virtio", VIRTIO, queues=2, ring=256),
    "e1000e": Model("net_e1000_em", "e1000e", queues=1, ring=1024),
    "vmxnet3": Model("net_vmxnet3", "vmxnet3", queues=1, ring=1024),
}


def open_tap(lab, name, link, queues):
    """A file for each queue of a new tap interface in a namespace; it goes when the last of them is closed."""
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (IFF_MULTI_QUEUE if queues > 1 else 0)
    files = []
    with lab.inside(name):
        for _ in range(queues):
            files.append(os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK))
            fcntl.ioctl(files[-1], TUNSETIFF, struct.pack("16sH22x", link.encode(), flags))
    return files


class Nic:
    """`place` is where its tap is: (namespace, bridge)."""

    def __init__(self, model, name, slot, place):
        self.model = model
        self.name = name
        self.slot = slot
        self.place = place
        self.mac = f"52:54:00:00:00:{slot:02x}"

    def address(self):
        return f"0000:00:{self.slot:02x}.0"

    def plug(self, lab):
        """Opens the tap; the files that qemu is to inherit."""
        namespace, bridge = self.place
        link = f"tap-{self.name}"
        files = open_tap(lab, namespace, link, self.model.queues)
        lab.ip(namespace, f"link set {link} master {bridge}")
        lab.ip(namespace, f"link set {link} up")
        return files

    def arguments(self, files):
        backend = f"fds={':'.join(map(str, files))}" if len(files) > 1 else f"fd={files[0]}"
        device = f"{self.model.device},netdev={self.name},mac={self.mac},bus=pcie.0,addr={self.slot:#x},romfile="
        return ["-netdev", f"tap,id={self.name},{backend},vhost=off", "-device", device]


class Line:
    """Our end of a serial line or monitor of qemu."""

    def __init__(self):
        self.ours, self.theirs = socket.socketpair()
        self.theirs.set_inheritable(True)
        self.buffer = b""

    def close(self):
        self.ours.close()
        self.theirs.close()

    def fill(self, deadline):
        self.ours.settimeout(max(0.01, deadline - time.monotonic()))
        data = self.ours.recv(65536)
        if not data:
            raise ConnectionError
        self.buffer += data

    def read_line(self, deadline):
        while b"\n" not in self.buffer:
            self.fill(deadline)
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode(errors="replace")

    def read_bytes(self, count, deadline):
        while len(self.buffer) < count:
            self.fill(deadline)
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def write_line(self, text):
        self.ours.sendall(text.encode() + b"\n")


class Machine:
    def __init__(self, lab, kernel, initramfs, nics, kvm):
        self.lab = lab
        self.nics = nics
        self.kvm = kvm
        self.lost = False  # it has not answered in time, so what it says now may belong to an older question
        self.console = os.path.join(lab.folder, "console.log")
        self.control = Line()
        self.monitor = Line()
        plugged = [(nic, nic.plug(lab)) for nic in nics]
        files = [file for _, opened in plugged for file in opened]
        arguments = self.arguments(kernel, initramfs)
        for nic, opened in plugged:
            arguments += nic.arguments(opened)
        keep = [*files, self.control.theirs.fileno(), self.monitor.theirs.fileno()]
        self.program = lab.spawn(None, "machine", arguments, pass_fds=keep)
        for file in files:
            os.close(file)
        self.control.theirs.close()
        self.monitor.theirs.close()

    def arguments(self, kernel, initramfs):
        control, monitor = (line.theirs.fileno() for line in (self.control, self.monitor))
        return [
            QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-machine", "q35,kernel-irqchip=split", "-cpu", "host" if self.kvm else "max",
            "-accel", "kvm" if self.kvm else "tcg,thread=multi", "-smp", str(CPUS), "-m", str(MEMORY_MB),
            "-kernel", os.path.join(kernel, "vmlinuz"), "-initrd", initramfs, "-append",
            # The kernel's check of its timer measures real time, of which an emulated processor may get too little.
            f"console=ttyS0 quiet panic=-1 nowatchdog no_timer_check intel_iommu=on hugepages={HUGE_PAGES}",
            "-device", "intel-iommu,intremap=on",
            "-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console",
            "-chardev", f"socket,id=control,fd={control}", "-serial", "chardev:control",
            "-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control",
        ]

    @contextlib.contextmanager
    def in_time(self, what):
        """What takes too long, or ends the machine, becomes one sentence and the end of the console."""
        try:
            yield
        except TimeoutError:
            self.lost = True
            raise laboratory.LabError(f"the machine did not {what} in time; {self.last_words()}") from None
        except ConnectionError:
            self.lost = True
            self.program.stop(seconds=2)
            raise laboratory.LabError(f"the machine ended when it should {what}; {self.last_words()}") from None

    def last_words(self):
        with contextlib.suppress(FileNotFoundError), open(self.console, encoding="utf-8", errors="replace") as file:
            lines = [line.rstrip() for line in file if line.strip()]
            said = self.program.output().strip()
            return "\n".join(["its console ends with:", *lines[-30:], *([f"qemu: {said}"] if said else [])])
        return f"it has not begun: {self.program.output().strip()}"

    def boot(self, seconds=BOOT_SECONDS):
        deadline = time.monotonic() + seconds
        with self.in_time("start"):
            self.monitor.read_line(deadline)
            self.monitor_command("qmp_capabilities")
            while self.control.read_line(deadline) != "ready":
                pass
        return self

    def execute(self, line, seconds=30):
        """Runs a line of shell in the machine; (status, output and errors together)."""
        deadline = time.monotonic() + seconds
        with self.in_time(f"answer '{line[:80]}'"):
            self.control.write_line(line)
            status, size = self.control.read_line(deadline).split()
            return int(status), self.control.read_bytes(int(size), deadline).decode(errors="replace")

    def run(self, line, seconds=30):
        status, output = self.execute(line, seconds)
        if status != 0:
            raise laboratory.LabError(f"in the machine '{line[:80]}' ended with {status}: {output.strip()}")
        return output

    def monitor_command(self, command, **arguments):
        deadline = time.monotonic() + 10
        with self.in_time(f"take the monitor's command {command}"):
            self.monitor.write_line(json.dumps({"execute": command, "arguments": arguments}))
            while True:
                answer = json.loads(self.monitor.read_line(deadline))
                if "error" in answer:
                    raise laboratory.LabError(f"{command}: {answer['error']['desc']}")
                if "return" in answer:
                    return answer["return"]

    def set_link(self, nic, up):
        """Plugs a NIC's cable in or out."""
        self.monitor_command("set_link", name=nic.name, up=up)

    def power_off(self, seconds=15):
        """Whether it has ended by itself; it is gone in either case."""
        self.control.write_line("poweroff -f")
        good = laboratory.wait_until(lambda: self.program.process.poll() is not None, seconds)
        self.close()
        return good

    def close(self):
        self.program.kill()
        self.control.close()
        self.monitor.close()
