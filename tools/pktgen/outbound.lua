-- Port 0 is the subscribers, port 1 the Internet, which only counts. Settings: flows.lua.
package.path = package.path .. ";tools/pktgen/?.lua;?.lua"
local flows = require "flows"
print(string.format("%d flows", flows.outbound("0")))
flows.run("0")
