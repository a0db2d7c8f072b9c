-- What Stoa does inside Redis: each function is one step that nobody sees half of. store/redis.h says
-- what the keys hold; store/redis_*.c call the functions, one file per group, and document the
-- arguments beside the call.
--
-- The library is this file, then redis_counting.lua, redis_presence.lua and redis_fleet.lua: they are
-- put together when the program is built, and get their first two lines when it starts, which have the
-- name, LIBRARY (redis_library.h). They are one to Redis.
--
-- Rules, kept by all of them:
--
--  1. A function touches keys of one slot. It declares in KEYS those that exist together, always or
--     not at all: while a slot moves, the server then answers ASK or TRYAGAIN by itself. It would
--     answer TRYAGAIN for the whole of the move if a declared key were missing for good (FACTS of
--     Redis 7: getNodeByQuery), so keys that come and go by themselves (streams that expire, old
--     buckets) are not declared. The room remembers until when each of these has to be there, and
--     is_here() looks, before anything is written: what ought to be there and is not has moved.
--  2. Nothing is written before everything that can fail has been looked at: Redis keeps what a
--     function wrote before it failed.
--  3. Lua's numbers are doubles. Ids have 64 bits and are kept as milliseconds and n, and travel as
--     two numbers. The other numbers stay below 2^53.
--  4. Times come from the caller (now_ms), so that all nodes and the tests agree with their
--     messages; only what Redis lets expire goes by the server's clock.
--  5. While a fleet is upgraded, two versions of the library work on the same keys, side by side. What
--     one writes the other has to read: fields are added, and their absence means what it meant before.

-- While a library is being loaded it sees no other globals than `redis`, so these are no aliases.
local function call(...)
  return redis.call(...)
end

local function pack(...)
  return struct.pack(...)
end

local N_MAX = 1048576 -- of an id, within one millisecond (core/id.h)
local AWAY = { err = 'TRYAGAIN keys of this room are on their way to another node' }

-- The server's clock.
local function server_ms()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- A key that was made to expire at until_ms (0: never; -1: it was not made), of the server's clock: is
-- it at this node, or rightly nowhere?
local function is_here(key, until_ms, clock_ms)
  local n = redis.pcall('EXISTS', key)
  if type(n) == 'table' then return false end -- the slot moves, and the key is not here
  return n == 1 or not (until_ms == 0 or until_ms > clock_ms)
end

local function number(s, default)
  return s and tonumber(s) or default
end

-- Renews the expiry of a key when a sixteenth of its time has passed. Gives what to remember.
local function keep(key, until_ms, ttl_ms, clock_ms)
  if ttl_ms == 0 then
    if until_ms > 0 then call('PERSIST', key) end
    return 0
  end
  if until_ms > clock_ms + ttl_ms then return until_ms end
  until_ms = clock_ms + ttl_ms + math.floor(ttl_ms / 16) + 1000
  call('PEXPIREAT', key, until_ms)
  return until_ms
end

local function register(name, callback, flags)
  redis.register_function { function_name = LIBRARY .. '_' .. name, callback = callback, flags = flags or {} }
end

-- ---------------------------------------------------------------------------------------------------
-- Lists: append, read, trim
-- ---------------------------------------------------------------------------------------------------

local LIST_CODE = { h = 0, n = 1 }

-- One list of a room, as its hash has it. nil: there is no such room.
local function list_open(room, list)
  local v = call('HMGET', room, 'state', 'last_ms', 'last_n', list .. '_ms', list .. '_n',
    list .. '_ordinal', list .. '_tokens', list .. '_taken_ms', list .. '_until', 'keys_gen',
    'keys_until_0', 'keys_until_1')
  if not v[1] then return nil end
  return {
    room = room, list = list, stream = room .. ':' .. list,
    is_closed = v[1] == 'closed',
    last_ms = number(v[2], 0), last_n = number(v[3], 0),
    ms = number(v[4], 0), n = number(v[5], 0), ordinal = number(v[6], 0),
    tokens = number(v[7], 0), taken_ms = number(v[8], 0),
    until_ms = number(v[9], -1),
    gen = number(v[10], 0),
    keys_until = { [0] = number(v[11], -1), [1] = number(v[12], -1) },
    clock_ms = server_ms(),
    news = {},
  }
