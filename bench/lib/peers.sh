# Sourced by fanout.sh, after server.sh: the servers that Stoa is measured beside. Each start_… sets
# what start_server (server.sh) sets, and `measured`: the process whose CPU and memory count. All are
# ended by stop_server, and by server.sh's trap when the script fails.

FLOOR_BIN=${FLOOR_BIN:-$(dirname "$STOA_BIN")/bench/floor}
NCHAN_MODULE=${NCHAN_MODULE:-/usr/lib/nginx/modules/ngx_nchan_module.so}

has_nchan() {
    command -v nginx >/dev/null && [ -f "$NCHAN_MODULE" ]
}

start_floor() {
    taskset -c "$PIN" "$FLOOR_BIN" >"$work/serve.txt" 2>"$work/serve.log" &
    server=$!
    wait_for_address
    measured=$server
}

# The port that nginx listens on has to be named: one that is free now, and was not a moment ago.
free_port() {
    node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
}

# One worker, nothing written to disk, connections kept for ever. The buffer holds more messages than
# any workload here sends while a viewer is away; a viewer begins with the newest one.
write_nchan_config() {
    cat >"$work/nginx.conf" <<CONF
load_module $NCHAN_MODULE;
user $(id -un) $(id -gn);
daemon off;
pid $work/nginx.pid;
error_log $work/nginx.log;
worker_processes 1;
worker_rlimit_nofile $(ulimit -Hn);
events { worker_connections $(($(ulimit -Hn) - 100)); multi_accept on; }
http {
    access_log off;
    keepalive_timeout 1d;
    keepalive_requests 1000000000;
    client_body_temp_path $work/nginx-body;
    proxy_temp_path $work/nginx-proxy;
    fastcgi_temp_path $work/nginx-fastcgi;
    uwsgi_temp_path $work/nginx-uwsgi;
    scgi_temp_path $work/nginx-scgi;
    nchan_max_reserved_memory 256m;
    server {
        listen 127.0.0.1:$1 backlog=4096;
        nchan_message_buffer_length 1000;
        nchan_message_timeout 1h;
        location ~ ^/sub/(.+)\$ {
            nchan_subscriber longpoll;
            nchan_channel_id \$1;
            nchan_subscriber_first_message -1;
            nchan_subscriber_timeout 25s;
        }
        location ~ ^/pub/(.+)\$ {
            nchan_publisher;
            nchan_channel_id \$1;
        }
    }
}
CONF
}

start_nchan() {
    local port
    port=$(free_port)
    write_nchan_config "$port"
    taskset -c "$PIN" nginx -e "$work/nginx.log" -p "$work" -c "$work/nginx.conf" >"$work/serve.log" 2>&1 &
    server=$!
    address=127.0.0.1:$port
    until curl -sS -o "$work/first.txt" -d '{}' "http://$address/pub/first" 2>>"$work/serve.log"; do
        kill -0 "$server" || { cat "$work/serve.log" "$work/nginx.log" >&2; exit 1; }
        sleep 0.05
    done
    measured=$(cat "/proc/$server/task/$server/children")
    measured=${measured%% *}
}
