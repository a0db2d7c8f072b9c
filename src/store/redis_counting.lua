-- The library inside Redis, second part: viewers, history, and removing what is old.

-- ---------------------------------------------------------------------------------------------------
-- Viewers: per bucket of time, and bucket 0 for the room's life
-- ---------------------------------------------------------------------------------------------------

-- The index has a member "bucket:exact:at_least:until" for each. exact: e while the names are kept.
local function bucket_open(room, at)
  local b = { index = room .. ':v', at = at, users = room .. ':u' .. at, sketch = room .. ':s' .. at,
    is_exact = true, at_least = 0, until_ms = -1 }
  b.member = call('ZRANGEBYSCORE', b.index, at, at)[1]
  if b.member then
    local exact, at_least, until_ms = b.member:match('^%d+:(.):(%d+):(%d+)$')
    b.is_exact, b.at_least, b.until_ms = exact == 'e', tonumber(at_least), tonumber(until_ms)
  end
  return b
end

local function bucket_is_here(b, clock_ms)
  return is_here(b.users, b.is_exact and b.until_ms or -1, clock_ms)
    and is_here(b.sketch, b.until_ms, clock_ms)
end

-- From here on the sketch is all there is.
local function bucket_give_up(b)
  if not b.is_exact then return end
  b.is_exact, b.at_least = false, call('SCARD', b.users)
  call('UNLINK', b.users)
end

local function bucket_add(b, users, exact_max)
  if not b.is_exact then
    call('PFADD', b.sketch, unpack(users))
  elseif call('SADD', b.users, unpack(users)) > 0 then
    call('PFADD', b.sketch, unpack(users))
    if call('SCARD', b.users) > exact_max then bucket_give_up(b) end
  end
end

local function bucket_merge(b, sketch, scratch)
  bucket_give_up(b)
  if call('EXISTS', b.sketch) == 0 then
    call('SET', b.sketch, sketch)
  else
    call('SET', scratch, sketch)
    call('PFMERGE', b.sketch, scratch)
    call('DEL', scratch)
  end
end

-- ttl_ms 0: for good.
local function bucket_close(b, ttl_ms, clock_ms)
  if b.until_ms < 0 then
    b.until_ms = ttl_ms > 0 and clock_ms + ttl_ms or 0
    if ttl_ms > 0 then
      call('PEXPIREAT', b.users, b.until_ms)
      call('PEXPIREAT', b.sketch, b.until_ms)
    end
  end
  local member = b.at .. ':' .. (b.is_exact and 'e' or 'n') .. ':' .. b.at_least .. ':' .. b.until_ms
  if member == b.member then return end
  if b.member then call('ZREM', b.index, b.member) end
  call('ZADD', b.index, b.at, member)
end

-- bucket, ttl_ms, exact_max, then users (is_merge: instead of exact_max, the sketch). Gives how many
-- the room has had, and 1 where that is exact; nothing, where there is no such room.
local function viewers(keys, argv, is_merge)
  local room, ttl_ms, clock_ms, scratch = keys[1], tonumber(argv[2]), server_ms(), keys[1] .. ':t'
  local v = call('HMGET', room, 'state', 'viewers_until', 'unique')
  if not v[1] then return {} end
  if not is_here(room .. ':v', number(v[2], -1), clock_ms) then return AWAY end
  if not is_here(scratch, -1, clock_ms) then return AWAY end
  local life, bucket = bucket_open(room, '0'), bucket_open(room, argv[1])
  if not bucket_is_here(life, clock_ms) or not bucket_is_here(bucket, clock_ms) then return AWAY end
  local users = not is_merge and { unpack(argv, 4) }
  for _, b in ipairs({ bucket, life }) do
    if is_merge then bucket_merge(b, argv[3], scratch)
    else bucket_add(b, users, tonumber(argv[3])) end
    bucket_close(b, b == life and 0 or ttl_ms, clock_ms)
  end
  local unique = life.is_exact and call('SCARD', life.users)
    or math.max(call('PFCOUNT', life.sketch), life.at_least, number(v[3], 0))
  call('HSET', room, 'viewers_until', 0, 'unique', unique, 'unique_exact', life.is_exact and 1 or 0)
  return { unique, life.is_exact and 1 or 0 }
