-- What the Pktgen-DPDK profiles of this folder share. They set ranges, start, wait, stop, and print what was counted.
--
-- Pktgen's ranges step together: each packet takes the next address and the next port at once. So the number of flows is not
-- the product of the ranges' lengths but their least common multiple; with lengths that share no factor that is the product,
-- and every pair comes once. Hence 15 625 subscribers (5^6) with 64 ports (2^6): 1 000 000 flows.
--
-- Settings come from the environment:
--   SUBSCRIBERS  15625         PORTS        64          of each subscriber, from 10000 on
--   FIRST        100.64.0.10   REMOTE       192.0.2.1   REMOTES  1 (one address; more must share no factor with the others)
--   POOL         203.0.112.0   POOL_SIZE    4096        external addresses, for the inbound direction
--   INT_MAC, EXT_MAC           link addresses of sekishod's links (sekisho show links)
--   SIZE         64            RATE         100         per cent of the link
--   SECONDS      30            WARM_UP      5
package.path = package.path .. ";?.lua"
require "Pktgen"

local flows = {}

local function setting(name, default)
    return os.getenv(name) or default
end

local function number(name, default)
    local value = tonumber(setting(name, default))
    if value == nil or value < 1 or value ~= math.floor(value) then
        error(name .. " is " .. tostring(os.getenv(name)) .. ", a whole number from 1 on is wanted")
    end
    return value
end

local function mac(name)
    local value = os.getenv(name)
    if value == nil or not value:match("^%x%x:%x%x:%x%x:%x%x:%x%x:%x%x$") then
        error(name .. " is missing: the link's MAC, as sekisho show links prints it")
    end
    return value
end

local function common_multiple(a, b)
    local x, y = a, b
    while y ~= 0 do
        x, y = y, x % y
    end
    return a * b / x
end

-- The address `steps` behind a dotted one.
local function address(dotted, steps)
    local a, b, c, d = dotted:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
    if a == nil then
        error(tostring(dotted) .. " is no IPv4 address")
    end
    local value = ((tonumber(a) * 256 + tonumber(b)) * 256 + tonumber(c)) * 256 + tonumber(d) + steps
    return string.format("%d.%d.%d.%d", math.floor(value / 16777216) % 256, math.floor(value / 65536) % 256,
                         math.floor(value / 256) % 256, value % 256)
end

local function range(set, port, first, last, step)
    set(port, "start", first)
    set(port, "inc", step)
    set(port, "min", first)
    set(port, "max", last)
end

local function addresses(set, port, first, count)
    range(set, port, first, address(first, count - 1), count > 1 and "0.0.0.1" or "0.0.0.0")
end

local function ports(set, port, first, count)
    range(set, port, first, first + count - 1, count > 1 and 1 or 0)
end

local function common(port, to)
    pktgen.range.dst_mac(port, "start", to)
    pktgen.range.ip_proto(port, "udp")
    range(pktgen.range.ttl, port, 64, 64, 0)
    range(pktgen.range.pkt_size, port, number("SIZE", 64), number("SIZE", 64), 0)
    pktgen.set(port, "rate", number("RATE", 100))
    pktgen.set(port, "count", 0)
    pktgen.set_range(port, "on")
end

-- Subscribers to the Internet. Returns the number of flows.
function flows.outbound(port)
    local subscribers, each, remotes = number("SUBSCRIBERS", 15625), number("PORTS", 64), number("REMOTES", 1)
    common(port, mac("INT_MAC"))
    addresses(pktgen.range.src_ip, port, setting("FIRST", "100.64.0.10"), subscribers)
    addresses(pktgen.range.dst_ip, port, setting("REMOTE", "192.0.2.1"), remotes)
    ports(pktgen.range.src_port, port, 10000, each)
    ports(pktgen.range.dst_port, port, 443, 1)
    return common_multiple(common_multiple(subscribers, each), remotes)
end

-- The Internet to the pool's addresses and ports, all of them in turn: those that are mapped pass (with endpoint-independent
-- filtering), the others are dropped as no-mapping. 64 511 ports share no factor with a power of two of addresses.
function flows.inbound(port)
    local size = number("POOL_SIZE", 4096)
    common(port, mac("EXT_MAC"))
    addresses(pktgen.range.src_ip, port, setting("REMOTE", "192.0.2.1"), 1)
    addresses(pktgen.range.dst_ip, port, setting("POOL", "203.0.112.0"), size)
    ports(pktgen.range.src_port, port, 443, 1)
    ports(pktgen.range.dst_port, port, 1024, 64511)
    return common_multiple(size, 64511)
end

-- Some versions of Pktgen want to be told which counters, others refuse it.
local function counted()
    local told, stats = pcall(pktgen.portStats, "all", "port")
    if not told then
        stats = pktgen.portStats("all")
    end
    local stats = pktgen.portStats("all", "port")
    return {sent = {stats[0].opackets, stats[1].opackets}, received = {stats[0].ipackets, stats[1].ipackets}}
end

-- Runs the ports, and prints rates and how much of what was sent has arrived at the other port.
function flows.run(which)
    pktgen.start(which)
    pktgen.delay(number("WARM_UP", 5) * 1000)
    local seconds, before = number("SECONDS", 30), counted()
    pktgen.delay(seconds * 1000)
    local after = counted()
    pktgen.stop("all")
    for port = 1, 2 do
        local sent = after.sent[port] - before.sent[port]
        local arrived = after.received[3 - port] - before.received[3 - port]
        if sent > 0 then
            print(string.format("port %d: sent %.3f Mpps, arrived at the other %.3f Mpps, %.4f %% lost", port - 1,
                                sent / seconds / 1e6, arrived / seconds / 1e6, 100 * (1 - arrived / sent)))
        end
    end
    pktgen.quit()
end

return flows
