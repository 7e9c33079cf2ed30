-- Both directions at once: port 0 is the subscribers, port 1 the Internet, which sends to every address and port of the pool.
-- Give the pool just as many addresses as the subscribers fill (a block of 256 ports each) to see most of it pass.
package.path = package.path .. ";tools/pktgen/?.lua;?.lua"
local flows = require "flows"
print(string.format("%d flows outbound, %d endpoints inbound", flows.outbound("0"), flows.inbound("1")))
flows.run("all")