end

local function stoa_viewers_add(keys, argv) return viewers(keys, argv, false) end
local function stoa_viewers_merge(keys, argv) return viewers(keys, argv, true) end

-- Removes some of the buckets that begin before before_ms. How many; AWAY.
local function viewers_expire(room, before_ms, clock_ms)
  if not is_here(room .. ':v', number(call('HGET', room, 'viewers_until'), -1), clock_ms) then
    return AWAY
  end
  local old, found = call('ZRANGEBYSCORE', room .. ':v', 1, '(' .. before_ms, 'LIMIT', 0, 64), {}
  for i = 1, #old do
    found[i] = bucket_open(room, old[i]:match('^(%d+):'))
    if not bucket_is_here(found[i], clock_ms) then return AWAY end
  end
  for i = 1, #old do
    call('UNLINK', found[i].users, found[i].sketch)
    call('ZREM', room .. ':v', old[i])
  end
  return #old
end

-- ---------------------------------------------------------------------------------------------------
-- Samples: fields "time:node" of a hash, the same names in order of time in a sorted set
-- ---------------------------------------------------------------------------------------------------

-- The room's hash knows until when both live. nil: AWAY.
local function samples_are_here(room, until_ms, clock_ms)
  return is_here(room .. ':m', until_ms, clock_ms) and is_here(room .. ':mt', until_ms, clock_ms)
end

-- Both go together with their last sample.
local function samples_remove(room, names)
  call('HDEL', room .. ':m', unpack(names))
  call('ZREM', room .. ':mt', unpack(names))
  if call('EXISTS', room .. ':m') == 0 then call('HSET', room, 'samples_until', -1) end
end

local function samples_put(room, at_ms, name, value, until_ms, ttl_ms, clock_ms)
  call('HSET', room .. ':m', name, value)
  call('ZADD', room .. ':mt', at_ms, name)
  local kept = keep(room .. ':m', until_ms, ttl_ms, clock_ms)
  if kept == until_ms then return end
  if kept > 0 then call('PEXPIREAT', room .. ':mt', kept) else call('PERSIST', room .. ':mt') end
  call('HSET', room, 'samples_until', kept)
end

-- at_ms, node, value, ttl_ms. 0: there is no such room.
local function stoa_sample_put(keys, argv)
  local room, at_ms, clock_ms = keys[1], tonumber(argv[1]), server_ms()
  local v = call('HMGET', room, 'state', 'samples_until', 'thinned_ms')
  local until_ms = number(v[2], -1)
  if not v[1] then return 0 end
  if not samples_are_here(room, until_ms, clock_ms) then return AWAY end
  samples_put(room, at_ms, argv[1] .. ':' .. argv[2], argv[3], until_ms, tonumber(argv[4]), clock_ms)
  if at_ms < number(v[3], 0) then call('HSET', room, 'thinned_ms', at_ms) end
  return 1
end

