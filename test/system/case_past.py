"""Who had an external port at a time: `sekishod --who` from the files of the log alone."""
import datetime
import os
import signal
import time

import appliance
import traffic
from case_log import start, wait_until_written
from cases import case


def now():
    """The time in UTC, to the millisecond, as the log writes it: what was done before it lies before, what comes lies behind."""
    time.sleep(0.01)
    text = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    time.sleep(0.01)
    return text.replace("+00:00", "Z")


def ask(world, endpoint, at, *files):
    whom = endpoint if isinstance(endpoint, str) else f"{endpoint[0]}:{endpoint[1]}"
    program = [appliance.program_path(world.build, "sekishod"), "--who", whom, "--at", at]
    return world.lab.attempt(None, program + [part for file in files for part in ("--log", file)])


@case("the log's files tell who had a port at a time, and say what they do not know", workers="2", starts=False)
def past(world):
    path = start(world, os.path.join(world.lab.folder, "bindings.jsonl"))
    before = now()
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.3")
    endpoint = traffic.ask(client)
    port = client.getsockname()[1]
    during = now()
    wait_until_written(world.nat)
    os.rename(path, path + ".1")
    world.nat.program.process.send_signal(signal.SIGHUP)
    world.nat.cli("clear", "mappings", "subscriber", "100.64.1.3")
    after = now()
    wait_until_written(world.nat)
    world.nat.stop()
    files = path, path + ".1"
    status, told = ask(world, endpoint, during, *files)
    assert status == 0 and f"internal 100.64.1.3:{port} " in told and "\nknown\n" in told, told
    status, told = ask(world, endpoint, before, *files)
    assert status == 0 and told.startswith("nobody"), (before, told)
    status, told = ask(world, endpoint, after, *files)  # its mapping has ended, its block is still the subscriber's
    assert status == 0 and told.startswith("nobody"), (after, told)
    assert "note: its block was that of internal 100.64.1.3 " in told, (after, told)
    status, told = ask(world, endpoint, during, path)  # without the file of that time
    assert status == 2 and "not known for certain" in told, told
    status, told = ask(world, f"{endpoint[0]}:{endpoint[1]}/udp", during, *files)
    assert status == 0 and f"internal 100.64.1.3:{port} " in told and "\nknown\n" in told, told
    status, told = ask(world, f"{endpoint[0]}:{endpoint[1]}/tcp", during, *files)
    assert status == 0 and told.startswith("nobody"), told
    status, told = ask(world, endpoint, "2020-01-01T00:00:00Z", *files)
    assert status == 2 and "not known for certain" in told, told
    for wrong in ((endpoint, "yesterday", path), (("somewhere", 1), during, path), ((endpoint[0], 0), during, path),
                  ("203.0.113.1:1/ucp", during, path), (endpoint, during, path + ".2")):
        assert ask(world, *wrong)[0] == 1, wrong
