-- The library inside Redis, fourth part: nodes, assignments and leases.

-- ---------------------------------------------------------------------------------------------------
-- The fleet: nodes, assignments, leases
-- ---------------------------------------------------------------------------------------------------

-- Empty: by the server's clock.
local function clock(now_ms)
  return now_ms ~= '' and tonumber(now_ms) or server_ms()
end

local function split(value)
  local until_ms, rest = value:match('^(%d+) (.*)$')
  return tonumber(until_ms), rest
end

local function forget_lapsed(nodes, now_ms)
  local all = call('HGETALL', nodes)
  for i = 1, #all, 2 do
    if split(all[i + 1]) <= now_ms then call('HDEL', nodes, all[i]) end
  end
end

-- now_ms, ttl_ms (0: it goes), name, record, max. 0: there are too many.
local function stoa_node_beat(keys, argv)
  local nodes, now_ms, ttl_ms = keys[1], clock(argv[1]), tonumber(argv[2])
  if ttl_ms <= 0 then
    call('HDEL', nodes, argv[3])
    return 1
  end
  local is_new = call('HEXISTS', nodes, argv[3]) == 0
  local count, most = call('HLEN', nodes), tonumber(argv[5])
  -- Those who read leave out who has lapsed; looking at all for each newcomer would be too much.
  if is_new and (count >= most or count % 64 == 63) then
    forget_lapsed(nodes, now_ms)
    count = call('HLEN', nodes)
  end
  if is_new and count >= most then return 0 end
  call('HSET', nodes, argv[3], now_ms + ttl_ms .. ' ' .. argv[4])
  return 1
end

-- now_ms. Records of those that are live.
local function stoa_nodes(keys, argv)
  local all, live, now_ms = call('HVALS', keys[1]), {}, clock(argv[1])
  for i = 1, #all do
    local until_ms, record = split(all[i])
    if until_ms > now_ms then live[#live + 1] = record end
  end
  return live
end

-- room, sect (empty: none), 1 by the switch, since_ms, max. 0: there are too many.
local function stoa_route_put(keys, argv)
  local routes, room, sect, is_automatic = keys[1], argv[1], argv[2], argv[3] == '1'
  local known = call('HGET', routes, room)
  if known and is_automatic and known:sub(1, 1) ~= 'a' then return 1 end
  if sect == '' then
    call('HDEL', routes, room)
    return 1
  end
  if not known and call('HLEN', routes) >= tonumber(argv[5]) then return 0 end
  call('HSET', routes, room, (is_automatic and 'a ' or 'o ') .. argv[4] .. ' ' .. sect)
  return 1
end

-- now_ms, ttl_ms (0: gives it up), name, holder. 1: the holder has it.
local function stoa_lease(keys, argv)
  local leases, now_ms, ttl_ms, name, holder = keys[1], clock(argv[1]), tonumber(argv[2]), argv[3], argv[4]
  local held = call('HGET', leases, name)
  local until_ms, other = 0, ''
  if held then until_ms, other = split(held) end
  if until_ms > now_ms and other ~= holder then return 0 end
  if ttl_ms <= 0 then
    call('HDEL', leases, name)
    return 0
  end
  call('HSET', leases, name, now_ms + ttl_ms .. ' ' .. holder)
  return 1
end

register('node_beat', stoa_node_beat)
register('nodes', stoa_nodes, { 'no-writes' })
register('route_put', stoa_route_put)
register('lease', stoa_lease)
