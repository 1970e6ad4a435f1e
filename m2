#!/usr/bin/env bash
# Runs M2 from a checkout; builds it first when a source is newer than the last build.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
"$here/script/build"
exec "$here/app/target/dist/bin/m2" "$@"
