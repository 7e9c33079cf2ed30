"""What nic-lab's machine boots: Debian's kernel, unpacked and never installed, and an initramfs.

The kernel is fetched once into a cache folder. The initramfs has busybox, the kernel's vfio modules, the programs under
test, their libraries, and DPDK's drivers of the NICs. Symbolic links are kept, or DPDK would load a library twice.
"""
import glob
import os
import re
import shutil
import stat
import subprocess
import tempfile

import lab as laboratory

KERNEL = "linux-image-cloud-amd64"  # in tools/packages too: small, and it has vfio
MODULES = [  # in the order of loading
    "virt/lib/irqbypass.ko",
    "drivers/vfio/vfio.ko",
    "drivers/vfio/vfio_virqfd.ko",
    "drivers/vfio/vfio_iommu_type1.ko",
    "drivers/vfio/pci/vfio-pci-core.ko",
    "drivers/vfio/pci/vfio-pci.ko",
]
DRIVERS = ["bus_pci", "bus_vdev", "mempool_ring", "net_virtio", "net_e1000", "net_vmxnet3"]
BUSYBOX = "/bin/busybox"


class Unavailable(Exception):
    """One sentence: what nic-lab needs and this machine cannot get."""


# The kernel.

def kernel_package():
    """The package with the kernel itself, on which KERNEL only depends."""
    done = subprocess.run(["apt-cache", "depends", KERNEL], capture_output=True, text=True, check=False)
    found = re.search(r"Depends: (linux-image-\S+)", done.stdout)
    if not found:
        raise Unavailable(f"apt knows no package {KERNEL}: {done.stderr.strip()}")
    return found.group(1)


def download(package, folder):
    done = subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, capture_output=True, text=True,
                          check=False)
    found = glob.glob(os.path.join(folder, "*.deb"))
    if done.returncode != 0 or not found:
        raise Unavailable(f"{package} cannot be downloaded: {done.stderr.strip()}")
    return found[0]


def download_kernel(folder):
    """Apt may have no lists, or older ones than its mirror, so a second try renews them."""
    try:
        return download(kernel_package(), folder)
    except Unavailable:
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False)
        return download(kernel_package(), folder)


def fetch_kernel(cache):
    """The folder with `vmlinuz` and the modules; made if there is none yet, whole or not at all."""
    folder = os.path.join(cache, "kernel")
    if os.path.isdir(folder):
        return folder
    os.makedirs(cache, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        archive = download_kernel(work)
        made = os.path.join(work, "kernel")
        os.mkdir(made)
        wanted = ["./boot/vmlinuz-*"] + [f"./lib/modules/*/kernel/{module}" for module in MODULES]
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as unpacking:
            unpack = ["tar", "-x", "-C", work, "--wildcards", *wanted]
            if subprocess.run(unpack, stdin=unpacking.stdout, capture_output=True, check=False).returncode != 0:
                raise Unavailable(f"{os.path.basename(archive)} has not the kernel and the modules that are wanted")
        shutil.move(glob.glob(os.path.join(work, "boot", "vmlinuz-*"))[0], os.path.join(made, "vmlinuz"))
        for number, module in enumerate(MODULES):
            path, = glob.glob(os.path.join(work, "lib", "modules", "*", "kernel", module))
            shutil.move(path, os.path.join(made, f"{number}-{os.path.basename(module)}"))
        try:
            os.rename(made, folder)
        except OSError:  # another run has been faster
            if not os.path.isdir(folder):
                raise
    return folder


# The initramfs.

class Archive:
    """A cpio archive in the "newc" format, as the kernel reads it (Documentation/driver-api/early-userspace)."""

    def __init__(self, file):
        self.file = file
        self.names = set()

    def add(self, name, mode, data=b""):
        if name in self.names:
            return
        if "/" in name:
            self.add(os.path.dirname(name), stat.S_IFDIR | 0o755)
        self.names.add(name)
        self.write(name, mode, data)

    def write(self, name, mode, data):
        path = name.encode() + b"\0"
        fields = [len(self.names), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0]
        self.file.write(b"070701" + b"".join(b"%08X" % field for field in fields) + path)
        self.file.write(b"\0" * (-(110 + len(path)) % 4))
        self.file.write(data + b"\0" * (-len(data) % 4))

    def text(self, name, content, mode=0o644):
        self.add(name, stat.S_IFREG | mode, content.encode())

    def copy(self, source, name):
        with open(source, "rb") as file:
            self.add(name, stat.S_IFREG | stat.S_IMODE(os.stat(source).st_mode), file.read())

    def mirror(self, path):
        """A file of this machine under its own path, with every symbolic link on the way to it."""
        place = ""
        parts = os.path.normpath(path).strip("/").split("/")
        while parts:
            place += "/" + parts.pop(0)
            if os.path.islink(place):
                target = os.readlink(place)
                self.add(place[1:], stat.S_IFLNK | 0o777, target.encode())
                whole = os.path.normpath(os.path.join(os.path.dirname(place), target, *parts))
                return self.mirror(whole)
        return self.copy(place, place[1:])

    def end(self):
        self.write("TRAILER!!!", 0, b"")


def libraries_of(program):
    lines = laboratory.command(["ldd", program])
    missing = re.findall(r"(\S+) => not found", lines)
    if missing:
        raise laboratory.LabError(f"{program} needs {', '.join(missing)}, which this machine has not")
    return re.findall(r"(/\S+) \(0x", lines)


def driver_files():
    folders = glob.glob("/usr/lib/*/dpdk/pmds-*")
    files = [path for folder in folders for driver in DRIVERS for path in glob.glob(f"{folder}/librte_{driver}.so*")]
    if len(files) < len(DRIVERS):
        raise laboratory.LabError(f"DPDK's drivers are not all in /usr/lib/*/dpdk/pmds-*: {files}")
    return files


def build_initramfs(path, kernel, programs, nics):
    """`programs` are paths on this machine, each becoming /bin/NAME; `nics` the PCI addresses to bind."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(path, "wb") as file:
        archive = Archive(file)
        archive.copy(os.path.join(here, "init"), "init")
        archive.copy(BUSYBOX, "bin/busybox")
        archive.text("etc/nics", "".join(f"{nic}\n" for nic in nics))
        for module in sorted(glob.glob(os.path.join(kernel, "*.ko"))):
            archive.copy(module, f"modules/{os.path.basename(module)}")
        for program in programs:
            archive.copy(program, f"bin/{os.path.basename(program)}")
        for program in (*programs, *driver_files()):
            for library in libraries_of(program):
                archive.mirror(library)
        for driver in driver_files():
            archive.mirror(driver)
        archive.end()
