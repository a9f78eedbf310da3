#!lua
-- Forgets closed sessions that were sent, and tells when the person is due again.
--
-- KEYS: the person's META and CLOSED, as in person.lua. ARGV: silence in ms, the fields of CLOSED.
-- Returns a score as in due.lua, or nothing.

if #ARGV > 1 then redis.call('HDEL', KEYS[2], unpack(ARGV, 2)) end
if redis.call('HLEN', KEYS[2]) > 0 then return '-1' end
local open = redis.call('HGET', KEYS[1], 'open')
if not open then return false end
local _, _, came = struct.unpack('<I6I6I6I4', open)
return string.format('%.0f', came + ARGV[1])
