package io.malleable.server;

import java.util.Optional;

/** Which part of a list is asked for: at most {@code limit} items after the cursor. */
record PageRequest(int limit, Optional<String> cursor) {}