local function samples_between(room, from, to, limit)
  local names = call('ZRANGEBYSCORE', room .. ':mt', from, to, 'LIMIT', 0, limit)
  return { names, #names > 0 and call('HMGET', room .. ':m', unpack(names)) or {} }
end

-- from_ms, to_ms, limit. Names and values; nothing, where there is no such room.
local function stoa_sample_range(keys, argv)
  local v = call('HMGET', keys[1], 'state', 'samples_until')
  local until_ms, clock_ms = number(v[2], -1), server_ms()
  if not v[1] then return {} end
  if not samples_are_here(keys[1], until_ms, clock_ms) then return AWAY end
  if until_ms < 0 then return { {}, {} } end
  return samples_between(keys[1], argv[1], '(' .. argv[2], tonumber(argv[3]))
end

-- before_ms, span_ms. The first stretch of span_ms before it that is not one sample yet: when it
-- begins, names, values. Nothing: there is none.
local function stoa_samples_old(keys, argv)
  local room, before_ms, span_ms = keys[1], tonumber(argv[1]), tonumber(argv[2])
  local v = call('HMGET', room, 'samples_until', 'thinned_ms')
  local until_ms, clock_ms = number(v[1], -1), server_ms()
  if not samples_are_here(room, until_ms, clock_ms) then return AWAY end
  if until_ms < 0 or number(v[2], 0) >= before_ms then return {} end
  local first = call('ZRANGEBYSCORE', room .. ':mt', v[2] or 0, '(' .. before_ms, 'WITHSCORES',
    'LIMIT', 0, 1)
  if not first[1] then
    call('HSET', room, 'thinned_ms', before_ms)
    return {}
  end
  local at_ms = tonumber(first[2])
  at_ms = at_ms - at_ms % span_ms
  local both = samples_between(room, at_ms, '(' .. at_ms + span_ms, 4000)
  return { at_ms, both[1], both[2] }
end

-- at_ms, span_ms, value, then names: they become one sample, unless somebody else was faster.
local function stoa_samples_thin(keys, argv)
  local room, at_ms, names, clock_ms = keys[1], tonumber(argv[1]), { unpack(argv, 4) }, server_ms()
  local until_ms = number(call('HGET', room, 'samples_until'), -1)
  if not samples_are_here(room, until_ms, clock_ms) then return AWAY end
  if until_ms < 0 then return 0 end
  for _, value in ipairs(call('HMGET', room .. ':m', unpack(names))) do
    if not value then return 0 end
  end
  call('HDEL', room .. ':m', unpack(names))
  call('ZREM', room .. ':mt', unpack(names))
  call('HSET', room .. ':m', argv[1] .. ':', argv[3])
  call('ZADD', room .. ':mt', at_ms, argv[1] .. ':')
  if until_ms > 0 then -- they may have gone with their last sample, and come again
    call('PEXPIREAT', room .. ':m', until_ms)
    call('PEXPIREAT', room .. ':mt', until_ms)
  end
  call('HSET', room, 'thinned_ms', at_ms + tonumber(argv[2]))
  return #names - 1
end

local function samples_expire(room, before_ms, clock_ms)
  local until_ms = number(call('HGET', room, 'samples_until'), -1)
  if not samples_are_here(room, until_ms, clock_ms) then return AWAY end
  if until_ms < 0 then return 0 end
  local old = call('ZRANGEBYSCORE', room .. ':mt', '-inf', '(' .. before_ms, 'LIMIT', 0, 512)
  if #old > 0 then samples_remove(room, old) end
  return #old
end

-- ---------------------------------------------------------------------------------------------------
-- Removal of what is old, in bounded steps
-- ---------------------------------------------------------------------------------------------------

local function list_trim(room, list, max_count, max_age_ms, now_ms, clock_ms)
  local until_ms = number(call('HGET', room, list .. '_until'), -1)
  if not is_here(room .. ':' .. list, until_ms, clock_ms) then return nil end
  if until_ms < 0 or (until_ms > 0 and until_ms <= clock_ms) then return 0, true end
  return trim(room .. ':' .. list, max_count, max_age_ms, now_ms, 2000)
end

-- now_ms, max_count and max_age_ms of high, of normal, and before when history goes (0: never). How
-- many messages went, how many buckets and samples, and 1 where there is more to do.
local function stoa_sweep(keys, argv)
  local room, now_ms, before_ms, clock_ms = keys[1], tonumber(argv[1]), tonumber(argv[6]), server_ms()
  local high, is_high = list_trim(room, 'h', tonumber(argv[2]), tonumber(argv[3]), now_ms, clock_ms)
  if not high then return AWAY end
  local normal, is_normal = list_trim(room, 'n', tonumber(argv[4]), tonumber(argv[5]), now_ms,
    clock_ms)
  if not normal then return AWAY end
  local buckets, samples = 0, 0
  if before_ms > 0 then
    buckets = viewers_expire(room, before_ms, clock_ms)
    if type(buckets) == 'table' then return buckets end
    samples = samples_expire(room, before_ms, clock_ms)
    if type(samples) == 'table' then return samples end
  end
  local is_all = is_high and is_normal and buckets < 64 and samples < 512
  return { high + normal, buckets + samples, is_all and 0 or 1 }
end

register('viewers_add', stoa_viewers_add)
register('viewers_merge', stoa_viewers_merge)
register('sample_put', stoa_sample_put)
register('sample_range', stoa_sample_range, { 'no-writes' })
register('samples_old', stoa_samples_old)
register('samples_thin', stoa_samples_thin)
register('sweep', stoa_sweep)
