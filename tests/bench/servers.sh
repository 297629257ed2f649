# shellcheck shell=bash
# Sourced by compare and instructions: private servers in $WORK, each with its process id in PIDS under a name.

SETTINGS='' # more lines of configuration for every node
declare -A PIDS=()
declare -A SOCKETS=()
RABBITMQ_DIR=

start_in_background() { # start_in_background NAME COMMAND...
  local name=$1
  shift
  "$@" </dev/null >"$WORK/$name.log" 2>&1 &
  PIDS[$name]=$!
}

wait_for_socket() { # wait_for_socket NAME SECONDS
  local name=$1 deadline=$((SECONDS + $2))
  until [[ -S ${SOCKETS[$name]} ]]; do
    if ! kill -0 "${PIDS[$name]}" 2>/dev/null || ((SECONDS >= deadline)); then
      tail -n 20 "$WORK/$name.log" >&2
      die "$name did not start"
    fi
    sleep 0.05
  done
}

stop() { # stop NAME: waits until it has ended
  local pid=${PIDS[$1]:-}
  [[ -n $pid ]] || return 0
  kill -TERM "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  unset "PIDS[$1]"
}

stop_servers() {
  local name
  for name in "${!PIDS[@]}"; do
    [[ $name == rabbitmq ]] || stop "$name"
  done
  [[ -z $RABBITMQ_DIR ]] || "$SB_ROOT/deploy/private-rabbitmq" stop "$RABBITMQ_DIR" || true
}

# How far a subscriber may fall behind. On a busy machine it falls behind further than the 32 MiB that Redis and
# sidebus allow by default; a client that is thrown out for that measures nothing.
readonly OUTPUT_LIMIT_BYTES=1073741824

start_redis() {
  SOCKETS[redis]=$WORK/redis.sock
  start_in_background redis redis-server --port 0 --unixsocket "${SOCKETS[redis]}" --save "" --appendonly no \
    --daemonize no --dir "$WORK" --client-output-buffer-limit "pubsub $OUTPUT_LIMIT_BYTES 0 0"
  wait_for_socket redis 10
}

start_rabbitmq() {
  RABBITMQ_DIR=$WORK/rabbitmq
  "$SB_ROOT/deploy/private-rabbitmq" start "$RABBITMQ_DIR" >"$WORK/rabbitmq.env"
  AMQP_PORT=$(sed -n 's/^AMQP_PORT=//p' "$WORK/rabbitmq.env")
  PIDS[rabbitmq]=$(sed -n 's/^PID=//p' "$WORK/rabbitmq.env")
}

# start_node NAME BROKER PREFIX PARTITIONS [WRAPPER...]: a sidebus; WRAPPER runs it (valgrind).
start_node() {
  local name=$1 broker=$2 prefix=$3 partitions=$4
  shift 4
  SOCKETS[$name]=$WORK/$name.sock
  {
    echo "node = \"$name\";"
    echo "socket = { path = \"${SOCKETS[$name]}\"; };"
    echo "broker = \"$broker\";"
    echo "topics = { prefix = \"$prefix\"; partitions = $partitions; };"
    echo "limits = { output = { hard_bytes = ${OUTPUT_LIMIT_BYTES}L; soft_bytes = 0; }; };"
    [[ -z $SETTINGS ]] || echo "$SETTINGS"
    [[ $broker != rabbitmq ]] || echo "rabbitmq = { hosts = [\"amqp://127.0.0.1:$AMQP_PORT\"]; };"
  } >"$WORK/$name.conf"
  SIDEBUS_RABBITMQ_PASSWORD=guest start_in_background "$name" "$@" "$SIDEBUS_BIN" run -c "$WORK/$name.conf"
  wait_for_socket "$name" 60
}

# Waits until the nodes hear each other: nothing else says that a bridge carries messages.
wait_until_carrying() { # wait_until_carrying NAME...
  local name sockets=()
  for name; do sockets+=(-s "${SOCKETS[$name]}"); done
  "$SIDEBUS_BIN" bench "${sockets[@]}" --messages 10 --patience 60 >"$WORK/ready.log" 2>&1 ||
    { cat "$WORK/ready.log" >&2 && die "no messages cross $*"; }
}

# CPU time of all threads of a process since its start, in ns.
cpu_ns() { # cpu_ns PID
  cat "/proc/$1"/task/*/schedstat 2>/dev/null | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# CPU time of the whole machine since its start, in ns: clock ticks of 10 ms, so only for spans of a second and more.
busy_ns() {
  awk -v tick="$(getconf CLK_TCK)" \
    '/^cpu / { printf "%.0f\n", ($2 + $3 + $4 + $7 + $8) * 1e9 / tick }' /proc/stat
}

resident_kib() { # resident_kib PID
  sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"
}

# How often the threads of a process were put to sleep or taken off a processor.
switches() { # switches PID
  cat "/proc/$1"/task/*/status | awk '/ctxt_switches/ { sum += $2 } END { printf "%d\n", sum }'
}
