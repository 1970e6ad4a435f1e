package io.malleable.server;

import java.time.Instant;

/** The server on the wire. */
record SystemBody(
    String version,
    Instant startedAt,
    long uptimeSeconds,
    String dataDirectory,
    String labDirectory,
    Addresses addresses,
    Space capacity,
    Counts counts) {
  /** Where it listens. */
  record Addresses(String api, String boot, String iscsi) {}

  /** How full it is, and what sharing saves. */
  record Space(
      long totalBytes,
      long availableBytes,
      long allocatedBytes,
      long sharedBytes,
      long provisionedBytes) {}

  /** How many there are of each. */
  record Counts(
      long projects,
      long images,
      long disks,
      long snapshots,
      long nodes,
      long operations,
      long sessions) {}
}
