#!lua
-- Keeps a record by its id; an older stamp never overwrites a newer one, no stamp (0) always applies.
--
-- KEYS: the hash. ARGV: id, stamp, record. A value is the newest stamp so far in 8 bytes, then the record.

local id, stamp, record = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local held = redis.call('HGET', KEYS[1], id)
local newest = held and struct.unpack('<I8', held) or 0
if stamp == 0 or stamp >= newest then
    redis.call('HSET', KEYS[1], id, struct.pack('<I8', math.max(stamp, newest)) .. record)
end
