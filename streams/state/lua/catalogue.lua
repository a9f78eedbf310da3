#!lua
-- Keeps a record by its id; an older stamp never overwrites a newer one. No stamp (0) always applies, and whatever
-- follows it does.
--
-- KEYS: the hash. ARGV: id, stamp, record. A value is the record's stamp in 8 bytes, then the record.

local id, stamp, record = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local held = redis.call('HGET', KEYS[1], id)
if stamp == 0 or not held or stamp >= struct.unpack('<I8', held) then
    redis.call('HSET', KEYS[1], id, struct.pack('<I8', stamp) .. record)
end
