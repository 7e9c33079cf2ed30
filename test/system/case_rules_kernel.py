"""The same iptables scripts on the kernel and on the appliance: each packet fares the same, and each rule counts the same.

Scripts and packets are drawn (rule_scripts.py, flows.py) from SEKISHO_SEED; SEKISHO_LONG=1 plays ten times as many. What is not the
same is in doc/legacy.md, and shown by the last case.
"""
import os
import random
import time

import lab as laboratory
from cases import Skip, case, need, need_af_xdp
from flows import Numbers, View, contradictory_step, exchange_steps, lone_steps, stray_step
from kernel_differences import TRACKED, UNTRACKED
from routers import GUARD_RULE, KERNEL_TOOLS, Kernel, Sekisho, exchange, listen_longer
from rule_scripts import INVALID_RULE, Scripts
from wire import with_tos

LONG = "SEKISHO_LONG" in os.environ
SECONDS = 600 if LONG else 50
FLOWS = 40
SETTLED = 3  # seconds, within which counters are to show what has passed


def take_seed():
    seed = int(os.environ.get("SEKISHO_SEED", random.randrange(1 << 32) if LONG else 2100))
    print(f"     SEKISHO_SEED={seed}", flush=True)
    return seed


def open_kernel(world, name, translates):
    """A kernel's router, or Skip where this machine's has no such filter."""
    need(*[f"/usr/sbin/{tool}" for tool in KERNEL_TOOLS.values()])
    kernel = Kernel(world.lab, name, translates)
    for kernel.kind in KERNEL_TOOLS:
        complaint = kernel.run(["iptables -L -n > /dev/null"])
        if complaint:
            raise Skip(f"this kernel takes no iptables ({kernel.kind}): {complaint}")
    return kernel


class Play:
    """One script and its flows, on both routers."""

    def __init__(self, routers, lines, tracked):
        self.routers = routers
        self.lines = lines
        self.tracked = tracked
        self.wrong = []
        self.ident = 0
        self.sent = self.passed = 0
        self.unasked = 0  # packets that are INVALID on Linux, and dropped before any rule here

    def begin(self, kind):
        for router in self.routers:
            router.reset(kind)
            lines = self.lines
            if isinstance(router, Sekisho) and not self.tracked:
                lines = ["iptables -t raw -A PREROUTING -j NOTRACK", *lines]
            complaint = router.run(lines)
            if complaint:
                self.wrong.append(f"{type(router).__name__} does not take the script: {complaint}")
        return not self.wrong

    def play(self, flows):
        self.unasked = sum(flow.is_unasked for flow in flows)
        alive = [(flow, [View(flow, self.tracked) for _ in self.routers]) for flow in flows]
        number = 0
        while alive:
            alive = self.play_step([each for each in alive if len(each[0].steps) > number], number)
            number += 1

    def build(self, alive, number):
        """By flow: its packets, one for each router; where one has none the flow is at its end."""
        built = []
        for flow, views in alive:
            self.ident = self.ident % 65535 + 1
            side, build = flow.steps[number]
            packets = [build(flow, view, self.ident) for view in views]
            if all(packets):
                built.append((flow, views, side, [with_tos(packet, flow.tos) for packet in packets]))
        return built

    def play_step(self, alive, number):
        built = self.build(alive, number)
        results = []
        expected = ()
        for i, router in enumerate(self.routers):
            results.append(exchange(router, [(side, packets[i]) for _, _, side, packets in built], expected))
            expected = [each.fate for each in results[-1][0]]
        if [each.fate for each in results[0][0]] != expected:
            for router, result in zip(self.routers, results):
                listen_longer(router, *result)
        self.note_surplus(results)
        self.sent += len(built)
        return [(flow, views) for (flow, views, side, _), *outcomes in zip(built, *[sent for sent, _ in results])
                if self.is_alive(views, side, outcomes)]

    def note_surplus(self, results):
        for router, (_, surplus) in zip(self.routers, results):
            self.wrong += [f"{type(router).__name__}: unasked, {packet} came to side {side}" for side, packet in surplus]

    def is_alive(self, views, side, outcomes):
        """Notes a difference; a flow goes on while all its packets pass everywhere."""
        fates = [each.fate for each in outcomes]
        if len(set(fates)) > 1:
            self.wrong.append(f"{outcomes[0].packet}: {fates[0]} by the kernel, {fates[1]} here")
        if any(fate != "passed" for fate in fates):
            return False
        self.passed += 1
        for view, each in zip(views, outcomes):
            if not view.take(side, each.came):
                self.wrong.append(f"{each.packet} came as {each.came} with TTL {each.came.ttl}")
        return True

    def compare_counts(self):
        kernel = self.routers[0].counts()
        invalid = ("FORWARD", 2) if f"iptables {INVALID_RULE}" in self.lines else None

        def differences():
            own = self.routers[1].counts()
            wrong = [f"rule {place}: {kernel.get(place)} on the kernel, {own.get(place)} here"
                     for place in sorted(kernel.keys() | own.keys()) if place != invalid and kernel.get(place) != own.get(place)]
            if invalid and kernel[invalid][0] != own[invalid][0] + self.unasked:
                wrong.append(f"INVALID: {kernel[invalid][0]} on the kernel, {own[invalid][0]} here and {self.unasked} unasked")
            return wrong
        laboratory.wait_until(lambda: not differences(), SETTLED)
        self.wrong += differences()

    def complaint(self):
        return "\n".join(["with the script", *(f"  {line}" for line in self.lines), *self.wrong[:20]])