end

local function keys_of(l, gen)
  return l.room .. ':k' .. gen % 2
end

-- False: something of it is at another node.
local function list_is_here(l, has_keys)
  if not is_here(l.stream, l.until_ms, l.clock_ms) then return false end
  return not has_keys
    or (is_here(keys_of(l, 0), l.keys_until[0], l.clock_ms)
      and is_here(keys_of(l, 1), l.keys_until[1], l.clock_ms))
end

-- Idempotency keys are in two generations, so that old ones go as a whole. A generation never steps
-- back; what is in it is judged by its own age.
local function keys_advance(l, now_ms, keep_ms)
  local gen = math.floor(now_ms / keep_ms)
  if gen <= l.gen then return end
  call('UNLINK', keys_of(l, gen))
  l.keys_until[gen % 2] = -1
  if gen > l.gen + 1 then
    call('UNLINK', keys_of(l, gen + 1))
    l.keys_until[(gen + 1) % 2] = -1
  end
  l.gen = gen
end

-- The answer of an append for a message that this key has stored already, or nil.
local function keys_find(l, key, now_ms, keep_ms)
  for gen = l.gen, l.gen + 1 do
    local v = l.keys_until[gen % 2] >= 0 and call('HGET', keys_of(l, gen), key)
    if v then
      local at, ms, n, prev_ms, prev_n, ordinal = v:match('^(%d+) (%d+)%-(%d+) (%d+)%-(%d+) (%d+)$')
      if at and now_ms - at < keep_ms then
        return pack('<BI8I4I8I4I8', 1, ms, n, prev_ms, prev_n, ordinal)
      end
    end
  end
  return nil
end

local function keys_add(l, key, value, keep_ms)
  local at = keys_of(l, l.gen)
  call('HSET', at, key, value)
  l.keys_until[l.gen % 2] = keep(at, l.keys_until[l.gen % 2], 2 * keep_ms, l.clock_ms)
end

-- Token bucket (core/quota.c). 0, or after how many milliseconds there is a token.
local function list_take(l, per_s, now_ms)
  if per_s == 0 then return 0 end
  local capacity = per_s * 1000
  local tokens = capacity
  if l.taken_ms ~= 0 then
    tokens = math.min(capacity, l.tokens + math.max(0, now_ms - l.taken_ms) * per_s)
  end
  l.taken_ms = now_ms ~= 0 and now_ms or 1
  l.tokens = tokens
  if tokens < 1000 then return math.floor((1000 - tokens + per_s - 1) / per_s) end
  l.tokens = tokens - 1000
  return 0
end

