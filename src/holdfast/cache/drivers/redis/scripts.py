"""Lua scripts for steps that Redis has no command for; each touches only what it names."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1


@dataclass(frozen=True, slots=True)
class Script:
    """Lua source, and the digest under which a server remembers it."""

    source: str
    digest: str


def _script(source: str) -> Script:
    return Script(source, sha1(source.encode(), usedforsecurity=False).hexdigest())


SWAP = _script("""
local head = redis.pcall('GETRANGE', KEYS[1], 0, math.max(0, #ARGV[1] - 1))
local other = type(head) == 'table'
if other and not string.find(head.err, 'WRONGTYPE', 1, true) then return head end
if ARGV[1] == '' then
    if head == '' then other = redis.call('EXISTS', KEYS[1]) == 1 end
    if not other then return 0 end
elseif head ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
elseif ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
""")
"""name; bytes that it must start with, nothing for what no cache put there (another type, or an
empty string), its new value or nothing, milliseconds or nothing"""

DISCARD_WHILE = _script("""
local there = redis.pcall('GET', KEYS[1])
if type(there) == 'table' then there = '' end
if (there or '') ~= ARGV[1] then return 0 end
for place = 2, #KEYS do redis.call('UNLINK', KEYS[place]) end
return 1
""")
"""name, names to remove; what the first must hold, '' for nothing or what no cache put there"""

INCREMENT = _script("""
local new = redis.call('EXISTS', KEYS[1]) == 0
local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(sum) == 'table' then return sum end
if new then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('GET', KEYS[1])
""")
"""name; number to add, milliseconds that a new one lives. The sum is text: Lua's numbers round."""

TAKE = _script("""
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local rate, burst, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full = tonumber(redis.call('GET', KEYS[1]) or 0) or 0
local after = math.max(full, now) + count / rate
local wait = after - now - burst / rate
if wait > 0 then return string.format('%.6f', wait) end
redis.call('SET', KEYS[1], string.format('%.6f', after), 'PX', math.ceil((after - now) * 1000) + 1)
return '0'
""")
"""name; tokens a second, tokens that it holds, tokens to take. What stands there is when the bucket
is full, in seconds of the server's clock; the answer is the seconds to wait"""

MARK = _script("""
local there = tonumber(redis.call('GET', KEYS[1]) or 0)
redis.call('SET', KEYS[1], math.max(there, tonumber(ARGV[1])), 'PX', ARGV[2])
return 1
""")
"""name; milliseconds that near copies are valid, of which the longest stays; milliseconds that the
mark lives"""

EXPIRE = _script("""
local head = redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1)
if type(head) == 'table' then return head end
if head == '' or head == ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('PERSIST', KEYS[1])
else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
""")
"""name; how a load lock starts, milliseconds or nothing"""