def flows_of(chance, numbers, tracked, drops_invalid):
    flows = [numbers.flow() for _ in range(FLOWS)]
    for i, flow in enumerate(flows):
        if not tracked:
            flow.steps = lone_steps(chance)
        elif drops_invalid and i % 6 == 0:
            flow.steps = [contradictory_step(chance)]
            flow.is_unasked = True
        elif drops_invalid and i % 6 == 3:
            flow.steps = [stray_step(chance)]
        else:
            flow.steps = exchange_steps(chance)
    return flows


def check_laws(nat):
    """That buffers are whole is others' to check: a driver that was idle since may have sent some and not given them back yet."""
    assert laboratory.wait_until(lambda: nat.imbalance() == 0, SETTLED), nat.counters()
    assert nat.dropped("internal-error", "too-many-hops") == 0, nat.counters()


def compare(world, routers, tracked, count):
    """Plays so many scripts, or as many as there is time for."""
    chance = random.Random(take_seed())
    scripts, numbers = Scripts(chance, tracked), Numbers(chance)
    sent = passed = rules = done = 0
    end = time.monotonic() + SECONDS
    while done < count and time.monotonic() < end:
        # Of rules with -f and ports Debian's nft makes others (doc/legacy.md).
        kind = list(KERNEL_TOOLS)[done % 2 if tracked else 0]
        drops_invalid = tracked and done % 3 == 0
        play = Play(routers, scripts.script(drops_invalid), tracked)
        if play.begin(kind):
            play.play(flows_of(chance, numbers, tracked, drops_invalid))
            play.compare_counts()
        assert not play.wrong, f"script {done} ({kind}), {play.complaint()}"
        sent, passed, rules, done = sent + play.sent, passed + play.passed, rules + len(play.lines), done + 1
    print(f"     {done} scripts of {rules} lines, {sent} packets, of which {passed} passed", flush=True)
    assert passed > sent / 10 and passed < sent, "scripts that let all pass, or nothing, show nothing"
    check_laws(world.nat)


@case("iptables scripts with states do to flows what the kernel's do, and count the same", starts=False)
def tracked_scripts(world):
    routers = [open_kernel(world, "kernel", True), Sekisho(world)]
    compare(world, routers, True, 200 if LONG else 20)
    routers[1].close()


@case("iptables scripts do to packets without tracking what the kernel's do, fragments included, and count the same", starts=False)
def untracked_scripts(world):
    need_af_xdp()
    routers = [open_kernel(world, "plain", False), Sekisho(world, device="af_xdp")]
    compare(world, routers, False, 200 if LONG else 20)
    routers[1].close()


def last_fate(router, view, steps, wanted, ident):
    """What becomes of the last of a flow's packets; those before it, as far as they have passed, are there for it."""
    flow = view.flow
    fate = "never sent"
    for i, (side, build) in enumerate(steps):
        packet = build(flow, view, ident + i)
        if packet is None:
            return f"step {i} has nothing to answer"
        (sent,), _ = exchange(router, [(side, packet)], [wanted] if i == len(steps) - 1 else ())
        fate = sent.fate
        if sent.came is not None:
            view.take(side, sent.came)
    return fate


def differences_of(routers, tracked, rows):
    wrong = []
    numbers = Numbers(random.Random(1))
    for number, (text, lines, steps, *wanted) in enumerate(rows):
        play = Play(routers, [f"iptables {GUARD_RULE}", *lines], tracked)
        assert play.begin("legacy"), play.complaint()
        flow = numbers.flow()
        fates = [last_fate(router, View(flow, tracked), steps, fate, 100 * (number + 1)) for router, fate in zip(routers, wanted)]
        if fates != wanted:
            wrong.append(f"{text}: {fates[0]} by the kernel, {fates[1]} here; the list has {wanted}")
    return wrong


@case("what fares otherwise here than on the kernel is what the manual lists", starts=False)
def listed_differences(world):
    need_af_xdp()
    sekisho = Sekisho(world, device="af_xdp")
    wrong = differences_of([open_kernel(world, "kernel", True), sekisho], True, TRACKED)
    wrong += differences_of([open_kernel(world, "plain", False), sekisho], False, UNTRACKED)
    assert not wrong, "\n".join(wrong)
    check_laws(world.nat)
    sekisho.close()