-- Gives the message its id, stores it, and notes it for the news. m: type, from, name, body begin
-- behind argv[at].
local function list_add(l, now_ms, argv, at)
  local ms, n = now_ms, 0
  if ms <= l.last_ms then ms, n = l.last_ms, l.last_n + 1 end
  if n == N_MAX then ms, n = ms + 1, 0 end
  local prev_ms, prev_n, ordinal = l.ms, l.n, l.ordinal + 1
  local m_type, from, name, body = argv[at + 1], argv[at + 2], argv[at + 3], argv[at + 4]
  call('XADD', l.stream, ms .. '-' .. n, 'prev', prev_ms .. '-' .. prev_n, 'ordinal', ordinal,
    'type', m_type, 'from', from, 'name', name, 'body', body)
  l.last_ms, l.last_n, l.ms, l.n, l.ordinal = ms, n, ms, n, ordinal
  l.news[#l.news + 1] = pack('<BI8I4I8I4I8I2c0I2c0I2c0I4c0', LIST_CODE[l.list], ms, n, prev_ms,
    prev_n, ordinal, #m_type, m_type, #from, from, #name, name, #body, body)
  return prev_ms, prev_n
end

-- At most about `steps` messages, so that nobody waits for long. The stream's nodes are of a hundred
-- messages: whole ones go first, then at most a part of one. How many went, and whether all that have
-- to go are gone.
local function trim_by(stream, rule, value, steps)
  local gone = call('XTRIM', stream, rule, '~', value, 'LIMIT', steps)
  if gone >= steps - 100 then return gone, false end
  return gone + call('XTRIM', stream, rule, '=', value), true
end

local function trim(stream, max_count, max_age_ms, now_ms, steps)
  local gone, is_all, more, is_rest = 0, true, 0, true
  if max_count > 0 then gone, is_all = trim_by(stream, 'MAXLEN', max_count, steps) end
  if max_age_ms > 0 and now_ms > max_age_ms then
    more, is_rest = trim_by(stream, 'MINID', now_ms - max_age_ms, steps)
  end
  return gone + more, is_all and is_rest
end

-- Writes the list back, with retention, and gives out the news. How many messages retention removed.
local function list_close(l, header, max_count, max_age_ms, now_ms)
  local gone = 0
  if #l.news > 0 then
    l.until_ms = keep(l.stream, l.until_ms, max_age_ms, l.clock_ms)
    -- Removing one at a time costs a walk through a node of the stream for each.
    if max_count > 0 and call('XLEN', l.stream) <= max_count + math.floor(max_count / 16) then
      max_count = 0
    end
    gone = trim(l.stream, max_count, max_age_ms, now_ms, 2000)
    call('SPUBLISH', l.room, header .. table.concat(l.news))
  end
  call('HSET', l.room, 'last_ms', l.last_ms, 'last_n', l.last_n, l.list .. '_ms', l.ms,
    l.list .. '_n', l.n, l.list .. '_ordinal', l.ordinal, l.list .. '_tokens', l.tokens,
    l.list .. '_taken_ms', l.taken_ms, l.list .. '_until', l.until_ms, 'keys_gen', l.gen,
    'keys_until_0', l.keys_until[0], 'keys_until_1', l.keys_until[1])
  return gone
end

local APPEND_HEAD, APPEND_WORDS = 5, 7

local function has_any_key(argv)
  for i = APPEND_HEAD, #argv - APPEND_WORDS, APPEND_WORDS do
    if argv[i + 3] ~= '' then return true end
  end
  return false
end

-- One message of an append: its answer.
local function append_one(l, argv, i, keep_ms)
  local now_ms, quota, key = tonumber(argv[i + 1]), tonumber(argv[i + 2]), argv[i + 3]
  local known = key ~= '' and keys_find(l, key, now_ms, keep_ms)
  if known then return known end
  if quota < 0 then return pack('<BI8I4I8I4I8', 4, 0, 0, 0, 0, 0) end
  if l.is_closed then return pack('<BI8I4I8I4I8', 3, 0, 0, 0, 0, 0) end
  local wait_ms = list_take(l, quota, now_ms)
  if wait_ms > 0 then return pack('<BI8I4I8I4I8', 2, wait_ms, 0, 0, 0, 0) end
  local prev_ms, prev_n = list_add(l, now_ms, argv, i + 3)
  if key ~= '' then
    keys_add(l, key, argv[i + 1] .. ' ' .. l.ms .. '-' .. l.n .. ' ' .. prev_ms .. '-' .. prev_n ..
      ' ' .. l.ordinal, keep_ms)
  end
  return pack('<BI8I4I8I4I8', 0, l.ms, l.n, prev_ms, prev_n, l.ordinal)
end

-- list, header, max_count, max_age_ms, keep_keys_ms, then for each message: now_ms, quota, key, type,
-- from, name, body. Gives how many were trimmed, then an answer for each; nothing, where there is no
-- such room.
local function stoa_append(keys, argv)
  local l = list_open(keys[1], argv[1])
  if not l then return '' end
  local keep_ms, has_keys = tonumber(argv[5]), has_any_key(argv)
  if not list_is_here(l, has_keys) then return AWAY end
  local last = #argv - APPEND_WORDS + 1
  local now_ms = tonumber(argv[last])
  if has_keys then keys_advance(l, now_ms, keep_ms) end
  local answers = { '' }
  for i = APPEND_HEAD, last - 1, APPEND_WORDS do
    answers[#answers + 1] = append_one(l, argv, i, keep_ms)
  end
  local gone = list_close(l, argv[2], tonumber(argv[3]), tonumber(argv[4]), now_ms)
  answers[1] = pack('<I4', gone)
  return table.concat(answers)
end

local function entry_bytes(entry)
  local f, bytes = entry[2], 0
  for i = 6, #f, 2 do bytes = bytes + #f[i] end
  return bytes
end

-- Up to `limit` entries, but no more than up to the one with which their strings exceed max_bytes.
local function range(stream, is_after, from, limit, max_bytes)
  local entries, bytes, step = {}, 0, math.min(limit, 32)
  while #entries < limit do
    local got
    if is_after then
      got = call('XRANGE', stream, '(' .. from, '+', 'COUNT', step)
    else
      local last = (from == '+' or from == '0-0') and from or '(' .. from
      got = call('XREVRANGE', stream, last, '-', 'COUNT', step)
    end
    for i = 1, #got do
      entries[#entries + 1] = got[i]
      bytes = bytes + entry_bytes(got[i])
      if bytes > max_bytes then return entries end
    end
    if #got < step then return entries end
    from = got[#got][1]
    step = math.max(1, math.min(limit - #entries, math.floor((max_bytes - bytes) * #entries / (bytes + 1)) + 1))
  end
  return entries
end

-- list, after|before, from, limit, max_bytes. Gives tail, its ordinal, trimmed, entries.
local function stoa_read(keys, argv)
  local room, list = keys[1], argv[1]
  local v = call('HMGET', room, list .. '_ms', list .. '_n', list .. '_ordinal', list .. '_until')
  local tail = (v[1] or '0') .. '-' .. (v[2] or '0')
  local until_ms = number(v[4], -1)
  local stream = room .. ':' .. list
  if until_ms < 0 then return { tail, v[3] or '0', tail, {} } end
  if not is_here(stream, until_ms, server_ms()) then return AWAY end
  local oldest = call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  local entries = oldest and range(stream, argv[2] == 'after', argv[3], tonumber(argv[4]),
    tonumber(argv[5])) or {}
  return { tail, v[3] or '0', oldest and oldest[2][2] or tail, entries }
end

-- ---------------------------------------------------------------------------------------------------
-- Rooms
-- ---------------------------------------------------------------------------------------------------

-- A list that begins behind what is known of it.
local function begin_behind(room, list, ms, n, ordinal)
  if ms == '0' and n == '0' then return end
  call('HSET', room, list .. '_ms', ms, list .. '_n', n, list .. '_ordinal', ordinal)
end

local function is_later(ms, n, other_ms, other_n)
  ms, n, other_ms, other_n = tonumber(ms), tonumber(n), tonumber(other_ms), tonumber(other_n)
  return ms > other_ms or (ms == other_ms and n > other_n)
end

local function room_begin(room, argv)
  begin_behind(room, 'h', argv[6], argv[7], argv[8])
  begin_behind(room, 'n', argv[9], argv[10], argv[11])
  local i = is_later(argv[6], argv[7], argv[9], argv[10]) and 6 or 9
  call('HSET', room, 'last_ms', argv[i], 'last_n', argv[i + 1], 'created_ms', argv[2])
end

-- header, now_ms, only_new, max_count, max_age_ms (of the high list), then what is known: high ms, n,
-- ordinal, normal ms, n, ordinal; then the control message: type, from, name, body; then fields of the
-- hash with their values. Gives 'exists', or is new, version, created_ms, unique, and of the control
-- message ms, n, prev ms, n, ordinal (0 where there is none).
local function stoa_room_put(keys, argv)
  local room, now_ms = keys[1], tonumber(argv[2])
  local is_new = call('EXISTS', room) == 0
  local l, prev_ms, prev_n = nil, 0, 0
  if not is_new and argv[3] == '1' then return 'exists' end
  if not is_new and argv[12] ~= '' then
    l = list_open(room, 'h')
    if not list_is_here(l, false) then return AWAY end
  end
  if is_new then room_begin(room, argv) end
  if l then
    prev_ms, prev_n = list_add(l, now_ms, argv, 11)
    list_close(l, argv[1], tonumber(argv[4]), tonumber(argv[5]), now_ms)
  end
  call('HSET', room, unpack(argv, 16))
  call('HINCRBY', room, 'version', 1)
  local v = call('HMGET', room, 'version', 'created_ms', 'unique')
  return { is_new and 1 or 0, v[1], v[2], v[3] or '0', l and l.ms or 0, l and l.n or 0, prev_ms,
    prev_n, l and l.ordinal or 0 }
end

register('append', stoa_append)
register('read', stoa_read, { 'no-writes' })
register('room_put', stoa_room_put)
