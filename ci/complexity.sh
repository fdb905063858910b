#!/usr/bin/env bash
# Nothing grows with what else there is: instructions of every operation among a thousand objects of each kind and among
# a million, within twice; what takes things apart is linear. Counted one instruction at a time, on x86-64 Linux.
#   ci/complexity.sh [OBJECTS]     (1000000; about 1 GB and 3 minutes at 40 us for an instruction)
set -euo pipefail
cd "$(dirname "$0")/.."
export FLUE_OBJECTS="${1:-1000000}"
if [ "$(uname -sm)" != 'Linux x86_64' ]; then
    echo 'complexity: needs Linux on x86-64, for the trap flag' >&2
    exit 1
fi
exec cargo test --release -p flue-core --features std --test complexity -- --ignored --test-threads=1 --nocapture
