package io.malleable.control;

import java.time.Instant;
import java.util.Optional;

/** A machine that asked for a boot and that no node has the MAC of. */
public record UnknownMachine(MacAddress mac, Instant seenAt, Optional<String> address) {}
