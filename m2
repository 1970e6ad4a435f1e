#!/usr/bin/env bash
# Runs M2 from a checkout; builds it first when a source is newer than the last build.
set -euo pipefail
self=$(readlink -f "${BASH_SOURCE[0]}")
here=${self%/m2}
"$here/script/build"
JAVA_HOME=$("$here/script/jdk")
export JAVA_HOME
exec "$here/app/target/dist/bin/m2" "$@"
