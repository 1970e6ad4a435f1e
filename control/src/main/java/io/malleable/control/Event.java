package io.malleable.control;

import java.time.Instant;
import java.util.Optional;

/**
 * Something that happened.
 *
 * @param sequence grows with time, never reused
 * @param project name of the project that it belongs to; absent for the server's own
 * @param kind such as {@code node.provisioned}
 */
public record Event(
    long sequence,
    Instant at,
    Optional<String> project,
    String kind,
    Optional<Ref> subject,
    String message) {}
