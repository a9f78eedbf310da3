#!lua
-- Keeps what the weekly lists of a person held; what stands earlier in the log never replaces what stands later.
--
-- KEYS: the lists. ARGV: partition, offset, for how many ms they are kept, the lists ('' = none).
-- A value is its place in the log in 10 bytes, then the lists.

local partition, offset = tonumber(ARGV[1]), tonumber(ARGV[2])
local held = redis.call('GETRANGE', KEYS[1], 0, 9)
if #held > 0 then
    local from, upto = struct.unpack('<I2I8', held)
    if from == partition and upto >= offset then return end
end
redis.call('SET', KEYS[1], struct.pack('<I2I8', partition, offset) .. ARGV[4], 'PX', ARGV[3])
