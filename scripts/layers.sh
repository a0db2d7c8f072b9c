#!/usr/bin/env bash
# Checks that each folder of src/ includes only from itself and from those before it in the list,
# and that the parts that must stay testable without a machine do not reach for one.
set -uo pipefail
shopt -s lastpipe # complain() runs in this shell, so that it can set failed
cd "$(dirname "$0")/.."

layers=(base core link store http api net tool)
sockets='uv\.h|sys/socket\.h|sys/epoll\.h|netinet/[a-z_]*\.h|arpa/[a-z_]*\.h|netdb\.h'
engines='sqlite3\.h|hiredis/[a-z_/]*\.h'
threads='pthread\.h|threads\.h'

# What may not be included, by folder.
declare -A barred=(
    [base]="uv\.h|$engines"
    [core]="$sockets|$engines|$threads|time\.h|sys/time\.h|unistd\.h"
    [link]="$sockets|$engines|$threads"
    [store]="netdb\.h"
    [http]="$sockets|$engines|$threads"
    [api]="$sockets|$engines|$threads"
    [net]="$engines"
    [tool]="$engines"
)
# And the core reads no clock.
clocks='\b(time|clock|clock_gettime|gettimeofday|timespec_get|random|getrandom)\('

failed=0
complain() { # what is wrong, then the lines on standard input
    local lines
    lines=$(cat)
    [ -z "$lines" ] && return
    failed=1
    echo "layers: $1"
    echo "$lines"
}

known=$(IFS='|'; echo "${layers[*]}")
allowed=''
for layer in "${layers[@]}"; do
    allowed=${allowed:+$allowed|}$layer
    [ -d "src/$layer" ] || continue
    grep -rnE "^ *# *include +\"($known)/" "src/$layer" | grep -vE "\"($allowed)/" |
        complain "src/$layer may include only from: ${allowed//|/ }"
    grep -rnE "^ *# *include +[<\"](${barred[$layer]})[>\"]" "src/$layer" |
        complain "src/$layer must not include this"
    grep -rnE '^ *# *include +"[^/"]+"' "src/$layer" |
        complain 'name includes from src/, as in "base/str.h"'
done
if [ -d src/core ]; then
    grep -rnE "$clocks" src/core | complain 'src/core is told the time and given its chances'
fi

[ $failed -eq 0 ] && echo "layers: ok"
exit $failed
