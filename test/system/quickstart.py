"""The demonstration behind tools/quickstart: subscribers reach the Internet through sekishod."""
import argparse
import concurrent.futures
import re
import signal
import sys

import appliance
import lab as laboratory
import town
import traffic

CLIENTS = [("sub1", "100.64.0.11"), ("sub1", "100.64.1.1"), ("sub1", "100.64.1.2"), ("sub2", "100.64.0.12"),
           ("sub2", "100.64.2.1"), ("sub2", "10.1.0.1")]


def title(text):
    print(f"\n=== {text}", flush=True)


def configuration(lab):
    """conf/quickstart.yaml with the lab's own name and socket, so that several can run at once."""
    with open(appliance.shipped_config("quickstart.yaml"), encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"(?m)^control:.*$", f"control: {{socket: {lab.folder}/sekisho.sock}}", text)
    return re.sub(r"(?m)^  name: quickstart$", f"  name: {lab.prefix}", text)


def show_http(lab):
    title("curl from six subscriber addresses at once, to http://192.0.2.10/who")
    with concurrent.futures.ThreadPoolExecutor(len(CLIENTS)) as pool:
        answers = pool.map(lambda client: traffic.curl(lab, *client, "/who"), CLIENTS)
        for (name, address), answer in zip(CLIENTS, answers):
            print(f"  {name}  {address:<12} is seen as {answer.strip()}")
            if not town.in_pool(traffic.parse_endpoint(answer)[0]):
                raise laboratory.LabError(f"{answer.strip()} is not of the pool")


def show_ping(lab):
    title("ping 192.0.2.10 from 100.64.0.11")
    status, output = traffic.ping(lab, "sub1", "100.64.0.11")
    print(output.strip())
    if status != 0:
        raise laboratory.LabError("ping was not answered")


def show_traceroute(lab):
    title("traceroute to 192.0.2.10 from 100.64.0.11")
    hops = traffic.traceroute(lab, "sub1", "100.64.0.11")
    for number, hop in enumerate(hops, 1):
        print(f"  {number}  {hop}" + ("   (the appliance)" if hop == town.INTERNAL_ADDRESS else ""))
    if hops != [town.INTERNAL_ADDRESS, town.SERVER]:
        raise laboratory.LabError(f"traceroute saw {hops}")


def show_inside(nat, server):
    title("sekisho show mappings")
    print(nat.cli("show", "mappings").rstrip())
    title("sekisho show counters")
    print(nat.cli("show", "counters").rstrip())
    title("the server's log: it sees only external addresses")
    print("\n".join("  " + line for line in server.output().splitlines() if line.startswith("http")))


def how_to_go_on(lab, nat, kept):
    title("how to go on")
    if kept:
        print(f"""  in another shell, as root:
    ip netns exec {lab.full('sub1')} curl --interface 100.64.1.7 http://192.0.2.10/who
    {appliance.program_path(nat.build, 'sekisho')} --socket {nat.socket}
  sekishod's log: {nat.program.log}""")
    else:
        print("""  tools/quickstart --keep       the same, and it stays for you to play with
  conf/quickstart.yaml          what has just run; doc/configuration.md describes every setting
  doc/manual.md                 how to run it on your own links
  tools/test                    all tests""")


def demonstrate(lab, build, keep):
    town.build(lab)
    server = traffic.start_server(lab)
    nat = appliance.Appliance(lab, build, text=configuration(lab))
    title("starting sekishod with conf/quickstart.yaml")
    nat.start()
    print(nat.program.output().rstrip())
    show_http(lab)
    show_ping(lab)
    show_traceroute(lab)
    show_inside(nat, server)
    how_to_go_on(lab, nat, keep)
    if keep:
        input("\nEnter ends it: ")
    if nat.stop() != 0:
        raise laboratory.LabError(f"sekishod ended with an error: {nat.program.output().strip()[-2000:]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell has put us in the background
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    try:
        with laboratory.Lab("skq") as lab:
            demonstrate(lab, options.build, options.keep)
    except (laboratory.LabError, AssertionError) as error:
        print(f"quickstart: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
